"""Golden numbers of ranked pairs (form rank) from transformers, torch and peft, in float64.

usage: python scripts/make_rank_goldens.py MODEL.gguf [OUT_DIR]     (needs torch, transformers, peft, gguf)

Writes rank_goldens.safetensors: of two pairs the tokens of their four answers, the answers' scores
(the log-odds of " yes" over " no"), the Bradley-Terry loss with label smoothing, the second pair
being a tie, and a sketch of its gradient in every LoRA matrix. LoRA starts as in
make_model_goldens.py.
"""
import os
import sys

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from make_model_goldens import lora_parameters, lora_start, sketch, with_lora

SMOOTHING = 0.1
# Question, two answers, and how far the first one wins.
PAIRS = [
    ("What is 7 + 5?", "It is 12.", "I think that it is 13, but one would have to count.", 1.0),
    ("Name a colour.", "Red.", "Blue, for example: the sky's.", 0.5),
]
PROMPT = ("<|im_start|>system\nYou are a fair judge of answers.<|im_end|>\n<|im_start|>user\n"
          "Question: {}\n\nAnswer: {}\n\nIs this a good answer?<|im_end|>\n<|im_start|>assistant\n**Verdict:**")


def score(model, ids, choice):
    logits = model(torch.tensor([ids])).logits[0, -1]
    return logits[choice[0]] - logits[choice[1]]


def main():
    gguf = os.path.realpath(sys.argv[1])
    out_dir = sys.argv[2] if len(sys.argv) > 2 else os.path.join(os.path.dirname(__file__), "../tests/golden")
    where = dict(pretrained_model_name_or_path=os.path.dirname(gguf), gguf_file=os.path.basename(gguf))
    tokenizer = AutoTokenizer.from_pretrained(**where)
    choice = [tokenizer(word)["input_ids"][0] for word in (" yes", " no")]
    model = with_lora(AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)).double()
    lora_start(model)
    model.double()
    out = {"choice": np.array(choice, np.int32), "smoothing": np.array([SMOOTHING], np.float32)}
    losses, scores = [], []
    for i, (question, a, b, wins) in enumerate(PAIRS):
        pair = []
        for k, answer in enumerate((a, b)):
            ids = tokenizer(PROMPT.format(question, answer))["input_ids"]
            out[f"tokens.{i}.{k}"] = np.array(ids, np.int32)
            pair.append(score(model, ids, choice))
        wanted = torch.tensor(wins * (1 - SMOOTHING) + SMOOTHING / 2, dtype=torch.float64)
        losses.append(torch.nn.functional.binary_cross_entropy_with_logits(pair[0] - pair[1], wanted))
        scores += [s.item() for s in pair]
    loss = torch.stack(losses).mean()
    loss.backward()
    out["scores"] = np.array(scores)
    out["loss"] = np.array([loss.item()])
    for name, p in lora_parameters(model).items():
        grad = p.grad.T.contiguous().double().numpy().reshape(-1)
        out[f"grad.{name}"] = sketch(grad, 32)
        out[f"norm.{name}"] = np.array([np.linalg.norm(grad)])
    print("scores", scores, "loss", loss.item())
    save_file(out, os.path.join(out_dir, "rank_goldens.safetensors"))


if __name__ == "__main__":
    main()
