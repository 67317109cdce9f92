#!/usr/bin/env python3
"""Writes tests/golden/peft_scales.json: the rank and the scale that PEFT gives each module, for
configurations with rank_pattern, alpha_pattern and use_rslora.

    pip install peft torch && python3 scripts/golden_peft.py

PEFT itself builds the LoRA layers, on a model of two decoder layers with the module names of a
llama, and reads each configuration from its own adapter_config.json.
"""
import json
import tempfile
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model

LAYERS = 12  # so that there are layers 1, 10 and 11
LAYER = "model.layers.{}.self_attn.{}"

CASES = [
    {},
    {"use_rslora": True},
    {"alpha_pattern": {"q_proj": 64}},
    {"alpha_pattern": {"model.layers.0.self_attn.q_proj": 64}},
    {"alpha_pattern": {"^model.layers.0.self_attn.q_proj": 64}},
    {"alpha_pattern": {".*layers\\.1\\..*(q_proj|v_proj)": 64}},
    {"alpha_pattern": {"layers\\.\\d+\\.self_attn\\.q_proj": 64}},
    {"alpha_pattern": {"layers.1.self_attn.q_proj": 64}},
    {"alpha_pattern": {"proj": 64}},
    {"alpha_pattern": {"q_pro": 64, "_proj": 32}},
    {"alpha_pattern": {"[qv]_proj": 64}},
    {"alpha_pattern": {"layers.(?:0|11).self_attn.(?P<which>[qv])_proj": 24}},
    {"alpha_pattern": {"v_proj\\Z": 3, "(?!.*v_proj).*": 5}},
    # The first that matches counts, in the order of the file.
    {"alpha_pattern": {"self_attn.q_proj": 64, "model.layers.0.self_attn.q_proj": 2}},
    {"alpha_pattern": {"model.layers.0.self_attn.q_proj": 2, "self_attn.q_proj": 64}},
    {"rank_pattern": {"v_proj": 2}},
    {"rank_pattern": {"layers.1\\d.self_attn.v_proj": 2}, "use_rslora": True},
    {"rank_pattern": {"^model.layers.0.*": 6}, "alpha_pattern": {"q_proj": 3, "v_proj": 5.5}},
]


class Attention(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj = torch.nn.Linear(8, 8, bias=False)
        self.v_proj = torch.nn.Linear(8, 4, bias=False)


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.self_attn = Attention()


class Decoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList(Layer() for _ in range(LAYERS))


class Llama(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = Decoder()

    def forward(self, x):
        return x


def answer(case):
    with tempfile.TemporaryDirectory() as folder:
        LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], **case).save_pretrained(
            folder
        )
        text = (Path(folder) / "adapter_config.json").read_text()
        model = get_peft_model(Llama(), LoraConfig.from_pretrained(folder))
    modules = {}
    for name, module in model.base_model.model.named_modules():
        if hasattr(module, "scaling"):
            modules[name] = [module.r["default"], module.scaling["default"]]
    return {"config": json.loads(text), "modules": modules}


def main():
    path = Path(__file__).parent.parent / "tests/golden/peft_scales.json"
    cases = [answer(case) for case in CASES]
    # Fields that are alike in all of them are kept in the first only.
    common = {
        k: v for k, v in cases[0]["config"].items() if all(c["config"][k] == v for c in cases)
    }
    for case in cases:
        case["config"] = {k: v for k, v in case["config"].items() if k not in common}
    lines = [json.dumps(c) for c in cases]
    path.write_text(
        '{"common": ' + json.dumps(common) + ',\n"cases": [\n' + ",\n".join(lines) + "\n]}\n"
    )
    print(f"{path}: {len(cases)} cases")


if __name__ == "__main__":
    main()
