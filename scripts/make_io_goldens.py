#!/usr/bin/env python3
"""Makes the tiny models and numbers under tests/golden that the model readers are tested with.

Needs torch, transformers, tokenizers, mlx, mlx_lm, gguf, numpy, safetensors.
usage: make_io_goldens.py [models/SmolLM2-135M-Instruct.Q4_1.gguf]
"""
import json
import pathlib
import shutil
import sys
import tempfile

import gguf
import mlx.core as mx
import numpy as np
import torch
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (AutoModelForCausalLM, LlamaConfig, MistralConfig, PreTrainedTokenizerFast,
                          Qwen2Config, Qwen3Config)

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden"
TEMPLATE = ("{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
            "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


def tiny_tokenizer():
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=288, special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tok.train_from_iterator(["the judge compares two answers and then writes the verdict"] * 4,
                            trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tok, bos_token="<|endoftext|>",
                                   eos_token="<|im_end|>", chat_template=TEMPLATE)


def tiny_models(out, tokenizer):
    shape = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                 num_key_value_heads=2, vocab_size=288, max_position_embeddings=512,
                 bos_token_id=0, eos_token_id=2)
    llama3 = dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0,
                  high_freq_factor=4.0, original_max_position_embeddings=128)
    configs = {
        "llama": LlamaConfig(**shape, tie_word_embeddings=False, rope_parameters=llama3),
        "llama_bias": LlamaConfig(**shape, tie_word_embeddings=True, attention_bias=True,
                                  mlp_bias=True),
        "mistral": MistralConfig(**shape, tie_word_embeddings=False, sliding_window=None),
        "qwen2": Qwen2Config(**shape, tie_word_embeddings=True),
        "qwen3": Qwen3Config(**shape, head_dim=16, tie_word_embeddings=True),
    }
    for seed, (name, config) in enumerate(configs.items()):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            for p in model.parameters():  # norms and biases that are not all one or zero
                p.copy_(torch.randn_like(p) * 0.2 + (1.0 if p.ndim == 1 else 0.0))
        model = model.to(torch.bfloat16 if name != "llama_bias" else torch.float16)
        where = out / name
        shutil.rmtree(where, ignore_errors=True)
        sizes = dict(max_shard_size="40KB") if name == "llama" else {}
        model.save_pretrained(where, **sizes)
        tokenizer.save_pretrained(where)


def tiny_quantized(out):
    from mlx_lm import convert

    def mixed(path, module):  # layer 1 in 6 bits, its o_proj dense, the rest as the default
        if not hasattr(module, "to_quantized"):
            return False
        if path == "model.layers.1.self_attn.o_proj":
            return False
        if path.startswith("model.layers.1."):
            return {"group_size": 32, "bits": 6}
        return True

    def floating(path, module):  # mxfp4, layer 1 in nvfp4, the head in mxfp8
        if not hasattr(module, "to_quantized"):
            return False
        if path.startswith("model.layers.1."):
            return {"group_size": 16, "bits": 4, "mode": "nvfp4"}
        return {"group_size": 32, "bits": 8, "mode": "mxfp8"} if path == "lm_head" else True

    for source, name, bits, predicate, mode in [("qwen2", "qwen2_mlx4", 4, mixed, "affine"),
                                                ("llama", "llama_mlx3", 3, None, "affine"),
                                                ("llama", "llama_mxfp4", 4, floating, "mxfp4")]:
        where = out / name
        shutil.rmtree(where, ignore_errors=True)
        convert(str(out / source), mlx_path=str(where), quantize=True, q_group_size=32, q_bits=bits,
                q_mode=mode, quant_predicate=predicate)
        for extra in ("README.md", ".gitattributes"):
            (where / extra).unlink(missing_ok=True)


def checksums(tensors):
    """Order-sensitive, exact sums over the bits of float32 values: sum of bits[i] * (2 i + 1)."""
    out = {}
    for name, a in tensors:
        bits = np.ascontiguousarray(a, np.float32).reshape(-1).view(np.uint32).astype(np.uint64)
        out[name] = str(int(np.sum(bits * (2 * np.arange(bits.size, dtype=np.uint64) + 1),
                                   dtype=np.uint64)))
    return out


def directory_tensors(where):
    """Every tensor of a directory's model as float32, dequantized, as MLX reads them."""
    w = {}
    for f in sorted(where.glob("*.safetensors")):
        w.update(mx.load(str(f)))
    config = json.loads((where / "config.json").read_text())
    base = config.get("quantization", {})
    for name, a in sorted(w.items()):
        if name.endswith((".scales", ".biases")):
            continue
        module = name.removesuffix(".weight")
        if module + ".scales" in w:
            q = base.get(module, base)
            if (mode := q.get("mode", "affine")) != "affine":
                a = mx.dequantize(a, w[module + ".scales"], None, q["group_size"], q["bits"], mode,
                                  dtype=mx.float32)
                # E2M1 has a negative zero, which is read as the other one.
                yield name, np.array(a) + np.float32(0.0 if mode != "mxfp8" else -0.0)
                continue
            a = mx.dequantize(a, w[module + ".scales"].astype(mx.float32),
                              w[module + ".biases"].astype(mx.float32), q["group_size"], q["bits"])
        yield name, np.array(a.astype(mx.float32))


HF = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
      "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
      "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
      "ffn_down": "mlp.down_proj", "token_embd": "model.embed_tokens", "output_norm": "model.norm"}


def gguf_tensors(path, heads, kv_heads):
    for t in gguf.GGUFReader(path).tensors:
        p = t.name.split(".")
        module = f"model.layers.{p[1]}.{HF[p[2]]}" if p[0] == "blk" else HF[p[0]]
        a = gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32)
        a = a.reshape([int(n) for n in t.shape[::-1]])
        n = {"attn_q": heads, "attn_k": kv_heads}.get(p[2] if p[0] == "blk" else "")
        if n:  # llama.cpp's interleaving undone
            a = a.reshape(n, a.shape[0] // n // 2, 2, -1).swapaxes(1, 2).reshape(a.shape)
        yield f"{module}.{p[-1]}", a


def ggml_blocks(path):
    """Random blocks of every quantized type, and gguf-py's values of them."""
    rng = np.random.default_rng(0)
    out = {}
    halves = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
              "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
              "IQ4_NL": [0], "IQ4_XS": [0]}
    for name, at in halves.items():
        kind = gguf.GGMLQuantizationType[name]
        values, size = gguf.GGML_QUANT_SIZES[kind]
        rows, blocks = 4, 64 // values if values == 32 else 1
        b = rng.integers(0, 256, (rows, blocks, size), dtype=np.uint8)
        for o in at:
            d = rng.normal(0, 0.05, (rows, blocks)).astype(np.float16)
            b[:, :, o:o + 2] = d[..., None].view(np.uint8)
        b = b.reshape(rows, blocks * size)
        out[name + ".blocks"] = b
        out[name + ".values"] = gguf.quants.dequantize(b, kind).astype(np.float32)
    save_file(out, path)


def rope_frequencies(out):
    """transformers' own rotary frequencies: of the tiny llama, and of Llama 3.2's shape."""
    from transformers import AutoConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
    big = LlamaConfig(hidden_size=2048, num_attention_heads=32, rope_parameters=dict(
        rope_type="llama3", rope_theta=500000.0, factor=32.0, low_freq_factor=1.0,
        high_freq_factor=4.0, original_max_position_embeddings=8192))
    configs = {"llama": AutoConfig.from_pretrained(out / "llama"), "llama32": big}
    return {k: [float(x) for x in LlamaRotaryEmbedding(c).inv_freq] for k, c in configs.items()}


def main():
    out = GOLDEN / "models"
    out.mkdir(parents=True, exist_ok=True)
    tiny_models(out, tiny_tokenizer())
    tiny_quantized(out)
    sums = {d.name: checksums(directory_tensors(d)) for d in sorted(out.iterdir()) if d.is_dir()}
    if len(sys.argv) > 1:
        sums["smollm2_gguf"] = checksums(gguf_tensors(sys.argv[1], 9, 3))
    sums["rope_frequencies"] = rope_frequencies(out)
    (GOLDEN / "model_checksums.json").write_text(json.dumps(sums, indent=0) + "\n")
    ggml_blocks(GOLDEN / "ggml_blocks.safetensors")


if __name__ == "__main__":
    main()
