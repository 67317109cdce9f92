#!/usr/bin/env python3
"""Checks gavel's exports with the real programs: llama.cpp, transformers, peft, mlx_lm.

On the embedded model with random (large) adapters, and on the golden models of every family:
  llama         GGUF files of every type (fused; base + LoRA file) are loaded by llama-cpp-python,
                whose greedy tokens must equal gavel's (with a KV cache in F32). llama.cpp rounds activations to 16 or 8 bits
                where weights are not F32, so each quantized file is also compared as the F32 file
                that says the same. Where tokens part, llama.cpp's two best logits are shown.
  families      the golden models as GGUF: llama.cpp's logits and ids against transformers'
  transformers  the fused directory, and base + PEFT adapter, with equal logits
  adapters      an adapter that peft wrote, fused by gavel, against peft's own logits
  mlx           the fused directory, base + the adapter that gavel wrote, and an adapter that mlx_lm
                wrote, fused by gavel: all with equal logits

Needs, each for its own part, llama_cpp, torch, transformers, peft, mlx_lm; and numpy, safetensors.
usage: check_exports.py [--gavel build/gavel] [--model models/....gguf] [--prompts 20] [--tokens 64]
                        [--only llama,families] [--types F32,Q8_0]
"""
import argparse
import json
import pathlib
import subprocess
import tempfile

import numpy as np

PROMPTS = [
    "Name three colours.", "What is the capital of France?", "Write a haiku about rain.",
    "Explain gravity to a child.", "List two uses of copper.", "Why is the sky blue?",
    "Give a synonym of fast.", "Translate 'good morning' to French.", "What is 17 plus 25?",
    "Tell me a short joke.", "Who wrote Hamlet?", "Describe a cat in one sentence.",
    "What do bees make?", "Name a planet with rings.", "How do you boil an egg?",
    "What is the opposite of cold?", "Write a sentence about the sea.", "What is a noun?",
    "Name a famous painter.", "Which is better: tea or coffee?"]
GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "models"
SHAPES = {"self_attn.q_proj": (576, 576), "self_attn.k_proj": (576, 192),
          "self_attn.v_proj": (576, 192), "self_attn.o_proj": (576, 576),
          "mlp.gate_proj": (576, 1536), "mlp.up_proj": (576, 1536), "mlp.down_proj": (1536, 576)}


def random_adapter(out, seed):
    from safetensors.numpy import save_file
    rng = np.random.default_rng(seed)
    out.mkdir()
    tensors = {}
    for layer in range(22, 30):
        for name, (i, o) in SHAPES.items():
            path = f"model.layers.{layer}.{name}"
            tensors[path + ".lora_a"] = (rng.uniform(-1, 1, (i, 8)) / np.sqrt(i)).astype(np.float32)
            tensors[path + ".lora_b"] = rng.normal(0, 0.01, (8, o)).astype(np.float32)
    save_file(tensors, out / "adapters.safetensors")
    (out / "adapter_config.json").write_text(json.dumps(
        {"fine_tune_type": "lora", "num_layers": 8,
         "lora_parameters": {"rank": 8, "scale": 10.0, "dropout": 0.0, "keys": list(SHAPES)}}))


def chat(prompt):
    return ("<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
            f"Face<|im_end|>\n<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gavel", default="build/gavel")
    parser.add_argument("--model", default="models/SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("--prompts", type=int, default=20)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="llama,families,transformers,adapters,mlx")
    parser.add_argument("--types", default="F32,F16,BF16,Q8_0,Q4_0,Q4_1")
    args = parser.parse_args()

    def gavel(*words):
        done = subprocess.run([args.gavel, *map(str, words)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    with tempfile.TemporaryDirectory() as scratch:
        check(args, gavel, pathlib.Path(scratch))


def check(args, gavel, scratch):
    adapter, fused, base = scratch / "adapter", scratch / "fused", scratch / "base"
    random_adapter(adapter, 1)
    print(gavel("fuse", "--model", args.model, "--adapter-path", adapter, "--dtype", "float32",
                "--save-path", fused), end="")
    gavel("convert", "--model", args.model, "--dequantize", "--dtype", "float32", "--mlx-path",
          base)
    only = args.only.split(",")
    if "llama" in only:
        llama_files(args, gavel, scratch, adapter, fused)
    if "families" in only:
        families(gavel, scratch)
    if "transformers" in only:
        torch_logits(args, gavel, scratch, adapter, fused, base)
    if "adapters" in only:
        peft_adapter(args, gavel, scratch, base)
    if "mlx" in only:
        mlx_logits(gavel, scratch, adapter, fused, base)


def llama_files(args, gavel, scratch, adapter, fused):
    lora = scratch / "lora.gguf"
    print(gavel("export", "--model", args.model, "--adapter-path", adapter, "--gguf-lora", lora),
          end="")
    path, plain = scratch / "m.gguf", scratch / "plain.gguf"
    for kind in args.types.split(","):
        print(gavel("export", "--model", fused, "--gguf", path, "--type", kind), end="")
        ours = gavel_texts(args, gavel, path)
        llama_tokens(args, f"fused {kind}", path, None, ours)
        if kind != "F32":
            gavel("export", "--model", path, "--gguf", plain, "--type", "F32")
            llama_tokens(args, f"fused {kind} as F32", plain, None, ours)
    # The embedded model's own blocks, carried over; and as F32.
    ours = gavel_texts(args, gavel, args.model, "--adapter-path", adapter)
    for kind in ("auto", "F32"):
        print(gavel("export", "--model", args.model, "--gguf", path, "--type", kind), end="")
        llama_tokens(args, f"base ({kind}) + LoRA file", path, lora, ours)


def relative(a, b):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def families(gavel, scratch):
    import torch
    from llama_cpp import Llama
    from transformers import AutoModelForCausalLM, AutoTokenizer
    texts = ["the judge compares two answers", "  1234 \u00e9t\u00e9\n\n\t<|im_end|>x"]
    for name in ("llama", "llama_bias", "mistral", "qwen2", "qwen3"):
        path = scratch / f"{name}.gguf"
        gavel("export", "--model", GOLDEN / name, "--gguf", path, "--type", "F32")
        llama = Llama(str(path), n_ctx=64, n_threads=1, verbose=False, logits_all=True,
                      type_k=0, type_v=0)
        tok = AutoTokenizer.from_pretrained(GOLDEN / name)
        for text in texts:
            ours = llama.tokenize(text.encode(), add_bos=False, special=True)
            assert ours == tok.encode(text, add_special_tokens=False), (name, text)
        ids = tok.encode(texts[0], add_special_tokens=False)
        model = AutoModelForCausalLM.from_pretrained(GOLDEN / name, dtype=torch.float32)
        with torch.no_grad():
            theirs = model(torch.tensor([ids])).logits[0].numpy()
        llama.eval(ids)
        error = relative(llama.scores[:len(ids)], theirs)
        print(f"llama.cpp, {name} F32: {len(ids)} tokens, relative error of logits to "
              f"transformers {error:.1e}")
        assert error < 1e-4, name
    from safetensors.numpy import load_file
    golden = load_file(GOLDEN.parent / "mlx_lm_logits.safetensors")
    for name in ("llama_mlx3", "qwen2_mlx4"):
        path = scratch / f"{name}.gguf"
        gavel("export", "--model", GOLDEN / name, "--gguf", path, "--type", "F32")
        llama = Llama(str(path), n_ctx=64, n_threads=1, verbose=False, logits_all=True,
                      type_k=0, type_v=0)
        theirs = golden[name]
        llama.eval([(37 * i + 3) % llama.n_vocab() for i in range(len(theirs))])
        error = relative(llama.scores[:len(theirs)], theirs)
        print(f"llama.cpp, {name} F32: relative error of logits to mlx_lm {error:.1e}")
        assert error < 1e-4, name
        gavel("export", "--model", GOLDEN / name, "--gguf", path)
        Llama(str(path), n_ctx=64, n_threads=1, verbose=False).eval([1, 2, 3])
        print(f"llama.cpp, {name} in its own blocks: loads")


def gavel_texts(args, gavel, model, *more):
    """gavel's greedy text of each prompt, with activations in float32."""
    return [json.loads(gavel("generate", "--model", model, "--prompt", chat(prompt), "--raw",
                             "--max-tokens", args.tokens, "--exact", "--json", *more))["text"]
            for prompt in PROMPTS[:args.prompts]]


def llama_tokens(args, name, path, lora, ours):
    from llama_cpp import Llama
    llama = Llama(str(path), n_ctx=512, n_threads=args.threads, verbose=False, type_k=0, type_v=0,
                  lora_path=str(lora) if lora else None)
    same = tokens = 0
    for prompt, text in zip(PROMPTS, ours):
        ids = llama.tokenize(chat(prompt).encode(), add_bos=False, special=True)
        theirs, gaps = [], []
        llama.reset()
        llama.eval(ids)
        while len(theirs) < args.tokens:
            logits = np.ctypeslib.as_array(llama._ctx.get_logits_ith(-1), (llama.n_vocab(),))
            best = int(np.argmax(logits))
            top = np.sort(logits)[-2:]
            if best in (0, 2):
                break
            theirs.append(best)
            gaps.append(float(top[1] - top[0]))
            llama.eval([best])
        expected = llama.detokenize(theirs).decode(errors="replace")
        equal = text.strip() == expected.strip()
        same += equal
        tokens += len(theirs)
        if not equal:
            mine = llama.tokenize(text.encode(), add_bos=False, special=True)
            at = next((i for i, (a, b) in enumerate(zip(mine, theirs)) if a != b), 0)
            print(f"  {name}: {prompt!r} parts at token {at}, where llama.cpp's two best logits "
                  f"are {gaps[at]:.4f} apart")
    print(f"llama.cpp, {name}: {same} of {len(ours)} prompts equal over {tokens} tokens", flush=True)


def torch_ids(directory):
    from transformers import AutoTokenizer
    tok = AutoTokenizer.from_pretrained(directory)
    assert tok.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False)
    return tok(chat(PROMPTS[0]), return_tensors="pt", add_special_tokens=False).input_ids


def torch_model(directory):
    import torch
    from transformers import AutoModelForCausalLM
    return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)


def torch_logits(args, gavel, scratch, adapter, fused, base):
    import torch
    from peft import PeftModel
    torch.set_num_threads(args.threads)
    gavel("export", "--model", args.model, "--adapter-path", adapter, "--peft", scratch / "peft")
    ids = torch_ids(fused)
    with torch.no_grad():
        a = torch_model(fused)(ids).logits
        model = torch_model(base)
        plain = model(ids).logits
        b = PeftModel.from_pretrained(model, scratch / "peft")(ids).logits
    print("transformers: fused directory against peft: base + exported adapter; relative "
          f"difference of logits {relative(a, b):.1e} (base alone: {relative(plain, b):.1e})")
    assert relative(a, b) < 1e-4 < relative(plain, b)


def peft_adapter(args, gavel, scratch, base):
    import torch
    from peft import LoraConfig, get_peft_model
    torch.manual_seed(3)
    model = get_peft_model(torch_model(base), LoraConfig(
        r=8, lora_alpha=20, use_rslora=True, init_lora_weights=False, task_type="CAUSAL_LM",
        target_modules=["q_proj", "k_proj", "v_proj", "down_proj"]))
    model.save_pretrained(scratch / "by-peft")
    gavel("fuse", "--model", args.model, "--adapter-path", scratch / "by-peft", "--dtype",
          "float32", "--save-path", scratch / "fused-peft")
    ids = torch_ids(base)
    with torch.no_grad():
        theirs = model.eval()(ids).logits
        ours = torch_model(scratch / "fused-peft")(ids).logits
    print(f"peft's adapter, fused by gavel: "
          f"{relative(ours, theirs):.1e}")
    assert relative(ours, theirs) < 1e-4


def mlx_logits(gavel, scratch, adapter, fused, base):
    import mlx.core as mx
    from mlx_lm import load
    from mlx_lm.tuner.utils import linear_to_lora_layers
    from mlx.utils import tree_flatten
    mx.set_default_device(mx.cpu)

    def logits(model, tok):
        return np.array(model(mx.array([tok.encode(chat(PROMPTS[0]))[:12]]))[0])

    plain = logits(*load(str(base)))
    a, b = logits(*load(str(fused))), logits(*load(str(base), adapter_path=str(adapter)))
    print("mlx_lm: fused directory against base + adapter; relative difference of logits "
          f"{relative(a, b):.1e} (base alone: {relative(plain, b):.1e})")
    assert relative(a, b) < 1e-4 < relative(plain, b)
    # One that mlx_lm makes and saves, as its trainer does.
    model, tok = load(str(base))
    model.freeze()
    config = {"fine_tune_type": "lora", "num_layers": 4,
              "lora_parameters": {"rank": 4, "scale": 7.0, "dropout": 0.0}}
    linear_to_lora_layers(model, 4, config["lora_parameters"])
    mx.random.seed(5)
    model.load_weights([(k, mx.random.normal(v.shape) * 0.05) for k, v in
                        tree_flatten(model.trainable_parameters())], strict=False)
    own = scratch / "by-mlx"
    own.mkdir()
    mx.save_safetensors(str(own / "adapters.safetensors"),
                        dict(tree_flatten(model.trainable_parameters())))
    (own / "adapter_config.json").write_text(json.dumps(config))
    gavel("fuse", "--model", base, "--adapter-path", own, "--save-path", scratch / "fused-mlx")
    a, b = logits(*load(str(scratch / "fused-mlx"))), logits(model, tok)
    print(f"mlx_lm's adapter, fused by gavel: relative difference of logits {relative(a, b):.1e}")
    assert relative(a, b) < 1e-4 < relative(plain, b)
    # One that gavel trained.
    data = scratch / "data"
    data.mkdir()
    for split in ("train", "valid"):
        (data / f"{split}.jsonl").write_text(4 * '{"prompt": "Say yes.", "completion": "no"}\n')
    trained = scratch / "trained"
    gavel("train", "--model", base, "--train", "--data", data, "--adapter-path", trained, "--iters",
          3, "--batch-size", 2, "--learning-rate", "1e-2", "--num-layers", 4)
    gavel("fuse", "--model", base, "--adapter-path", trained, "--save-path", scratch / "fused-own")
    a = logits(*load(str(scratch / "fused-own")))
    b = logits(*load(str(base), adapter_path=str(trained)))
    print(f"mlx_lm: an adapter that gavel trained; relative difference of logits "
          f"{relative(a, b):.1e} (base alone: {relative(plain, b):.1e})")
    assert relative(a, b) < 1e-4 < relative(plain, b)


if __name__ == "__main__":
    main()
