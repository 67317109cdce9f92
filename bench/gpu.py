"""Training on an NVIDIA card against bitsandbytes + Liger, in one run, as one table:
python3 bench/gpu.py --gavel build/gavel --model DIRECTORY [--peer-python PYTHON] [--only "WORD;WORD"]

The model is bench/gpu_model.py's. Each of gavel's lines says what was planned of memory beside what
was taken, and has loss and gradient norm beside it; the peer's values are its own random ones.
scripts/check_gpu.sh builds, tests and then calls this.
"""
import argparse
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

ALL = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj"
# name, gavel's arguments, the peer's targets; 8 examples of 2,048 tokens a step.
ROWS = [
    ("q,v", [], "qv"),
    ("q,v, 20 GB", ["--memory-limit", "20GB"], "qv"),
    ("q,v, 12.6 GB", ["--memory-limit", "12.6GB"], "qv"),
    ("all seven, 24 GB", ["--lora-targets", ALL, "--memory-limit", "24GB"], "all"),
    ("q,v, mlp again", ["--recompute", "mlp"], "qv"),
    ("q,v, layers again", ["--recompute", "layer"], "qv"),
    ("q,v, 32 x 4096", ["--batch-size", "32", "--max-seq-length", "4096", "--iters", "2"], None),
]


def make_data(directory):
    words = ["".join(random.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(5))
             for _ in range(5000)]
    with open(directory / "train.jsonl", "w") as out:
        for _ in range(64):
            out.write(json.dumps({"text": " ".join(random.choices(words, k=2500))}) + "\n")


def settings(args, directory, more):
    return ["--model", args.model, "--data", str(directory), "--val-batches", "0",
            "--batch-size", "8", "--max-seq-length", "2048", "--num-layers", "-1",
            "--lora-rank", "8", "--iters", "8", *more]


def gavel(args, directory, more):
    run = directory / "run"
    shutil.rmtree(run, ignore_errors=True)
    command = [args.gavel, "train", "--device", "gpu", "--adapter-path", str(run),
               "--steps-per-report", "2", "--save-every", "1000"]
    merged = settings(args, directory, [])
    for flag, value in zip(more[::2], more[1::2]):  # a flag may be given once
        if flag in merged:
            merged[merged.index(flag) + 1] = value
        else:
            merged += [flag, value]
    done = subprocess.run(command + merged, capture_output=True, text=True)
    if done.returncode != 0:
        return {"error": done.stderr.strip().splitlines()[-1]}
    entries = [json.loads(line) for line in open(run / "metrics.jsonl")]
    steps = [e for e in entries if e["event"] == "train"]
    result = dict(steps[-1])
    rates = sorted(e["tokens_per_second"] for e in steps[1:] or steps)
    result["tokens_per_second"] = rates[len(rates) // 2]
    result["planned"] = next(e for e in entries if e["event"] == "config")["planned_memory_gb"]
    return result


def peer(args, targets):
    script = pathlib.Path(__file__).with_name("gpu_peer.py")
    done = subprocess.run([args.peer_python, str(script), targets, "8", "2048", "6"],
                          capture_output=True, text=True)
    if done.returncode != 0:
        return {"error": done.stderr.strip().splitlines()[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def text_of(result):
    if "error" in result:
        return result["error"]
    planned = f" (planned {result['planned']:5.1f})" if "planned" in result else ""
    return (f"{result['tokens_per_second']:8.0f} tok/s {result['peak_memory_gb']:6.1f} GB{planned}, "
            f"loss {result['loss']:.3f}, gradient {result['grad_norm']:.3f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gavel", default="build/gavel")
    parser.add_argument("--model", required=True)
    parser.add_argument("--peer-python")
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    random.seed(0)
    peers = {}
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        make_data(directory)
        for targets in ("qv", "all") if args.peer_python else ():
            peers[targets] = peer(args, targets)
            print(f"{'bitsandbytes + Liger, ' + targets:<26}{text_of(peers[targets])}", flush=True)
        for row, more, targets in ROWS:
            if not any(word in row for word in args.only.split(";")):
                continue
            result = gavel(args, directory, more)
            other = peers.get(targets, {}).get("tokens_per_second")
            ratio = f", {result['tokens_per_second'] / other:.2f}x" if other and "error" not in result else ""
            print(f"{row:<26}{text_of(result)}{ratio}", flush=True)
        planned = subprocess.run([args.gavel, "plan", "--device", "gpu", "--json",
                                  *settings(args, directory, [])], capture_output=True, text=True)
        if planned.returncode == 0:
            here = json.loads(planned.stdout)[0]
            print(f"{'gavel plan, q,v':<26}{8 * 8 * 2047 / here['seconds']:8.0f} tok/s "
                  f"{here['memory_bytes']['total'] / 1e9:6.1f} GB, {here['watts']:.0f} W")
        else:
            print(planned.stderr, file=sys.stderr)


if __name__ == "__main__":
    main()
