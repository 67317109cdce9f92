#!/usr/bin/env python3
"""Writes tests/golden/mlx_lm_logits.safetensors: logits of quantized MLX directories by mlx_lm.

Of the golden directories qwen2_mlx4 and llama_mlx3, and of the embedded model in 4 bits (groups of
64, as `gavel convert -q` writes it, which is what mlx_lm's convert writes): scales and biases as
float32, so that activations are too. Of the embedded model every 97th logit is kept.

Needs mlx, mlx_lm. usage: make_mlx_lm_goldens.py SMOLLM2_4BIT_DIRECTORY
"""
import json
import pathlib
import sys

import mlx.core as mx
from mlx_lm import load

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden"


def main():
    mx.set_default_device(mx.cpu)
    out = {}
    for name, path, step in (("qwen2_mlx4", GOLDEN / "models" / "qwen2_mlx4", 1),
                             ("llama_mlx3", GOLDEN / "models" / "llama_mlx3", 1),
                             ("smollm2_mlx4", sys.argv[1], 97)):
        # mlx_lm's llama does not look into "rope_parameters", where transformers 5 puts these.
        rope = json.loads((pathlib.Path(path) / "config.json").read_text()).get("rope_parameters")
        known = {"rope_theta": rope["rope_theta"], "rope_scaling": rope} if rope else {}
        model, _ = load(str(path), model_config=known)
        model.set_dtype(mx.float32)
        vocab = model.args.vocab_size
        ids = mx.array([[(37 * i + 3) % vocab for i in range(10)]])
        out[name] = mx.contiguous(model(ids)[0, :, ::step])
        mx.eval(out[name])
        print(name, out[name].shape, out[name].dtype)
    mx.save_safetensors(str(GOLDEN / "mlx_lm_logits.safetensors"), out)


if __name__ == "__main__":
    main()
