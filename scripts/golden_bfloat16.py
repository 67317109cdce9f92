#!/usr/bin/env python3
"""Writes tests/golden/bfloat16.json: what bfloat16 does to the embedded model in torch.

Of the first tokens of tests/golden/prose.txt, over and over again: the relative error of all logits,
and of the last row's, of transformers in bfloat16 against float32. Of the case of
make_model_goldens.py, against its float64: the relative errors of the logits and of the matrices'
gradients (peft, whose matrices are float32), in the middle and at worst, and how far the loss of 20
steps goes from the golden's.
Needs: pip install torch transformers peft gguf tokenizers safetensors
usage: python scripts/golden_bfloat16.py DENSE   (in the repository's root; DENSE is made by
build/gavel convert --model models/SmolLM2-135M-Instruct.Q4_1.gguf --dequantize --dtype float32
--mlx-path DENSE: transformers would multiply a GGUF file's weights in float32 as they are)
"""
import json
import sys

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file

import make_model_goldens as case

MODEL = sys.argv[1]
OUT = "tests/golden/bfloat16.json"

tokenizer = transformers.AutoTokenizer.from_pretrained(MODEL)
text = tokenizer(open("tests/golden/prose.txt").read(), add_special_tokens=False)["input_ids"]
all_tokens = (text * 10)[:1838]


def logits(dtype):
    model = transformers.AutoModelForCausalLM.from_pretrained(MODEL, dtype=dtype)
    with torch.no_grad():
        return {n: model(torch.tensor([all_tokens[:n]])).logits[0].double() for n in (1, 5, 40, 900, 1838)}


def gradient_error(gradient, goldens, name):
    """Of a whole matrix, from the sketch that the goldens hold."""
    golden = goldens[f"grad.{name}"]
    difference = case.sketch(gradient, golden.size) - golden
    return float(np.linalg.norm(difference) / goldens[f"norm.{name}"][0])


def golden_case():
    goldens = load_file("tests/golden/model_goldens.safetensors")
    load = lambda dtype: transformers.AutoModelForCausalLM.from_pretrained(MODEL, dtype=dtype)
    batch = case.examples(tokenizer)
    model = load(torch.bfloat16)
    with torch.no_grad():
        rows = model(torch.from_numpy(batch[1][0])[None]).logits[0].double().numpy()
    rows = rows[[0, len(rows) // 2, len(rows) - 1], ::24]
    of = lambda a, b: float(np.linalg.norm(a - b) / np.linalg.norm(b))
    model = case.with_lora(model)
    _, rounded = case.gradients(model, batch)
    case.lora_start(model)
    curve = case.loss_curve(model, batch)
    errors = [gradient_error(g, goldens, n) for n, g in rounded.items()]
    return {"logits": of(rows, goldens["logits.rows"]),
            "median_gradient": float(np.median(errors)), "worst_gradient": max(errors),
            "curve": float(np.abs(np.array(curve) - goldens["curve"]).max())}


exact, rounded = logits(torch.float32), logits(torch.bfloat16)
error = lambda a, b: float((a - b).norm() / b.norm())
result = {"torch": torch.__version__, "transformers": transformers.__version__,
          "text_tokens": len(text), "golden_case": golden_case(),
          "all": {n: error(rounded[n], exact[n]) for n in exact},
          "last": {n: error(rounded[n][-1], exact[n][-1]) for n in exact}}
json.dump(result, open(OUT, "w"), indent=1)
print(open(OUT).read())
