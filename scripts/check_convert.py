#!/usr/bin/env python3
"""Checks gavel's convert against mlx_lm's: the same tensors, bit for bit.

Small random models of each family and type are quantized by both programs with every number of
bits and group size, per-layer rules and mlx_lm's recipes, then back to dense; with --model, that
model once in 4 bits too.

Needs mlx, mlx_lm, transformers.
usage: check_convert.py [--gavel build/gavel] [--model models/....gguf]
"""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import tempfile

import mlx.core as mx
from mlx_lm import convert

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "models"
LAYERS, WIDTH, INNER, VOCAB = 8, 128, 256, 384


def make_model(out, family, dtype, declared=None):
    """A random model's directory; `declared` is the torch_dtype in its config.json."""
    out.mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(GOLDEN / family / name, out)
    config = json.loads((GOLDEN / family / "config.json").read_text())
    for key in ("quantization", "quantization_config", "rope_scaling", "layer_types",
                "dtype", "torch_dtype"):
        config.pop(key, None)
    config |= {"hidden_size": WIDTH, "intermediate_size": INNER, "num_hidden_layers": LAYERS,
               "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32,
               "vocab_size": VOCAB, "torch_dtype": declared or str(dtype).split(".")[-1]}
    (out / "config.json").write_text(json.dumps(config))
    shapes = {"model.embed_tokens.weight": (VOCAB, WIDTH), "model.norm.weight": (WIDTH,)}
    if not config.get("tie_word_embeddings"):
        shapes["lm_head.weight"] = (VOCAB, WIDTH)
    for i in range(LAYERS):
        p = f"model.layers.{i}."
        shapes |= {p + "self_attn.q_proj.weight": (128, WIDTH),
                   p + "self_attn.k_proj.weight": (64, WIDTH),
                   p + "self_attn.v_proj.weight": (64, WIDTH),
                   p + "self_attn.o_proj.weight": (WIDTH, 128),
                   p + "mlp.gate_proj.weight": (INNER, WIDTH),
                   p + "mlp.up_proj.weight": (INNER, WIDTH),
                   p + "mlp.down_proj.weight": (WIDTH, INNER),
                   p + "input_layernorm.weight": (WIDTH,),
                   p + "post_attention_layernorm.weight": (WIDTH,)}
        if family == "qwen2":
            shapes |= {p + f"self_attn.{x}_proj.bias": (n,)
                       for x, n in (("q", 128), ("k", 64), ("v", 64))}
        if family == "qwen3":
            shapes |= {p + f"self_attn.{x}_norm.weight": (32,) for x in "qk"}
    mx.random.seed(7)
    mx.save_safetensors(str(out / "model.safetensors"),
                        {k: mx.random.normal(s, dtype=mx.float32).astype(dtype) * 0.3
                         for k, s in shapes.items()}, {"format": "mlx"})


def tensors(directory):
    out = {}
    for path in directory.glob("model*.safetensors"):
        out |= mx.load(str(path))
    return out


def quantization(directory, modules):
    """What config.json says of each quantized module: mlx_lm names all where a recipe is used."""
    q = json.loads((directory / "config.json").read_text()).get("quantization")
    if q is None:
        return None
    return {m: {x: q.get(m, q)[x] for x in ("group_size", "bits")} for m in modules}


def compare(name, ours, theirs):
    a, b = tensors(ours), tensors(theirs)
    wrong = sorted(set(a) ^ set(b))
    for key in set(a) & set(b):
        same = a[key].dtype == b[key].dtype and a[key].shape == b[key].shape
        bits = lambda x: x.view(mx.uint8)
        if not same or not mx.array_equal(bits(a[key]), bits(b[key])).item():
            wrong.append(f"{key} ({a[key].dtype} {a[key].shape}, {b[key].dtype} {b[key].shape})")
    modules = [k.removesuffix(".scales") for k in b if k.endswith(".scales")]
    if quantization(ours, modules) != quantization(theirs, modules):
        wrong.append("config.json")
    print(f"{name}: {len(b)} tensors, " + ("identical" if not wrong else
                                           f"{len(wrong)} DIFFER: {'; '.join(wrong[:4])}"))
    return not wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gavel", default="build/gavel")
    parser.add_argument("--model", help="a GGUF or directory to quantize to 4 bits too")
    args = parser.parse_args()
    mx.set_default_device(mx.cpu)

    def gavel(*words):
        done = subprocess.run([args.gavel, *map(str, words)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    good = True
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)

        def both(name, source, words, **theirs):
            nonlocal good
            a, b = scratch / "a", scratch / "b"
            for path in (a, b):
                shutil.rmtree(path, ignore_errors=True)
            gavel("convert", "--model", source, "--mlx-path", a, *words)
            convert(str(source), str(b), **theirs)
            good &= compare(name, a, b)
            return a, b

        cases = [("llama", mx.bfloat16, None), ("qwen2", mx.float16, None),
                 ("qwen3", mx.float32, None), ("llama", mx.float32, "bfloat16")]
        for family, dtype, declared in cases:
            source = scratch / f"{family}-{dtype}-{declared}"
            make_model(source, family, dtype, declared)
            label = f"{family} {str(dtype).split('.')[-1]}" + (f" as {declared}" if declared else "")
            for group in (32, 64, 128):
                for bits in (2, 3, 4, 5, 6, 8):
                    both(f"{label}, {bits} bits in {group}s", source,
                         ["-q", "--q-bits", bits, "--q-group-size", group],
                         quantize=True, q_bits=bits, q_group_size=group)
            for recipe in ("mixed_2_6", "mixed_3_4", "mixed_3_6", "mixed_4_6"):
                both(f"{label}, {recipe}", source, ["-q", "--quant-predicate", recipe],
                     quantize=True, q_group_size=64, quant_predicate=recipe)
            rules = {r"layers\.[0-3]\.mlp": {"bits": 6, "group_size": 64},
                     "down_proj": {"bits": 8, "group_size": 32}, r"layers\.5\.": False}

            def predicate(path, module):
                found = [to for pattern, to in rules.items() if re.search(pattern, path)]
                return found[-1] if found else True

            words = [w for pattern, to in rules.items() for w in
                     ("--q-rule", f"{pattern}=" + (f"{to['bits']}:{to['group_size']}" if to
                                                   else "none"))]
            a, _ = both(f"{label}, rules", source, ["-q", *words], quantize=True,
                        quant_predicate=predicate)
            kept = scratch / "kept"
            shutil.rmtree(kept, ignore_errors=True)
            shutil.move(a, kept)
            both(f"{label}, rules and back", kept, ["-d"], dequantize=True)
            both(f"{label}, as float16", source, ["--dtype", "float16"], dtype="float16")
        if args.model:
            base = scratch / "base"
            gavel("convert", "--model", args.model, "-d", "--dtype", "float16", "--mlx-path", base)
            both(f"{args.model}, 4 bits in 64s", base, ["-q", "--q-bits", 4], quantize=True,
                 q_bits=4)
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
