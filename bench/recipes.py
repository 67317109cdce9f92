"""Trains judges of the same labelled pairs by several recipes and sizes of training set, and measures
each on held-out sets, beside the base model and what needs no judge (always the longer answer, always
the set's commoner label), as one table with 95% bootstrap intervals:
python3 bench/recipes.py --gavel build/gavel --model MODEL --train pairs.jsonl[.xz] --output DIR
        --set NAME=FILE [--set NAME=FILE ...] [--sizes 500,5000,all] [--recipes NAMES]
        [--base pair,rank] [--only SIZE/RECIPE,...] [--alike REGEX]

Every size validates on the same pairs (--valid of them, by question, the nearly same ones left out of
training), which also fit the temperature (`scaled`: at it, pairs unlike the validation's told as surely).
Ties are left out of what is measured, so that a judge who says tie is wrong. Pairs are judged in both
orders and their probabilities averaged; `consistency` says how often the orders agree. DIR/results.json
collects the runs of several calls, DIR/table.md is made of all of them, and DIR/SIZE/RECIPE holds the
adapter and scores.jsonl: one line a held-out pair, with its probabilities before calibration.
"""
import argparse
import gzip
import json
import lzma
import math
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time

ALL = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj"
SHORT = {"rate": "--learning-rate", "rank": "--lora-rank", "alpha": "--lora-alpha",
         "targets": "--lora-targets", "smooth": "--label-smoothing", "dropout": "--lora-dropout",
         "seed": "--seed"}
RANK = {"form": "rank", "rate": 1e-3, "rank": 16, "alpha": 32, "targets": ALL, "passes": 1}
PAIR = {**RANK, "form": "pair", "rate": 5e-4}
# What each changes; `passes` multiplies the epochs that suit the number of pairs, `alike` trains on
# those only whose id --alike matches: of the sources that are like what is to be judged.
RECIPES = {
    "rank": RANK,
    "rank-smooth": {**RANK, "smooth": 0.1},
    "rank-gentle": {**RANK, "rate": 3e-4},
    "rank-qv8": {**RANK, "rank": 8, "alpha": 16, "targets": "q_proj,v_proj"},
    "rank-r4": {**RANK, "rank": 4, "alpha": 8},
    "rank-r64": {**RANK, "rank": 64, "alpha": 128, "rate": 5e-4},
    "rank-twice": {**RANK, "passes": 2},
    "rank-half": {**RANK, "passes": 0.5},
    "rank-quarter": {**RANK, "passes": 0.25},
    "rank-alike": {**RANK, "alike": True},
    "rank-alike-half": {**RANK, "alike": True, "passes": 0.5},
    "rank-qv8-gentle": {**RANK, "rank": 8, "alpha": 16, "targets": "q_proj,v_proj", "rate": 3e-4},
    "rank-dropout": {**RANK, "dropout": 0.1},
    "rank-seed1": {**RANK, "seed": 1},
    "rank-seed2": {**RANK, "seed": 2},
    "pair": PAIR,
    "pair-gentle": {**PAIR, "rate": 2e-4},
    "pair-once": {**PAIR, "swap": False},
}
# Of the measures of eval.json, those that are shown.
SHOWN = {"agreement": "agreement", "balanced": "agreement_balanced",
         "shorter_wins": "agreement_shorter", "consistency": "consistency"}
COLUMNS = [*SHOWN, "ece", "ece_scaled", "confidence", "confidence_scaled", "surest_quarter"]


def run(*command, limit=None):
    """A program that must succeed, or that is interrupted (as by Ctrl-C) after `limit` seconds."""
    with subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:
        stopped = False
        try:
            _, errors = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            stopped = True
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate()
    if process.returncode != 0 and not stopped:
        raise RuntimeError((errors.strip() or f"exit code {process.returncode}").splitlines()[-1])


def records(path):
    opened = {".xz": lzma.open, ".gz": gzip.open}.get(pathlib.Path(path).suffix, open)
    with opened(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


def prepare(args, source, out, split, *more):
    run(args.gavel, "prepare", source, "-o", out, "--split", split, "--show", 0, "--samples", 1,
        *more)


def divide(args):
    """The pairs to train on, in a drawn order, and those to validate on: no question is in both."""
    rows = records(args.train)
    for row in rows:
        row.pop("reason", None)  # verdicts alone are learned
    questions = sorted({row["question"] for row in rows})
    random.Random(args.seed).shuffle(questions)
    place = {q: i for i, q in enumerate(questions)}
    count, valid = 0, set()
    for question in reversed(questions):
        if count >= args.valid:
            break
        valid.add(question)
        count += sum(row["question"] == question for row in rows)
    held = [row for row in rows if row["question"] in valid]
    rest = [row for row in rows if row["question"] not in valid]
    return sorted(rest, key=lambda row: place[row["question"]]), held


def held_out(args, held):
    """One file of all that is measured, with the set's name as category; ties are left out."""
    joined = args.output / "sets.jsonl"
    sets = [(name, pathlib.Path(path)) for name, path in (s.split("=", 1) for s in args.set)]
    write(args.output / "valid.jsonl", held)
    rows = []
    for name, path in [("validation", args.output / "valid.jsonl"), *sets]:
        out = args.output / "prepared" / name
        prepare(args, path, out, "0,0,1", "--ties", "drop")
        keep = ("id", "question", "answer_a", "answer_b", "label", "reference")
        chosen = records(out / "test.jsonl")[:args.set_limit]
        rows += [{**{k: r[k] for k in keep if k in r}, "category": name} for r in chosen]
    write(joined, rows)
    return joined, rows


def settings(recipe, pairs):
    """Passes and batch that suit the number of pairs: some 100 steps at the least."""
    epochs = (8 if pairs <= 1000 else 2) * recipe["passes"]
    at_once = 8 if pairs <= 1000 else 32  # pairs
    examples = pairs * (1 if recipe["form"] == "pair" and not recipe.get("swap", True) else 2)
    batch = at_once * 2  # answers, or pairs in both orders
    steps = max(1, math.ceil(examples * epochs / batch))
    flags = [x for k, v in recipe.items() if k in SHORT for x in (SHORT[k], v)]
    length = 1024 if recipe["form"] == "rank" else 2048
    return steps, ["--iters", steps, "--batch-size", batch, "--num-layers", -1, *flags,
                   "--lr-schedule", "cosine", "--warmup", max(1, min(30, steps // 10)),
                   "--clip-grad-norm", 1, "--max-seq-length", length,
                   "--batch-order", "shuffled", "--steps-per-report", max(1, steps // 20),
                   "--steps-per-eval", max(1, math.ceil(steps / 5)), "--val-batches", -1,
                   "--save-every", 1000000]


def measure(rows, judged, metrics, joined_scale):
    """Of one set, from its measures in eval.json and the judgements of its pairs."""
    def sure(probabilities):  # of A, B, tie; of a pair that is longer than the model's context none
        return max(probabilities[:2]) if probabilities else 0.0

    right = [j["verdict"] == r["label"] for r, j in zip(rows, judged)]
    raw = [sure(j.get("probabilities")) for j in judged]
    scaled = [joined_scale(p) for p in raw]
    order = sorted(range(len(rows)), key=lambda i: -raw[i])[:max(1, len(rows) // 4)]
    result = {"pairs": len(rows)}
    for ours, theirs in SHOWN.items():
        found = metrics[theirs]
        result[ours] = found["value"]
        result[ours + "_interval"] = [found["low"], found["high"]]
    return {**result, "ece": calibration_error(raw, right), "ece_scaled": calibration_error(scaled, right),
            "confidence": sum(raw) / len(raw), "confidence_scaled": sum(scaled) / len(scaled),
            "surest_quarter": sum(right[i] for i in order) / len(order), "surest_pairs": len(order)}


def calibration_error(confidence, right):
    bins = {}
    for c, ok in zip(confidence, right):
        bins.setdefault(min(9, max(0, math.ceil(c * 10) - 1)), []).append((c, ok))
    return sum(abs(sum(c for c, _ in b) - sum(ok for _, ok in b)) for b in bins.values()) / len(right)


def temperature_of(entry):
    scale = entry.get("temperature") or 1

    def scaled(p):
        p = min(max(p, 1e-9), 1 - 1e-9)
        return 1 / (1 + math.exp(-math.log(p / (1 - p)) / scale))
    return scaled


def evaluate(args, judge, out, joined, valid, rows):
    """Measures of each set, the temperature, and what needs no judge. `judge`: gavel's flags for it."""
    run(args.gavel, "eval", "--model", args.model, *judge, "--data", joined, "--mode", "verdict",
        "--both-orders", "--group-by", "category", "--calibrate", valid, "--bootstrap", 1000,
        "--batch-size", args.batch, "--output", out, "--overwrite", *args.device)
    evaluation = json.load(open(out / "eval.json"))
    judged = {j["index"]: j for j in records(out / "judgements.jsonl")
              if "index" in j and " (" not in j["judge"]}
    judged = [judged[i] for i in range(len(rows))]
    (out / "judgements.jsonl").unlink()  # has the texts; what is needed of it is kept
    write(out / "scores.jsonl", (
        {"set": r["category"], "id": r.get("id"), "label": r["label"], "verdict": j["verdict"],
         "verdict_ba": j["verdict_ba"], "scores": j.get("scores"), "probabilities": j.get("probabilities"),
         "length_a": len(r["answer_a"]), "length_b": len(r["answer_b"])} for r, j in zip(rows, judged)))
    entry = evaluation["judges"][0]
    groups = {g["value"]: g for g in evaluation["groups"][0]["groups"]}
    sets, longer, commoner = {}, {}, {}
    for name in dict.fromkeys(r["category"] for r in rows):
        places = [i for i, r in enumerate(rows) if r["category"] == name]
        sets[name] = measure([rows[i] for i in places], [judged[i] for i in places],
                             groups[name]["judges"][0]["metrics"], temperature_of(entry))
        found = groups[name]["baselines"]
        for into, key in ((longer, "always_longer"), (commoner, "majority")):
            into[name] = {"pairs": len(places), "agreement": found[key]["value"],
                          "agreement_interval": [found[key]["low"], found[key]["high"]]}
        commoner[name]["label"] = found["label"]
    without = [{"size": "0", "recipe": "always the longer", "pairs": 0, "sets": longer},
               {"size": "0", "recipe": "always the commoner label", "pairs": 0, "sets": commoner}]
    return sets, entry.get("temperature"), without


def decided(args, valid_file, out, form):
    """The pairs to fit the temperature on, and the form's template beside them."""
    prepare(args, valid_file, out, "0,1,0", "--ties", "drop", "--form", form)
    return out / "valid.jsonl"


def base(args, form, joined, rows):
    out = args.output / "base" / form
    shutil.rmtree(out, ignore_errors=True)
    valid = decided(args, args.output / "valid.jsonl", out / "decided", form)
    begun = time.time()
    sets, temperature, without = evaluate(
        args, ["--template", out / "decided" / "template.txt"], out, joined, valid, rows)
    shutil.rmtree(out / "decided")
    return [*without, {"size": "0", "recipe": f"base, {form}", "pairs": 0,
                       "eval_seconds": time.time() - begun, "temperature": temperature, "sets": sets}]


def attempt(args, size, name, pool, joined, rows):
    recipe = RECIPES[name]
    if recipe.get("alike"):
        pool = [row for row in pool if re.search(args.alike, str(row.get("id", "")))]
    pairs = len(pool) if size == "all" else min(int(size), len(pool))
    out = args.output / size / name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    write(out / "raw.jsonl", pool[:pairs])
    swap = ["--swap-augment"] if recipe["form"] == "pair" and recipe.get("swap", True) else []
    valid_file = args.output / "valid.jsonl"
    prepare(args, out / "raw.jsonl", out / "data", "1,0,0", "--form", recipe["form"], "--exclude",
            valid_file, *swap)
    prepare(args, valid_file, out / "valid", "0,1,0", "--form", recipe["form"])
    shutil.move(out / "valid" / "valid.jsonl", out / "data" / "valid.jsonl")
    valid = decided(args, valid_file, out / "decided", recipe["form"])
    steps, flags = settings(recipe, pairs)
    begun = time.time()
    run(args.gavel, "train", "--model", args.model, "--data", out / "data", "--adapter-path",
        out / "judge", *flags, *args.device, limit=args.train_limit)
    seconds = time.time() - begun
    log = records(out / "judge" / "metrics.jsonl")
    done = max(e["step"] for e in log if e["event"] == "train")
    losses = [(e["loss"], e["step"]) for e in log if e["event"] == "valid"]
    begun = time.time()
    sets, temperature, without = evaluate(
        args, ["--adapter-path", out / "judge" / "best", "--no-base"], out, joined, valid, rows)
    for gone in ("data", "valid", "decided", "raw.jsonl"):
        shutil.rmtree(out / gone) if (out / gone).is_dir() else (out / gone).unlink()
    for kept in (out / "judge").iterdir():  # checkpoints take room; best/ is what was measured
        if kept.is_dir() and kept.name != "best":
            shutil.rmtree(kept)
        elif kept.suffix == ".safetensors":
            kept.unlink()
    return [*without, {
        "size": size, "recipe": name, "pairs": pairs, "steps": steps, "done": done,
        "flags": " ".join(map(str, flags)), "seconds": seconds, "eval_seconds": time.time() - begun,
        "valid_loss": min(losses)[0], "best_step": min(losses)[1], "temperature": temperature,
        "sets": sets}]


def table(results):
    head = ["pairs", "recipe", "set", *(c.replace("_", " ") for c in COLUMNS), "valid. loss, step", "s"]
    lines = ["| " + " | ".join(head) + " |",
             "|---" * (len(COLUMNS) + 5) + "|"]
    # What needs no judge comes first, then the base model.
    for r in sorted(results, key=lambda r: (r["size"] != "0", r["recipe"].startswith("base"))):
        for name, m in r["sets"].items():
            cells = []
            for column in COLUMNS:
                value = m.get(column)
                text = "-" if value is None else f"{100 * value:.1f}"
                interval = m.get(column + "_interval")
                if interval and None not in interval:
                    text += f" [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"
                cells.append(text)
            steps = (f"{r['valid_loss']:.3f}, {r['best_step']} of {r['done']}/{r['steps']}"
                     if "steps" in r else "-")
            recipe = r["recipe"] + (f", {m['label']}" if "label" in m else "")
            row = [str(r["pairs"]), recipe, f"{name} ({m['pairs']})", *cells, steps,
                   f"{r['seconds']:.0f}" if "seconds" in r else "-"]
            lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter,
                                     description=__doc__)
    parser.add_argument("--gavel", default="build/gavel")
    parser.add_argument("--model", required=True)
    parser.add_argument("--train", required=True,
                        help="labelled pairs: question, answer_a, answer_b, label")
    parser.add_argument("--set", action="append", required=True, metavar="NAME=FILE")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--sizes", default="500,5000,all")
    parser.add_argument("--recipes", default="rank,rank-smooth,rank-gentle,pair",
                        help="of " + ", ".join(RECIPES))
    parser.add_argument("--base", default="pair,rank", metavar="FORMS",
                        help="the base model, asked for a verdict on a pair or for a score of each "
                             "answer; empty: not at all")
    parser.add_argument("--only", default="", metavar="SIZE/RECIPE,...",
                        help="these, whatever --sizes and --recipes say")
    parser.add_argument("--valid", type=int, default=400, help="pairs to validate on")
    parser.add_argument("--alike", default="", metavar="REGEX", help="of the recipes rank-alike")
    parser.add_argument("--set-limit", type=int, help="the first so many pairs of each set")
    parser.add_argument("--train-limit", type=float, metavar="SECONDS",
                        help="stop a training after so long; its best step so far is measured")
    parser.add_argument("--batch", type=int, default=64, help="prompts at a time in eval")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", action="append", default=[], help="gavel's --device")
    args = parser.parse_args()
    args.device = ["--device", args.device[-1]] if args.device else []
    wanted = [tuple(w.split("/")) for w in args.only.split(",") if w] or [
        (s, r) for s in args.sizes.split(",") if s for r in args.recipes.split(",")]
    for form in args.base.split(","):
        if form not in ("", "pair", "rank"):
            sys.exit(f"recipes.py: --base {form}: the forms are pair and rank")
    for size, name in wanted:
        if name not in RECIPES or not (size == "all" or size.isdigit()):
            known = ", ".join(RECIPES)
            sys.exit(f"recipes.py: {size}/{name}: no such size or recipe; recipes are {known}")
    args.output.mkdir(parents=True, exist_ok=True)
    pool, held = divide(args)
    joined, rows = held_out(args, held)
    kept = args.output / "results.json"
    results = json.load(open(kept)) if kept.exists() else []
    forms = [f for f in args.base.split(",") if f]
    for size, name in [("base", f) for f in forms] + wanted:
        try:
            new = (base(args, name, joined, rows) if size == "base" else
                   attempt(args, size, name, pool, joined, rows))
        except (RuntimeError, OSError, KeyError, ValueError) as e:
            print(f"{size}/{name} failed: {e}", file=sys.stderr, flush=True)
            continue
        known = {(r["size"], r["recipe"]) for r in new}
        results = [r for r in results if (r["size"], r["recipe"]) not in known] + new
        kept.write_text(json.dumps(results, indent=1) + "\n")
        (args.output / "table.md").write_text(table(results))
        print(table(new[-1:]), flush=True)
    print(table(results))


if __name__ == "__main__":
    main()
