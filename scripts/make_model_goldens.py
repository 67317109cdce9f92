"""Golden numbers of the embedded model from transformers, torch and peft.

Everything is computed in float64, so that the goldens' own rounding does not count; the script
also prints how far torch's float32 is from it.

usage: python scripts/make_model_goldens.py MODEL.gguf [OUT_DIR]     (needs torch, transformers, peft, gguf)

Writes model_goldens.safetensors: sampled logits, sketches of every LoRA matrix's gradient, and the
losses of 20 AdamW steps with a cosine schedule. LoRA matrices start from values that tests make
again from the same formula, so that nothing large is stored.
"""
import math
import os
import sys

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from safetensors.numpy import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

RANK, SCALE = 8, 2.0
STEPS, WARMUP, PEAK_LR, MIN_LR = 20, 5, 1e-3, 1e-5


def splitmix(seed, count):
    """SplitMix64 as src/base/random.h has it."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def uniform(seed, count):
    """Uniform numbers in [-1, 1)."""
    return (splitmix(seed, count) >> np.uint64(11)).astype(np.float64) * 2.0**-53 * 2.0 - 1.0


def sketch(values, buckets):
    """Signed sums of a vector's entries (the count sketch of Charikar, Chen and Farach-Colton 2002):
    how far two vectors' sketches are apart is about how far the vectors are, to a share of
    1 / sqrt(2 buckets), also where a few entries are most of it (in some gradients they are, and
    picking every n-th entry would miss them, or count them n times)."""
    random = splitmix(1, values.size)
    signs = 1.0 - 2.0 * (random & np.uint64(1)).astype(np.float64)
    return np.bincount(((random >> np.uint64(32)) % np.uint64(buckets)).astype(np.int64),
                       signs * values, buckets).astype(np.float32)


# Prompts and answers in the chat form that a judge is trained on; only the answers carry loss. (The
# loss on a sequence's very first tokens is left out on purpose: the model keeps huge activations
# there, and float32 gradients of that loss differ between any two programs by 1e-3.)
TEXTS = [
    ("Which answer is better? Question: What is 7 + 5? Answer A: It is 12. Answer B: It is 13, I think.",
     "Answer B has the wrong sum; Answer A is right.\n\n**Verdict:** A"),
    ("What is known about the capital of France?",
     "The capital of France is Paris, a city on the Seine that is known for its museums, its food and "
     "the tower that Gustave Eiffel's company built for the fair of 1889. Some two million people live there."),
    ("Compare the two answers and say which of them follows the instruction. Instruction: name three "
     "colours, nothing else. A: red, green, blue. B: I like colours very much!",
     "Answer A follows it.\n\n**Verdict:** A"),
    ("Write the mean in Python.",
     "def mean(values):\n    return sum(values) / len(values)\n\nprint(mean([1, 2, 3]))"),
]


def examples(tokenizer):
    """(tokens, prompt_length) of the examples that every test uses."""
    result = []
    for prompt, answer in TEXTS:
        head = tokenizer(f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n")["input_ids"]
        ids = head + tokenizer(f"{answer}<|im_end|>\n")["input_ids"]
        result.append((np.array(ids, np.int64), len(head)))
    return result


def lora_start(model):
    for index, (name, p) in enumerate(sorted(lora_parameters(model).items())):
        bound = 0.05 if name.endswith("lora_a") else 0.002
        value = uniform(7000 + index, p.numel()).astype(np.float32) * np.float32(bound)
        # Kept transposed in torch: ours are [in, r] and [r, out].
        p.data = torch.from_numpy(value.reshape(p.shape[1], p.shape[0])).T.contiguous()


def lora_parameters(model):
    found = {}
    for name, p in model.named_parameters():
        if "lora_" not in name:
            continue
        layer = int(name.split(".layers.")[1].split(".")[0])
        module = name.split(".layers.")[1].split(".", 1)[1].split(".lora_")[0]
        kind = "lora_a" if "lora_A" in name else "lora_b"
        found[f"{layer:03d}.{module}.{kind}"] = p
    return found


def batch_loss(model, batch):
    """Mean over the loss-carrying tokens of all examples, each run alone (no padding)."""
    total, count = 0.0, 0
    for ids, prompt in batch:
        x = torch.from_numpy(ids)[None]
        logits = model(x[:, :-1]).logits[0]
        if logits.dtype == torch.bfloat16:  # as transformers' own loss does
            logits = logits.float()
        targets = x[0, 1:]
        keep = torch.arange(1, len(ids)) >= max(prompt, 1)
        losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
        total = total + losses[keep].sum()
        count += int(keep.sum())
    return total / count


def learning_rate(step):
    if step < WARMUP:
        return PEAK_LR * step / WARMUP
    part = (step - WARMUP) / (STEPS - WARMUP)
    return MIN_LR + (PEAK_LR - MIN_LR) * 0.5 * (1 + math.cos(math.pi * part))


def with_lora(model):
    model = get_peft_model(model, LoraConfig(
        r=RANK, lora_alpha=int(RANK * SCALE), lora_dropout=0.0,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]))
    lora_start(model)
    return model


def gradients(model, batch):
    model.zero_grad()
    loss = batch_loss(model, batch)
    loss.backward()
    return loss.item(), {name: p.grad.T.contiguous().double().numpy().reshape(-1)
                         for name, p in lora_parameters(model).items()}


def loss_curve(model, batch):
    params = [p for _, p in sorted(lora_parameters(model).items())]
    opt = torch.optim.AdamW(params, lr=1.0, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
    curve = []
    for step in range(STEPS):
        opt.param_groups[0]["lr"] = learning_rate(step)
        loss = batch_loss(model, batch[step % 2 :: 2])
        opt.zero_grad()
        loss.backward()
        opt.step()
        curve.append(loss.item())
    return curve


def main():
    gguf = os.path.realpath(sys.argv[1])
    out_dir = sys.argv[2] if len(sys.argv) > 2 else os.path.join(os.path.dirname(__file__), "../tests/golden")
    where = dict(pretrained_model_name_or_path=os.path.dirname(gguf), gguf_file=os.path.basename(gguf))
    tokenizer = AutoTokenizer.from_pretrained(**where)
    model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    batch = examples(tokenizer)
    out = {}
    for i, (ids, prompt) in enumerate(batch):
        out[f"tokens.{i}"] = ids.astype(np.int32)
        out[f"prompt_length.{i}"] = np.array([prompt], np.int32)
    with torch.no_grad():
        ids = torch.from_numpy(batch[1][0])[None]
        single = model(ids).logits[0].double().numpy()
        logits = model.double()(ids).logits[0].numpy()
        rows = [0, len(logits) // 2, len(logits) - 1]
        print("logits, torch float32 against float64:", np.linalg.norm(single - logits) / np.linalg.norm(logits))
        out["logits.rows"] = logits[rows, ::24].astype(np.float32)
        out["logits.argmax"] = logits.argmax(-1).astype(np.int32)

    model = with_lora(torch.nn.Module.float(model))
    _, single = gradients(model, batch)
    loss, exact = gradients(model.double(), batch)
    worst = max((np.linalg.norm(single[n] - exact[n]) / np.linalg.norm(exact[n]), n) for n in exact)
    print("gradients, torch float32 against float64, the worst matrix:", worst)
    out["loss"] = np.array([loss])
    for name, grad in exact.items():
        out[f"grad.{name}"] = sketch(grad, 128)
        out[f"norm.{name}"] = np.array([np.linalg.norm(grad)])

    lora_start(model)
    curve = loss_curve(torch.nn.Module.float(model), batch)
    out["curve"] = np.array(curve)
    print("loss", out["loss"], "curve", curve)
    save_file(out, os.path.join(out_dir, "model_goldens.safetensors"))


if __name__ == "__main__":
    main()
