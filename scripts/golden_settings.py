#!/usr/bin/env python3
"""Writes tests/golden/train_settings.json: what mlx_lm.lora trains with, for configurations in which
several of its settings meet.

    pip install "mlx[cpu]" mlx-lm && python3 scripts/golden_settings.py

Each case is a configuration as mlx_lm reads it and flags of its command line; the answer is what its
own main() hands to run(): learning rates of the first steps by its build_schedule, LoRA's numbers,
the optimizer with its settings, and a few more.
"""
import json
import sys
import tempfile
from pathlib import Path

import mlx_lm.lora as lora
from mlx_lm.tuner.utils import build_schedule

STEPS = 4
COMMON = f"iters: {STEPS}\nsteps_per_report: 1\nnum_layers: -1\noptimizer: adamw\n"
SCHEDULE = "lr_schedule:\n  name: cosine_decay\n  arguments: [1e-3, 10, 1e-7]\n"
LORA = "lora_parameters:\n  rank: 4\n  alpha: 16\n  scale: 10.0\n  dropout: 0.0\n"
OPTIMIZERS = (
    "optimizer_config:\n  adam:\n    betas: [0.5, 0.6]\n  adamw:\n    betas: [0.8, 0.95]\n"
    "    weight_decay: 0.25\n    eps: 1e-6\n  sgd:\n    momentum: 0.7\n"
)

CASES = {
    "rate before its schedule": (COMMON + "learning_rate: 1e-5\n" + SCHEDULE, []),
    "rate after its schedule": (COMMON + SCHEDULE + "learning_rate: 1e-5\n", []),
    "rate alone": (COMMON + "learning_rate: 2e-4\n", []),
    "rate on the command line": (COMMON + "learning_rate: 2e-4\n", ["--learning-rate", "3e-4"]),
    "two arguments": (COMMON + "lr_schedule: {name: cosine_decay, arguments: [1e-3, 4]}\n", []),
    "linear": (COMMON + "lr_schedule: {name: linear_schedule, arguments: [1e-3, 1e-4, 8]}\n", []),
    "warm-up": (
        COMMON
        + "lr_schedule: {warmup: 3, warmup_init: 1e-6, name: cosine_decay, arguments: [1e-3, 10]}\n",
        [],
    ),
    "alpha before scale": (COMMON + LORA, []),
    "alpha after scale": (
        COMMON + "lora_parameters: {dropout: 0.0, scale: 10.0, rank: 4, alpha: 16}\n",
        [],
    ),
    "optimizer before its settings": (COMMON + OPTIMIZERS, []),
    "optimizer after its settings": (
        OPTIMIZERS + "optimizer: sgd\niters: 4\nsteps_per_report: 1\nnum_layers: -1\n",
        [],
    ),
    "optimizer on the command line": (COMMON + OPTIMIZERS, ["--optimizer", "sgd"]),
    "optimizer in capitals": (COMMON.replace("adamw", "AdamW") + OPTIMIZERS, []),
    "flags over the file": (
        COMMON + "batch_size: 3\nseed: 7\n",
        ["--batch-size", "2", "--iters", "3"],
    ),
    "null is not set": (COMMON + "learning_rate:\nlr_schedule: null\nbatch_size: ~\n", []),
}


def answer(yaml, args):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(yaml)
        file.flush()
        taken = []
        lora.run = taken.append
        sys.argv = ["mlx_lm.lora", "-c", file.name, "--train", *args]
        lora.main()
    a = taken[0]
    schedule = build_schedule(a.lr_schedule) if a.lr_schedule else lambda step: a.learning_rate
    optimizer = a.optimizer.lower()
    return {
        "learning_rates": [float(schedule(step)) for step in range(a.iters)],
        "rank": a.lora_parameters["rank"],
        "scale": a.lora_parameters["scale"],
        "dropout": a.lora_parameters["dropout"],
        "optimizer": optimizer,
        "optimizer_config": a.optimizer_config.get(optimizer, {}),
        "batch_size": a.batch_size,
        "seed": a.seed,
    }


def main():
    cases = [
        {"name": name, "yaml": yaml, "args": args, "mlx_lm": answer(yaml, args)}
        for name, (yaml, args) in CASES.items()
    ]
    path = Path(__file__).parent.parent / "tests/golden/train_settings.json"
    path.write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
    print(f"{path}: {len(cases)} cases")


if __name__ == "__main__":
    main()
