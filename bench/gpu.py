"""Training, judging and generating on an NVIDIA card against the peers, in one run, as one table:
python3 bench/gpu.py --gavel build/gavel --model DIRECTORY --small DIRECTORY
                     [--generate-bench PROGRAM] [--peer-python PYTHON] [--only "PATTERN;PATTERN"]

DIRECTORY of --model is bench/gpu_model.py's, of --small a dense SmolLM2-135M-Instruct in bfloat16
(gavel convert --dequantize). Each of gavel's lines of training says what was planned of memory beside
what was taken, with loss and gradient norm; a peer of 7 billion weights has random values of its own.
scripts/check_gpu.sh builds, tests and then calls this.
"""
import argparse
import json
import pathlib
import random
import re
import shutil
import subprocess
import tempfile

ALL = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj"
BNB, DENSE, MLX = "bitsandbytes + Liger", "transformers bf16", "mlx_lm 4 bit"
# name, gavel's arguments, the peers and their arguments; 8 examples of 2,048 tokens a step.
QV = (BNB, "full", "qv", 8, 2048, 6)
FULL = [
    ("q,v", [], QV, (MLX, "mlx", 8, 2048, 3)),
    ("q,v, 20 GB", ["--memory-limit", "20GB"], QV),
    ("q,v, 12.6 GB", ["--memory-limit", "12.6GB"], QV),
    ("all seven, 24 GB", ["--lora-targets", ALL, "--memory-limit", "24GB"],
     (BNB, "full", "all", 8, 2048, 6)),
    ("q,v, fp8", ["--matmul", "fp8"], QV),
    ("q,v, fp8, 20 GB", ["--matmul", "fp8", "--memory-limit", "20GB"], QV),
    ("all seven, fp8, 24 GB",
     ["--lora-targets", ALL, "--matmul", "fp8", "--memory-limit", "24GB"],
     (BNB, "full", "all", 8, 2048, 6)),
    ("q,v, mlp again", ["--recompute", "mlp"], QV),
    ("q,v, layers again", ["--recompute", "layer"], QV),
    ("q,v, 32 x 4096", ["--batch-size", "32", "--max-seq-length", "4096", "--iters", "2"]),
]
LONG = ["--batch-size", "1", "--max-seq-length", "32768", "--iters", "2"]
# prompt, sequences, tokens
GENERATION = [(2048, 1, 64), (512, 1, 128), (512, 16, 128), (512, 64, 128)]


def write_texts(directory, count, words_each):
    """Texts that are cut at the length of a row: a word is more than two tokens."""
    words = ["".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=5)) for _ in range(5000)]
    directory.mkdir()
    with open(directory / "train.jsonl", "w") as out:
        for _ in range(count):
            out.write(json.dumps({"text": " ".join(random.choices(words, k=words_each))}) + "\n")
    return directory


def write_pairs(args, directory, rows):
    """Pairs of JudgeLM's form and lengths (2.2 kB a row), each in both orders, by gavel prepare."""
    demo = directory / "demo"
    run(args.gavel, "demo", "--model", args.model, "--output", demo, "--data-only")
    text = " ".join(json.loads(line)["answer_a"] for line in open(demo / "data" / "train.jsonl"))
    words = sorted({w for w in re.findall(r"[a-z]+", text)})

    def sentences(characters):
        made = ""
        while len(made) < characters:
            made += " ".join(random.choices(words, k=random.randint(6, 20))).capitalize() + ". "
        return made.strip()

    with open(directory / "pairs.jsonl", "w") as out:
        for i in range(rows):
            score = random.sample(range(1, 11), 2)
            out.write(json.dumps({
                "question_id": i, "question_body": sentences(random.randint(60, 240)),
                "answer1_body": sentences(random.randint(150, 1250)),
                "answer2_body": sentences(random.randint(150, 1250)), "score": score,
                "text": f"{score[0]} {score[1]}\n" + sentences(random.randint(300, 700))}) + "\n")
    run(args.gavel, "prepare", directory / "pairs.jsonl", "-o", directory / "judge",
        "--swap-augment", "--split", "0.6,0.0,0.4", "--show", "0")
    return directory / "judge", demo / "data"


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError((done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1])
    return done.stdout


def settings(model, data, more=()):
    """What training and its plan are asked for; a flag of `more` takes another's place."""
    flags = {"--device": "gpu", "--model": model, "--data": data, "--val-batches": "0",
             "--batch-size": "8", "--max-seq-length": "2048", "--num-layers": "-1",
             "--lora-rank": "8", "--iters": "8", **dict(zip(more[::2], more[1::2]))}
    return [x for flag in flags.items() for x in flag]


def train(args, directory, model, data, more):
    """gavel train's last line, the middle of its rates, and what was planned."""
    out = directory / "run"
    shutil.rmtree(out, ignore_errors=True)
    run(args.gavel, "train", "--adapter-path", out, "--save-every", "1000",
        *settings(model, data, ["--steps-per-report", "2", *more]))
    entries = [json.loads(line) for line in open(out / "metrics.jsonl")]
    steps = [e for e in entries if e["event"] == "train"]
    result = dict(steps[-1])
    rates = sorted(e["tokens_per_second"] for e in steps[1:] or steps)
    result["tokens_per_second"] = rates[len(rates) // 2]
    result["planned"] = next(e for e in entries if e["event"] == "config")["planned_memory_gb"]
    return result


def peer(args, cache, *arguments):
    """A peer's figures, measured once a run."""
    if args.peer_python is None or not arguments:
        return None
    script = pathlib.Path(__file__).with_name("gpu_peer.py")
    if arguments not in cache:
        cache[arguments] = json.loads(run(args.peer_python, script, *arguments).splitlines()[-1])
    return cache[arguments]


def training_text(result):
    planned = f" (planned {result['planned']:5.1f})" if "planned" in result else ""
    return (f"{result['tokens_per_second']:8.0f} tok/s {result['peak_memory_gb']:6.1f} GB{planned}, "
            f"loss {result['loss']:.3f}, gradient {result['grad_norm']:.3f}")


def show(name, text, ratio=None, against=""):
    beside = f"   {ratio:.2f}x {against}" if ratio else ""
    print(f"{name:<26}{text}{beside}", flush=True)


class Rows:
    """The rows that --only asks for; one that fails says so and the others go on."""

    def __init__(self, args, directory):
        self.args, self.directory, self.cache = args, directory, {}

    def wanted(self, name):
        return any(re.search(word, name) for word in self.args.only.split(";"))

    def attempt(self, name, work):
        if not self.wanted(name):
            return None
        try:
            return work()
        except (RuntimeError, OSError, KeyError, ValueError) as e:
            show(name, f"failed: {e}")
            return None

    def peer(self, name, *arguments):
        return self.attempt(name, lambda: peer(self.args, self.cache, *map(str, arguments)))

    def training(self, name, model, data, more, *others):
        """`others`: of each peer its name and its arguments."""
        peers = [(other[0], self.peer(name, *other[1:])) for other in others]
        ours = self.attempt(name, lambda: train(self.args, self.directory, model, data, more))
        if ours:
            show(name, training_text(ours))
        for other, theirs in peers:
            if theirs:
                ratio = ours and ours["tokens_per_second"] / theirs["tokens_per_second"]
                show(f"  {other}", training_text(theirs) + (f"   gavel {ratio:.2f}x" if ours else ""))

    def judging(self, mode, model, data, pairs, tokens):
        name = f"judging, {mode}"
        theirs = self.peer(name, mode, model, data, pairs, 32)

        def ours(count):
            out = self.directory / "eval"
            run(self.args.gavel, "eval", "--device", "gpu", "--model", model, "--data", data,
                "--limit", count, "--mode", mode, "-m", tokens, "--batch-size", 64, "--output",
                out, "--overwrite", "--bootstrap", 1)
            return json.load(open(out / "eval.json"))["judges"][0]

        # What comes once is not counted, as it is not for the peer, which has been warmed up; what
        # comes once on a machine (compiling kernels) is left to a run before.
        judged = self.attempt(name, lambda: (ours(8), ours(64), ours(64 + pairs)))
        if judged:
            _, first, whole = (j["speed"]["wall_seconds"] for j in judged)
            rate = pairs / (whole - first)
            written = judged[2]["metrics"]["tokens"]["value"]
            theirs and show(f"  {DENSE}", f"{theirs['pairs_per_second']:8.1f} pairs/s")
            show(name, f"{rate:8.1f} pairs/s, {written:.0f} tokens each",
                 theirs and rate / theirs["pairs_per_second"], DENSE)

    def generation(self, model):
        rows = [x for row in GENERATION for x in row]
        theirs = self.peer("generation", "generate", *rows)
        printed = self.attempt("generation", lambda: run(self.args.generate_bench, model, *rows))
        found = re.findall(r": ([\d.]+) tokens/s; .*: ([\d.]+) tokens/s", printed or "")
        for i, ((prompt, batch, _), ours) in enumerate(zip(GENERATION, found)):
            other = theirs[i] if theirs else {}
            if batch == 1:
                show(f"prompt of {prompt}", f"{float(ours[0]):8.0f} tok/s",
                     other and float(ours[0]) / other["prompt"], MLX)
            show(f"generation, {batch} after {prompt}", f"{float(ours[1]):8.0f} tok/s",
                 other and float(ours[1]) / other["generation"], MLX)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gavel", default="build/gavel")
    parser.add_argument("--generate-bench", default="build/bench/generate_bench")
    parser.add_argument("--model", required=True)
    parser.add_argument("--small", required=True)
    parser.add_argument("--peer-python")
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    random.seed(0)
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        texts = write_texts(directory / "texts", 64, 2500)
        long_texts = write_texts(directory / "long", 2, 20000)
        judge, demo = write_pairs(args, directory, 640)
        rows = Rows(args, directory)
        for row, more, *others in FULL:
            rows.training(row, args.model, texts, more, *others)
        rows.training("q,v, 1 x 32768", args.model, long_texts, LONG)
        rows.training("judge data, q,v", args.model, judge, ["--batch-size", "24", "--iters", "12"],
                      (BNB, "judge", args.model, judge / "train.jsonl", 24, 8))
        rows.training("135M, demo's data", args.small, demo,
                      ["--batch-size", "4", "--lora-targets", ALL, "--iters", "80",
                       "--steps-per-report", "10"],
                      ("torch + peft bf16", "small", args.small, demo / "train.jsonl", 4, 60))
        rows.judging("verdict", args.model, judge / "test.jsonl", 192, 1)
        rows.judging("reason", args.model, judge / "test.jsonl", 192, 64)
        rows.generation(args.model)
        if not rows.wanted("plan"):
            return
        here = json.loads(run(args.gavel, "plan", "--json", *settings(args.model, texts)))[0]
        show("gavel plan, q,v", f"{8 * 8 * 2047 / here['seconds']:8.0f} tok/s "
             f"{here['memory_bytes']['total'] / 1e9:6.1f} GB, {here['watts']:.0f} W")


if __name__ == "__main__":
    main()
