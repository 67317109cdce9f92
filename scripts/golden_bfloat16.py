#!/usr/bin/env python3
"""Writes tests/golden/bfloat16.json: what bfloat16 does to the embedded model's logits in torch.

Of the first tokens of tests/golden/prose.txt, over and over again: the relative error of all logits,
and of the last row's, of transformers in bfloat16 against float32.
Needs: pip install torch transformers gguf tokenizers
usage: python scripts/golden_bfloat16.py   (in the repository's root)
"""
import json

import torch
import transformers

MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
OUT = "tests/golden/bfloat16.json"

tokenizer = transformers.AutoTokenizer.from_pretrained("models", gguf_file=MODEL)
text = tokenizer(open("tests/golden/prose.txt").read(), add_special_tokens=False)["input_ids"]
all_tokens = (text * 10)[:1838]


def logits(dtype):
    model = transformers.AutoModelForCausalLM.from_pretrained("models", gguf_file=MODEL, dtype=dtype)
    with torch.no_grad():
        return {n: model(torch.tensor([all_tokens[:n]])).logits[0].double() for n in (1, 5, 40, 900, 1838)}


exact, rounded = logits(torch.float32), logits(torch.bfloat16)
error = lambda a, b: float((a - b).norm() / b.norm())
result = {"torch": torch.__version__, "transformers": transformers.__version__,
          "text_tokens": len(text),
          "all": {n: error(rounded[n], exact[n]) for n in exact},
          "last": {n: error(rounded[n][-1], exact[n][-1]) for n in exact}}
json.dump(result, open(OUT, "w"), indent=1)
print(open(OUT).read())
