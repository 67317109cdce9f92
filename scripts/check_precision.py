"""Does a cheaper arithmetic write and judge as float32 does?

usage: check_precision.py MODEL [--prompts FILE] [--pairs FILE] [--adapter DIR] [--limit N] [-- FLAG ...]

Prompts (JSONL with "prompt" or "question", or PandaLM's JSON) get 32 greedy tokens with --exact and
with FLAG (none: the default); pairs (what `gavel eval` takes) are judged in both orders, in mode
verdict, both ways. Prints how many texts and verdicts are the same, where texts part, and how far
the verdicts' probabilities are apart. Needs build/gavel.
"""
import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile

GAVEL = os.environ.get("GAVEL", "build/gavel")


def gavel(*arguments):
    done = subprocess.run([GAVEL, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"gavel {' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout


def read_prompts(path, limit):
    """Different prompts of under 900 characters, spread evenly over the file."""
    text = open(path).read()
    rows = json.loads(text) if text.lstrip().startswith("[") else [json.loads(l) for l in text.splitlines() if l.strip()]
    prompts = {}
    for r in rows:
        prompt = r.get("prompt") or r.get("question") or "\n".join(p for p in (r.get("instruction"), r.get("input")) if p)
        if prompt and len(prompt) < 900:
            prompts[prompt] = True
    prompts = list(prompts)
    step = max(1, len(prompts) // limit)
    return prompts[::step][:limit]


def tokens(args, prompt, flags):
    more = ["--adapter-path", args.adapter] if args.adapter else []
    out = gavel("generate", "--model", args.model, *more, "--json", "-m", "32", "--prompt", prompt, *flags)
    return json.loads(out)["tokens"]


def check_prompts(args):
    prompts = read_prompts(args.prompts, args.limit)
    parted = collections.Counter()
    for prompt in prompts:
        exact, other = tokens(args, prompt, ["--exact"]), tokens(args, prompt, args.flags)
        if exact != other:
            at = next((i for i, (a, b) in enumerate(zip(exact, other)) if a != b), min(len(exact), len(other)))
            parted[at] += 1
    same = len(prompts) - sum(parted.values())
    early = sum(n for at, n in parted.items() if at < 6)
    print(f"prompts: {same} of {len(prompts)} the same ({100 * same / len(prompts):.1f}%); "
          f"{early} part within the first 6 tokens; parted at {sorted(parted.elements())}")


def judged(args, folder, flags):
    more = ["--adapter-path", args.adapter, "--no-base"] if args.adapter else []
    gavel("eval", "--model", args.model, *more, "--data", args.pairs, "--limit", str(args.limit), "--mode", "verdict",
          "--output", folder, "--overwrite", "--bootstrap", "1", *flags)
    rows = map(json.loads, open(f"{folder}/judgements.jsonl"))
    return {r["index"]: r for r in rows if "index" in r}


def check_pairs(args):
    with tempfile.TemporaryDirectory() as folder:
        exact = judged(args, f"{folder}/exact", ["--exact"])
        other = judged(args, f"{folder}/other", args.flags)
    orders = ("verdict_ab", "verdict_ba")
    same = sum(exact[k][o] == other[k][o] for k in exact for o in orders)
    gaps = sorted(max(abs(a - b) for a, b in zip(exact[k]["probabilities"], other[k]["probabilities"])) for k in exact)
    print(f"verdicts: {same} of {2 * len(exact)} the same ({50 * same / len(exact):.2f}%); probabilities apart by "
          f"{100 * gaps[len(gaps) // 2]:.3f} points (median), {100 * gaps[int(0.99 * len(gaps))]:.3f} (99%), {100 * gaps[-1]:.3f} (most)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--prompts")
    parser.add_argument("--pairs")
    parser.add_argument("--adapter")
    parser.add_argument("--limit", type=int, default=200)
    own, _, flags = "\0".join(sys.argv[1:]).partition("\0--\0")
    args = parser.parse_args(own.split("\0"))
    args.flags = flags.split("\0") if flags else []
    if args.prompts:
        check_prompts(args)
    if args.pairs:
        check_pairs(args)


if __name__ == "__main__":
    main()
