#!/usr/bin/env python3
"""Checks `gavel train --report-to tensorboard` with TensorBoard's own reader: every number of
metrics.jsonl is there at its step, once, also after the run was stopped and resumed.

Needs tensorboard. usage: check_tensorboard.py [--gavel build/gavel]
"""
import argparse
import json
import math
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_accumulator import (
    EventAccumulator as PluginEventAccumulator)

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODEL = ROOT / "tests/golden/models/llama"


def train(args, folder, *more):
    subprocess.run([args.gavel, "train", "--model", MODEL, "--data", folder / "data",
                    "--adapter-path", folder / "run", "--report-to", "tensorboard",
                    "--steps-per-report", "2", "--steps-per-eval", "4", "--save-every", "4",
                    "--num-layers", "-1", *more], check=True, capture_output=True)


def logged(folder):
    """{tag: {step: value}} of the run log."""
    values = {}
    for line in (folder / "run/metrics.jsonl").read_text().splitlines():
        entry = json.loads(line)
        numbers = {"train": entry, "valid": entry, "judged": entry.get("figures", {})}.get(
            entry["event"], {})
        group = "judge" if entry["event"] == "judged" else entry["event"]
        for key, value in numbers.items():
            if key not in ("event", "step") and isinstance(value, (int, float)):
                values.setdefault(f"{group}/{key}", {})[entry["step"]] = value
    return values


def same(read, want):
    """Both {tag: {step: value}}; how many values there are."""
    assert read.keys() == want.keys(), (sorted(read), sorted(want))
    for tag, steps in want.items():
        assert read[tag].keys() == steps.keys(), (tag, read[tag], steps)
        for step, value in steps.items():
            assert math.isclose(read[tag][step], value, rel_tol=1e-6, abs_tol=1e-12), (tag, step)
    return sum(len(steps) for steps in want.values())


def check(folder):
    logs = str(folder / "run/tensorboard")
    events = EventAccumulator(logs, size_guidance={"scalars": 0})
    events.Reload()
    scalars = {}
    for tag in events.Tags()["scalars"]:
        scalars[tag] = {e.step: e.value for e in events.Scalars(tag)}
        assert len(scalars[tag]) == len(events.Scalars(tag)), f"{tag} has a step twice"
    texts = PluginEventAccumulator(logs)
    texts.Reload()
    assert b"learning_rate" in texts.Tensors("settings")[0].tensor_proto.string_val[0]
    assert texts.SummaryMetadata("settings").plugin_data.plugin_name == "text"
    return same(scalars, logged(folder))


def check_server(folder):
    """What the real tensorboard answers over HTTP."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "tensorboard.main", "--logdir", folder / "run",
                               "--port", str(port)], stderr=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL)
    base = f"http://127.0.0.1:{port}/data/plugin/scalars"

    def get(path):
        with urllib.request.urlopen(base + path, timeout=30) as answer:
            return json.load(answer)

    try:
        want, tags = logged(folder), {}
        for _ in range(240):
            try:
                tags = get("/tags").get("tensorboard", {})
            except OSError:
                pass
            if len(tags) == len(want):
                break
            time.sleep(0.25)
        read = {tag: {step: value for _, step, value in get(f"/scalars?run=tensorboard&tag={tag}")}
                for tag in tags}
        return same(read, want)
    finally:
        server.terminate()
        server.wait(30)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gavel", default="build/gavel")
    args = parser.parse_args()
    args.gavel = str(pathlib.Path(args.gavel).resolve())
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        (folder / "data").mkdir()
        pair = {"question": "2 + 2?", "answer_a": "4", "answer_b": "5", "label": "A"}
        rows = [{"messages": [{"role": "user", "content": f"Which is better? {i}"},
                              {"role": "assistant", "content": "**Verdict:** A"}], **pair}
                for i in range(8)]
        for split in ("train", "valid"):
            (folder / f"data/{split}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        train(args, folder, "--iters", "10", "--judge-pairs", "2")
        print(f"one run: {check(folder)} numbers as in metrics.jsonl")
        # The same folder after a stop between two checkpoints: what came after the first is redone.
        train(args, folder, "--iters", "16", "--judge-pairs", "2", "--resume")
        print(f"resumed: {check(folder)} numbers as in metrics.jsonl, each once")
        print(f"tensorboard itself answers with {check_server(folder)}")
        train(args, folder, "--iters", "4")
        print(f"begun anew: {check(folder)} numbers as in metrics.jsonl")


if __name__ == "__main__":
    main()
