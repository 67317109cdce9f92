"""gavel against torch + peft and llama.cpp, on the same model and data, one after another.

usage: ./run bench [--threads N] [--quick]

Prints a table and writes bench-out/bench.json. Each figure is the best of several measurements in
this run: on a busy machine the best is what repeats. Every program gets the same number of threads.
"""
import argparse
import importlib.metadata
import json
import os
import re
import subprocess
import sys

MODEL = "models/SmolLM2-135M-Instruct.Q4_1.gguf"
GAVEL = "build/gavel"
OUT = "bench-out"


def gavel(*arguments):
    """Runs gavel; what it prints to stdout."""
    process = subprocess.Popen([GAVEL, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = process.communicate()
    if process.returncode != 0:
        sys.exit(f"bench: gavel {' '.join(arguments)} failed:\n{err}")
    return out


def best_rate(output):
    rates = [float(x) for x in re.findall(r"Train loss .*Tokens/sec (\d+)", output)]
    peak = [float(x) for x in re.findall(r"Peak mem ([\d.]+) GB", output)]
    return max(rates), max(peak)


def gavel_train(data, iters, length, *more, model=MODEL, batch=4):
    return best_rate(gavel(
        "train", "--model", model, "--data", data, "--adapter-path", f"{OUT}/adapter", "--iters", str(iters),
        "--batch-size", str(batch), "--num-layers", "-1", "--val-batches", "0", "--steps-per-report", "2",
        "--max-seq-length", str(length), "--seed", "0", *more))


def gavel_judge(data, pairs, mode, max_tokens):
    """Judgements a second, both orders of each pair, and tokens written for each."""
    gavel("eval", "--model", MODEL, "--data", data, "--limit", str(pairs), "--mode", mode, "-m", str(max_tokens),
          "--output", f"{OUT}/eval", "--overwrite", "--bootstrap", "1")
    base = json.load(open(f"{OUT}/eval/eval.json"))["judges"][0]
    return 2 * pairs / base["speed"]["wall_seconds"], base["metrics"]["tokens"]["value"]


def arithmetic(length, layers):
    """FLOP of a training token of SmolLM2-135M: frozen products forward and back, head, attention."""
    return 4 * (layers * 3_538_944 + 28_311_552) + layers * 3.5 * 4 * 576 * length / 2


def peer(kind, *arguments):
    """Runs one peer in a process of its own; its JSON result, or None with the reason printed."""
    done = subprocess.run([sys.executable, "bench/peer.py", kind, MODEL, *map(str, arguments)],
                          capture_output=True, text=True)
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        print(f"bench: {kind} left out: {last[0]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def prompt_file():
    """A raw prompt of about 512 tokens and a training file of long texts, made of the demo's pairs."""
    rows = [json.loads(line) for line in open(f"{OUT}/demo/data/train.jsonl")]
    text = " ".join(r["question"] + " " + r["answer_a"] + " " + r["answer_b"] for r in rows)
    os.makedirs(f"{OUT}/long", exist_ok=True)
    with open(f"{OUT}/long/train.jsonl", "w") as f:
        for i in range(24):
            f.write(json.dumps({"text": text[i * 3000:i * 3000 + 12000]}) + "\n")
    return text[:2200]


def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--quick", action="store_true", help="fewer iterations")
    args = parser.parse_args()
    os.environ["GAVEL_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(args.threads)
    os.makedirs(OUT, exist_ok=True)
    gavel("demo", "--model", MODEL, "--output", f"{OUT}/demo", "--data-only")
    prompt = prompt_file()
    n = 4 if args.quick else 10
    rows = []

    def row(work, ours, theirs, name, unit="tokens/s", higher=True):
        ratio = None if theirs is None else (ours / theirs if higher else theirs / ours)
        rows.append({"work": work, "gavel": ours, "peer": theirs, "peer_name": name, "unit": unit, "ratio": ratio})
        print(f"{work:58} {ours:9.1f} {'-' if theirs is None else f'{theirs:9.1f}'} {unit:9} "
              f"{'-' if ratio is None else f'{ratio:5.2f}x'}  {name}", flush=True)

    print(f"{'work':58} {'gavel':>9} {'peer':>9}")
    judge, judge_memory = gavel_train(f"{OUT}/demo/data", 2 * n, 512)
    torch_judge = peer("train_judge", f"{OUT}/demo/data/train.jsonl", n)
    row("LoRA training, judge data, batch 4 (real tokens)", judge, torch_judge and torch_judge["rate"], "torch + peft f32")
    rounded, _ = gavel_train(f"{OUT}/demo/data", 2 * n, 512, "--matmul", "int16")
    row("  with --matmul int16", rounded, torch_judge and torch_judge["rate"], "torch + peft f32")
    row("  peak memory", judge_memory, torch_judge and torch_judge["gb"], "torch + peft f32", "GB", False)
    _, small = gavel_train(f"{OUT}/demo/data", 4, 512, "--grad-checkpoint")
    row("  peak memory with --grad-checkpoint", small, torch_judge and torch_judge["gb"], "torch + peft f32, none", "GB", False)
    full, full_memory = gavel_train(f"{OUT}/long", max(4, n // 2), 512, "--no-mask-prompt")
    torch_full = peer("train_full", 4, 512, max(2, n // 4))
    row("LoRA training, every token a target, 4 x 512", full, torch_full and torch_full["rate"], "torch + peft f32")
    rounded, _ = gavel_train(f"{OUT}/long", max(4, n // 2), 512, "--no-mask-prompt", "--matmul", "int16")
    row("  with --matmul int16", rounded, torch_full and torch_full["rate"], "torch + peft f32")
    row("  peak memory", full_memory, torch_full and torch_full["gb"], "torch + peft f32", "GB", False)
    _, small = gavel_train(f"{OUT}/long", 2, 512, "--no-mask-prompt", "--grad-checkpoint")
    row("  peak memory with --grad-checkpoint", small, torch_full and torch_full["gb"], "torch + peft f32, none", "GB", False)

    default = [json.loads(gavel("generate", "--model", MODEL, "--raw", "--json", "-m", "64", "--prompt", prompt)) for _ in range(3)]
    exact = [json.loads(gavel("generate", "--model", MODEL, "--raw", "--json", "-m", "2", "--exact", "--prompt", prompt)) for _ in range(3)]
    best = lambda results, key: max(r[key] for r in results)
    tokens = default[0]["prompt_tokens"]
    llama = peer("llama", tokens, args.threads)
    torch_prompt = peer("prompt", tokens)
    prompt_rate = best(default, "prompt_tokens_per_second")
    row(f"prompt, {tokens} tokens", prompt_rate, llama and llama["prompt"], "llama.cpp, same file")
    row(f"prompt, {tokens} tokens", prompt_rate, torch_prompt and torch_prompt["rate"], "torch f32")
    row(f"prompt, {tokens} tokens, --exact", best(exact, "prompt_tokens_per_second"), torch_prompt and torch_prompt["rate"], "torch f32")
    row("generation, one stream, after that prompt", best(default, "generated_tokens_per_second"), llama and llama["generate"], "llama.cpp, same file")

    test, pairs = f"{OUT}/demo/data/test.jsonl", 16 if args.quick else 48
    for mode, most in (("verdict", 1), ("reason", 64)):
        ours, tokens = gavel_judge(test, pairs, mode, most)
        theirs = peer("judge", test, pairs, most, args.threads)
        wrote = f"; {tokens:.0f} and {theirs['tokens']:.0f} tokens each" if theirs and mode == "reason" else ""
        row(f"judging {pairs} pairs in both orders, {mode}", ours, theirs and theirs["rate"], f"llama.cpp, same file{wrote}", "answers/s")

    # How the cost grows: the rate that the arithmetic alone would lead to is the figure beside it.
    for length, batch in ((1024, 2), (2048, 1)):
        rate, _ = gavel_train(f"{OUT}/long", max(4, n // 2), length, "--no-mask-prompt", batch=batch)
        row(f"LoRA training, every token a target, {batch} x {length}", rate, full * arithmetic(512, 30) / arithmetic(length, 30), "4 x 512 by arithmetic")
    double = f"{OUT}/double.gguf"
    made = subprocess.run([sys.executable, "bench/more_layers.py", MODEL, double], capture_output=True, text=True)
    if made.returncode == 0:
        rate, _ = gavel_train(f"{OUT}/long", max(4, n // 2), 512, "--no-mask-prompt", model=double)
        row("the same, 4 x 512, twice the layers", rate, full * arithmetic(512, 30) / arithmetic(512, 60), "4 x 512 by arithmetic")
        os.remove(double)

    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "")
    versions = {p: version(p) for p in ("torch", "peft", "transformers", "llama-cpp-python")}
    with open(f"{OUT}/bench.json", "w") as f:
        json.dump({"rows": rows, "threads": args.threads, "cpu": cpu, "versions": versions}, f, indent=2)
    print(f"{args.threads} threads; {', '.join(f'{k} {v}' for k, v in versions.items())}; written to {OUT}/bench.json")


if __name__ == "__main__":
    main()
