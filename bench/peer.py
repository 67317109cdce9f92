"""One peer's figure, as JSON on the last line of stdout.

usage: peer.py train_judge MODEL.gguf TRAIN.jsonl STEPS | train_full MODEL.gguf BATCH LENGTH STEPS
       peer.py prompt MODEL.gguf TOKENS | llama MODEL.gguf TOKENS THREADS
       peer.py judge MODEL.gguf TEST.jsonl PAIRS MAX_TOKENS THREADS   (MAX_TOKENS 1: the verdict only)
"""
import json
import os
import random
import re
import resource
import sys
import time


def load(path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    real = os.path.realpath(path)
    where = dict(pretrained_model_name_or_path=os.path.dirname(real), gguf_file=os.path.basename(real))
    return AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32, attn_implementation="sdpa"), where


def lora(model):
    import torch
    from peft import LoraConfig, get_peft_model
    model = get_peft_model(model, LoraConfig(r=8, lora_alpha=160, target_modules=["q_proj", "v_proj"]))
    return model, torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)


def peak_gb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def steps(model, optimizer, batches):
    best = 0.0
    for x, labels, mask, real in batches:
        start = time.time()
        model(input_ids=x, labels=labels, attention_mask=mask).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        best = max(best, real / (time.time() - start))
    return {"rate": best, "gb": peak_gb()}


def train_judge(path, data, count):
    import torch
    from transformers import AutoTokenizer
    model, where = load(path)
    tokenizer = AutoTokenizer.from_pretrained(**where)
    model, optimizer = lora(model)
    rows = [json.loads(line)["messages"] for line in open(data)]
    random.Random(0).shuffle(rows)
    batches = []
    for i in range(int(count)):
        pairs = []
        for messages in rows[4 * i:4 * i + 4]:
            text = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages[:-1])
            head = tokenizer(text + "<|im_start|>assistant\n")["input_ids"]
            pairs.append((head, head + tokenizer(messages[-1]["content"] + "<|im_end|>\n")["input_ids"]))
        longest = max(len(ids) for _, ids in pairs)
        pad = lambda values, fill: torch.tensor([v + [fill] * (longest - len(v)) for v in values])
        batches.append((pad([ids for _, ids in pairs], 0), pad([[-100] * len(h) + ids[len(h):] for h, ids in pairs], -100),
                        pad([[1] * len(ids) for _, ids in pairs], 0), sum(len(ids) for _, ids in pairs)))
    return steps(model, optimizer, batches)


def train_full(path, batch, length, count):
    import torch
    model, _ = load(path)
    model, optimizer = lora(model)
    batch, length = int(batch), int(length)
    batches = []
    for _ in range(int(count)):
        x = torch.randint(100, 48000, (batch, length))
        batches.append((x, x, torch.ones_like(x), batch * length))
    return steps(model, optimizer, batches)


def prompt(path, tokens):
    import torch
    model, _ = load(path)
    x = torch.randint(100, 48000, (1, int(tokens)))
    best = 0.0
    with torch.no_grad():
        for _ in range(4):
            start = time.time()
            model(x, logits_to_keep=1)
            best = max(best, int(tokens) / (time.time() - start))
    return {"rate": best}


def llama(path, tokens, threads):
    from llama_cpp import Llama
    model = Llama(path, n_ctx=2048, n_threads=int(threads), n_threads_batch=int(threads), n_batch=512, verbose=False)
    ids = [random.Random(1).randrange(100, 40000) for _ in range(int(tokens))]
    best = {"prompt": 0.0, "generate": 0.0}
    for _ in range(3):
        model.reset()
        start = time.time()
        model.eval(ids)
        best["prompt"] = max(best["prompt"], len(ids) / (time.time() - start))
        start = time.time()
        for i in range(64):
            model.eval([ids[i]])
        best["generate"] = max(best["generate"], 64 / (time.time() - start))
    return best


def judge(path, data, pairs, max_tokens, threads):
    """Both orders of each pair, one after another; llama.cpp keeps what a prompt shares with the last."""
    from llama_cpp import Llama
    model = Llama(path, n_ctx=2048, n_threads=int(threads), n_threads_batch=int(threads), n_batch=512, verbose=False)
    prompts = []
    for line in list(open(data))[:int(pairs)]:
        system, user = json.loads(line)["messages"][:2]
        head, a, b, tail = re.match(r"(.*?\n\nAnswer A: )(.*)(?:\n\nAnswer B: )(.*)(\n\nWhich answer.*)", user["content"], re.S).groups()
        for first, second in ((a, b), (b, a)):
            text = f"<|im_start|>system\n{system['content']}<|im_end|>\n<|im_start|>user\n{head}{first}\n\nAnswer B: {second}{tail}<|im_end|>\n<|im_start|>assistant\n"
            prompts.append(text + ("**Verdict:**" if int(max_tokens) == 1 else ""))
    prompts = [model.tokenize(p.encode(), add_bos=False, special=True) for p in prompts]
    written, start = 0, time.time()
    for p in prompts:
        written += model.create_completion(p, max_tokens=int(max_tokens), temperature=0)["usage"]["completion_tokens"]
    return {"rate": len(prompts) / (time.time() - start), "tokens": written / len(prompts)}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
