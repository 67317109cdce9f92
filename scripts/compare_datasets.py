#!/usr/bin/env python3
"""`gavel prepare` against the datasets library doing the same mapping: JudgeLM's rows or plain pairs
read, the messages of the judging prompt made, split, three JSONL files written. (gavel also looks for
duplicates, and for questions that are nearly the same.) Prints seconds and peak memory of each, of a
process of its own.

Needs datasets for the comparison (--peer). usage: compare_datasets.py [--rows N] [--form pairs]
    [--peer] [--gavel build/gavel]
"""
import argparse
import json
import pathlib
import random
import resource
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORDS = 20000


def make(path, rows, form):
    """Rows of some 2.2 kB whose words are random, as many as JudgeLM's have."""
    r = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(r.choices(letters, k=r.randint(2, 9))) for _ in range(WORDS)]

    def text(low, high):
        return " ".join(r.choices(words, k=r.randint(low, high))).capitalize() + "."

    def answer():
        return "\n".join(text(10, 30) for _ in range(r.randint(2, 8)))

    with open(path, "w") as out:
        for i in range(rows):
            question, one, two = f"{text(8, 40)} ({i})", answer(), answer()
            if form == "judgelm":
                scores = [r.randint(1, 10), r.randint(1, 10)]
                row = {"question_id": i, "question_body": question, "answer1_body": one,
                       "answer2_body": two, "score": scores, "reference": {"text": text(20, 20)},
                       "text": f"{scores[0]} {scores[1]}\nAssistant 1 is \"good\". {text(60, 60)}"}
            else:
                row = {"id": i, "question": question, "answer_a": one, "answer_b": two,
                       "label": "AB"[i % 2]}
            out.write(json.dumps(row) + "\n")


PEER = '''
import sys, datasets
path, out, form = sys.argv[1:]
datasets.disable_progress_bars()
def judgelm(r):
    scores = r["score"]
    label = "A" if scores[0] > scores[1] else "B" if scores[1] > scores[0] else "tie"
    prompt = (f"Question: {r['question_body']}\\n\\nAnswer A: {r['answer1_body']}\\n\\nAnswer B: "
              f"{r['answer2_body']}\\n\\nReference answer: {r['reference']['text']}\\n\\nWhich answer is "
              "better? Explain why, then conclude with **Verdict:** A, B or tie.")
    reason = r["text"].split("\\n", 1)[1].replace("Assistant 1", "Answer A").replace("Assistant 2", "Answer B")
    return {"messages": [{"role": "system", "content": "You are a fair judge of answers."},
                         {"role": "user", "content": prompt},
                         {"role": "assistant", "content": f"{reason}\\n\\n**Verdict:** {label}"}],
            "id": str(r["question_id"]), "question": r["question_body"], "answer_a": r["answer1_body"],
            "answer_b": r["answer2_body"], "label": label, "reason": reason,
            "reference": r["reference"]["text"]}
def pairs(r):
    prompt = (f"Question: {r['question']}\\n\\nAnswer A: {r['answer_a']}\\n\\nAnswer B: {r['answer_b']}"
              "\\n\\nWhich answer is better? Explain why, then conclude with **Verdict:** A, B or tie.")
    return {"messages": [{"role": "system", "content": "You are a fair judge of answers."},
                         {"role": "user", "content": prompt},
                         {"role": "assistant", "content": f"**Verdict:** {r['label']}"}],
            "id": str(r["id"]), "question": r["question"], "answer_a": r["answer_a"],
            "answer_b": r["answer_b"], "label": r["label"]}
row = {"judgelm": judgelm, "pairs": pairs}[form]
data = datasets.load_dataset("json", data_files=path, split="train", cache_dir=out + "/cache")
data = data.map(row, remove_columns=data.column_names, num_proc=2)
first = data.train_test_split(0.2, seed=0)
second = first["test"].train_test_split(0.5, seed=0)
first["train"].to_json(out + "/train.jsonl", num_proc=2)
second["train"].to_json(out + "/valid.jsonl")
second["test"].to_json(out + "/test.jsonl")
'''


def measure(name, command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    done = subprocess.run(["/usr/bin/env", "python3", "-c", WATCH, *map(str, command)],
                          capture_output=True, text=True)
    seconds = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"{name} failed: {done.stderr[-2000:]}")
    peak = int(done.stdout.strip().splitlines()[-1])
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{name:<10} {seconds:7.1f} s   {processor:7.1f} s of processors   {peak / 1e6:7.0f} MB at most",
          flush=True)


# The peak of a process and its children together, sampled.
WATCH = '''
import subprocess, sys, time, os
p = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
peak = 0
def resident(pid):
    try:
        total = int(open(f"/proc/{pid}/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        for child in open(f"/proc/{pid}/task/{pid}/children").read().split():
            total += resident(child)
        return total
    except OSError:
        return 0
while p.poll() is None:
    peak = max(peak, resident(p.pid))
    time.sleep(0.02)
print(peak)
sys.exit(p.returncode)
'''


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100000)
    parser.add_argument("--form", choices=["judgelm", "pairs"], default="judgelm")
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--gavel", default=ROOT / "build/gavel")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch) / "rows.jsonl"
        make(path, args.rows, args.form)
        print(f"{args.rows} rows, {path.stat().st_size / 1e6:.0f} MB")
        measure("gavel", [args.gavel, "prepare", path, "-o", pathlib.Path(scratch) / "gavel"])
        if args.peer:
            measure("datasets", [sys.executable, "-c", PEER, path, scratch, args.form])


if __name__ == "__main__":
    main()
