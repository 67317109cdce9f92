#!/usr/bin/env python3
"""Writes tests/golden/eight_bits.json: how far 8-bit activations move single tokens' log-probabilities.

The text is tests/golden/prose.txt; exact is transformers in float32 on the embedded model, 8-bit is
llama.cpp on the same file. Needs: pip install torch transformers gguf llama-cpp-python
usage: python scripts/golden_eight_bits.py   (in the repository's root)
"""
import json

import llama_cpp
import numpy as np
import torch
from transformers import AutoModelForCausalLM

MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
OUT = "tests/golden/eight_bits.json"

peer = llama_cpp.Llama(f"models/{MODEL}", n_ctx=4096, n_batch=512, logits_all=True, verbose=False)
tokens = peer.tokenize(open("tests/golden/prose.txt", "rb").read(), add_bos=False, special=True)
peer.eval(tokens)
exact = AutoModelForCausalLM.from_pretrained("models", gguf_file=MODEL, dtype=torch.float32)
with torch.no_grad():
    exact_logits = exact(torch.tensor([tokens])).logits[0].double()


def log_probabilities(logits):
    rows = torch.log_softmax(logits[:-1], dim=-1)
    return rows[torch.arange(len(tokens) - 1), torch.tensor(tokens[1:])]


moved = log_probabilities(exact_logits) - log_probabilities(
    torch.from_numpy(np.array(peer.scores[: len(tokens)])).double())
result = {"llama_cpp": llama_cpp.__version__, "tokens": len(tokens),
          "exact_loss": float(-log_probabilities(exact_logits).mean()),
          "mean_absolute": float(moved.abs().mean()), "rms": float(moved.square().mean().sqrt())}
json.dump(result, open(OUT, "w"), indent=1)
print(open(OUT).read())
