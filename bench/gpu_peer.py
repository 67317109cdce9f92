"""One training setting of bitsandbytes (nf4) + peft + Liger on a model of Qwen2.5-7B's shape with
random values, every layer checkpointed, as a line of JSON:
python3 bench/gpu_peer.py qv|all BATCH TOKENS STEPS
"""
import json
import sys
import time

import bitsandbytes
import torch
from liger_kernel.transformers import apply_liger_kernel_to_qwen2
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, Qwen2Config

TARGETS = {"qv": ["q_proj", "v_proj"],
           "all": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]}


def base_model():
    config = Qwen2Config(
        hidden_size=3584, intermediate_size=18944, num_hidden_layers=28, num_attention_heads=28,
        num_key_value_heads=4, vocab_size=152064, rms_norm_eps=1e-6, rope_theta=1e6,
        max_position_embeddings=32768, tie_word_embeddings=False)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    apply_liger_kernel_to_qwen2(model=model)
    for name, layer in list(model.named_modules()):
        if not isinstance(layer, torch.nn.Linear) or name == "lm_head":
            continue
        quantized = bitsandbytes.nn.Linear4bit(
            layer.in_features, layer.out_features, bias=layer.bias is not None,
            compute_dtype=torch.bfloat16, quant_type="nf4")
        quantized.weight = bitsandbytes.nn.Params4bit(
            layer.weight.data.cpu(), requires_grad=False, quant_type="nf4", module=quantized)
        if layer.bias is not None:
            quantized.bias = layer.bias
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, quantized.cuda())
    model.is_loaded_in_4bit = True
    torch.cuda.empty_cache()
    return model


def main():
    targets, batch, tokens, steps = sys.argv[1], *map(int, sys.argv[2:5])
    torch.manual_seed(0)
    model = get_peft_model(base_model(), LoraConfig(r=8, lora_alpha=16,
                                                    target_modules=TARGETS[targets]))
    model.train()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.enable_input_require_grads()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5)
    torch.cuda.reset_peak_memory_stats()
    seconds = []
    for _ in range(steps):
        ids = torch.randint(0, 150000, (batch, tokens), device="cuda")
        torch.cuda.synchronize()
        start = time.perf_counter()
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in trained if p.grad is not None])
        optimizer.step()
        optimizer.zero_grad()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    middle = sorted(seconds[1:])[(len(seconds) - 1) // 2]
    print(json.dumps({"tokens_per_second": batch * tokens / middle,
                      "peak_memory_gb": torch.cuda.max_memory_allocated() / 1e9,
                      "loss": loss.item(), "grad_norm": norm.item()}))


if __name__ == "__main__":
    main()
