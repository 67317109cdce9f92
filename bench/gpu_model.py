"""A model of Qwen2.5-7B-Instruct-4bit's configuration and layout with random values, for timings:
python3 bench/gpu_model.py DIRECTORY TOKENIZER_DIRECTORY. Needs numpy alone.

The tokenizer is copied from another model's directory (gavel convert writes one): its ids are all
below this vocabulary's size.
"""
import json
import pathlib
import shutil
import sys

import numpy

HIDDEN, INNER, LAYERS, VOCABULARY, KEYS = 3584, 18944, 28, 152064, 512
CONFIG = {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu",
    "hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": LAYERS,
    "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": VOCABULARY,
    "rms_norm_eps": 1e-6, "rope_theta": 1e6, "max_position_embeddings": 32768,
    "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "bfloat16",
    "quantization": {"group_size": 64, "bits": 4},
}


def bfloat16(values):
    return (numpy.asarray(values, numpy.float32).view(numpy.uint32) >> 16).astype(numpy.uint16)


def make_pool(random):
    """Packed 4-bit numbers distributed as those of normal weights are: how fast a card multiplies
    depends on them. Matrices take theirs from it, each from another place."""
    digits = numpy.clip(numpy.rint(random.normal(7.5, 3.1, (1 << 24, 8))), 0, 15)
    return (digits.astype(numpy.uint32) << (4 * numpy.arange(8, dtype=numpy.uint32))).sum(
        axis=1, dtype=numpy.uint32)


def matrix(random, pool, name, rows, columns):
    """Normal weights of deviation 0.02, as 4-bit numbers with a scale and a bias for each 64."""
    shape = (rows, columns // 64)
    step = 0.02 / 3.1 * random.uniform(0.9, 1.1, shape)
    packed = numpy.resize(numpy.roll(pool, random.integers(len(pool))), rows * columns // 8)
    return {name + ".weight": ("U32", packed.reshape(rows, columns // 8)),
            name + ".scales": ("BF16", bfloat16(step)),
            name + ".biases": ("BF16", bfloat16(-7.5 * step))}


def write(path, tensors):
    header, offset = {"__metadata__": {"format": "mlx"}}, 0
    for name, (kind, values) in tensors.items():
        header[name] = {"dtype": kind, "shape": values.shape,
                        "data_offsets": [offset, offset + values.nbytes]}
        offset += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for _, values in tensors.values():
            out.write(values.tobytes())


def main():
    directory, tokenizer = map(pathlib.Path, sys.argv[1:3])
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        if (tokenizer / name).exists():
            shutil.copy(tokenizer / name, directory / name)
    random, files = numpy.random.default_rng(0), {}
    pool = make_pool(random)

    def put(number, tensors):
        name = f"model-{number + 1:05d}-of-{LAYERS + 1:05d}.safetensors"
        write(directory / name, tensors)
        files.update({tensor: name for tensor in tensors})

    ones = ("BF16", bfloat16(numpy.ones(HIDDEN)))
    for layer in range(LAYERS):
        path, tensors = f"model.layers.{layer}.", {}
        for name, rows, columns in (
                ("self_attn.q_proj", HIDDEN, HIDDEN), ("self_attn.k_proj", KEYS, HIDDEN),
                ("self_attn.v_proj", KEYS, HIDDEN), ("self_attn.o_proj", HIDDEN, HIDDEN),
                ("mlp.gate_proj", INNER, HIDDEN), ("mlp.up_proj", INNER, HIDDEN),
                ("mlp.down_proj", HIDDEN, INNER)):
            tensors.update(matrix(random, pool, path + name, rows, columns))
            if name[10:] in ("q_proj", "k_proj", "v_proj"):
                tensors[path + name + ".bias"] = ("BF16", bfloat16(numpy.zeros(rows)))
        tensors[path + "input_layernorm.weight"] = ones
        tensors[path + "post_attention_layernorm.weight"] = ones
        put(layer, tensors)
    put(LAYERS, {"model.norm.weight": ones,
                 **matrix(random, pool, "model.embed_tokens", VOCABULARY, HIDDEN),
                 **matrix(random, pool, "lm_head", VOCABULARY, HIDDEN)})
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    (directory / "config.json").write_text(json.dumps(CONFIG))


if __name__ == "__main__":
    main()
