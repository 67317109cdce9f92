"""One peer's figure on an NVIDIA card, as a line of JSON; the model of 7 billion weights is of
Qwen2.5-7B's shape with random values:
python3 bench/gpu_peer.py full qv|all BATCH TOKENS STEPS       bitsandbytes (nf4) + peft + Liger
                          judge DIRECTORY TRAIN.jsonl BATCH STEPS   the same, on gavel prepare's data
                          small DIRECTORY TRAIN.jsonl BATCH STEPS   torch + peft bf16, that model
                          verdict|reason DIRECTORY TEST.jsonl PAIRS BATCH   transformers bf16
                          mlx BATCH TOKENS STEPS                   mlx_lm, 4 bit, q,v, checkpointed
                          generate PROMPT BATCH TOKENS ...         mlx_lm, 4 bit
DIRECTORY holds the tokenizer (and, of `small`, the model).
"""
import json
import random
import sys
import time

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
SHAPE = dict(hidden_size=3584, intermediate_size=18944, num_hidden_layers=28,
             num_attention_heads=28, num_key_value_heads=4, vocab_size=152064, rms_norm_eps=1e-6,
             rope_theta=1e6, max_position_embeddings=32768, tie_word_embeddings=False)


def dense_model():
    import torch
    from transformers import AutoModelForCausalLM, Qwen2Config
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        return AutoModelForCausalLM.from_config(Qwen2Config(**SHAPE), attn_implementation="sdpa")


def quantized_model():
    import bitsandbytes
    import torch
    from liger_kernel.transformers import apply_liger_kernel_to_qwen2
    model = dense_model()
    apply_liger_kernel_to_qwen2(model=model)
    for name, layer in list(model.named_modules()):
        if not isinstance(layer, torch.nn.Linear) or name == "lm_head":
            continue
        quantized = bitsandbytes.nn.Linear4bit(
            layer.in_features, layer.out_features, bias=layer.bias is not None,
            compute_dtype=torch.bfloat16, quant_type="nf4")
        quantized.weight = bitsandbytes.nn.Params4bit(
            layer.weight.data.cpu(), requires_grad=False, quant_type="nf4", module=quantized)
        if layer.bias is not None:
            quantized.bias = layer.bias
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, quantized.cuda())
    model.is_loaded_in_4bit = True
    torch.cuda.empty_cache()
    return model


def train(model, targets, batches, checkpointed, alpha=16):
    """Steps over `batches` of (input_ids, labels, attention_mask or None, real tokens)."""
    import torch
    from peft import LoraConfig, get_peft_model
    model = get_peft_model(model, LoraConfig(r=8, lora_alpha=alpha, target_modules=targets))
    model.train()
    if checkpointed:
        model.gradient_checkpointing_enable(
            gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5)
    torch.cuda.reset_peak_memory_stats()
    rates = []
    for ids, labels, mask, real in batches:
        torch.cuda.synchronize()
        start = time.perf_counter()
        loss = model(input_ids=ids, labels=labels, attention_mask=mask).loss
        loss.backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in trained if p.grad is not None])
        optimizer.step()
        optimizer.zero_grad()
        torch.cuda.synchronize()
        rates.append(real / (time.perf_counter() - start))
    rates = sorted(rates[1:])
    return {"tokens_per_second": rates[len(rates) // 2],
            "peak_memory_gb": torch.cuda.max_memory_allocated() / 1e9,
            "loss": loss.item(), "grad_norm": norm.item()}


def full(targets, batch, tokens, steps):
    import torch
    model = quantized_model()
    batches = []
    for _ in range(int(steps)):
        ids = torch.randint(0, 150000, (int(batch), int(tokens)), device="cuda")
        batches.append((ids, ids, None, ids.numel()))
    return train(model, ["q_proj", "v_proj"] if targets == "qv" else ALL, batches, True)


def tokenized(directory, data):
    """(prompt's ids, all ids) of each row of a file of gavel prepare."""
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(directory + "/tokenizer.json")
    rows = []
    for line in open(data):
        messages = json.loads(line)["messages"]
        text = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n"
                       for m in messages[:2]) + "<|im_start|>assistant\n"
        prompt = tokenizer.encode(text).ids
        rest = messages[2]["content"] + "<|im_end|>\n" if len(messages) > 2 else ""
        rows.append((prompt, prompt + tokenizer.encode(rest).ids))
    return rows


def padded_batches(rows, batch, steps):
    """Batches of examples of like length, padded to the longest; drawn at random."""
    import torch
    rows = sorted(rows, key=lambda r: len(r[1]))
    starts = list(range(0, len(rows) - batch + 1, batch))
    random.Random(0).shuffle(starts)
    batches = []
    for start in starts[:steps]:
        part = rows[start:start + batch]
        longest = max(len(ids) for _, ids in part)
        pad = lambda values, fill: torch.tensor(
            [v + [fill] * (longest - len(v)) for v in values], device="cuda")
        batches.append((pad([ids for _, ids in part], 0),
                        pad([[-100] * len(p) + ids[len(p):] for p, ids in part], -100),
                        pad([[1] * len(ids) for _, ids in part], 0),
                        sum(len(ids) for _, ids in part)))
    return batches


def judge(directory, data, batch, steps):
    model = quantized_model()
    batches = padded_batches(tokenized(directory, data), int(batch), int(steps))
    return train(model, ["q_proj", "v_proj"], batches, True)


def small(directory, data, batch, steps):
    import torch
    from transformers import AutoModelForCausalLM
    model = AutoModelForCausalLM.from_pretrained(
        directory, dtype=torch.bfloat16, attn_implementation="sdpa").cuda()
    batches = padded_batches(tokenized(directory, data), int(batch), int(steps))
    return train(model, ALL, batches, False)


def judged(directory, data, pairs, batch, new_tokens):
    """Pairs a second, both orders: left-padded batches of prompts of like length; the orders' prompts
    are as long as each other, so that each prompt is judged twice."""
    import torch
    model = dense_model().eval()
    prompts = [p for p, _ in tokenized(directory, data)[:int(pairs)] for _ in range(2)]
    prompts.sort(key=len)
    batch = int(batch)

    def run():
        with torch.inference_mode():
            for i in range(0, len(prompts), batch):
                part = prompts[i:i + batch]
                longest = max(map(len, part))
                ids = torch.tensor([[0] * (longest - len(p)) + p for p in part], device="cuda")
                mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in part],
                                    device="cuda")
                if new_tokens == 1:
                    model(input_ids=ids, attention_mask=mask, logits_to_keep=1).logits[:, -1].cpu()
                else:
                    model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=new_tokens,
                                   min_new_tokens=new_tokens, do_sample=False, pad_token_id=0)
        torch.cuda.synchronize()

    if new_tokens == 1:
        run()
    else:
        with torch.inference_mode():
            ids = torch.tensor([prompts[0]], device="cuda")
            model.generate(input_ids=ids, max_new_tokens=4, do_sample=False, pad_token_id=0)
    start = time.perf_counter()
    run()
    return {"pairs_per_second": int(pairs) / (time.perf_counter() - start)}


def verdict(directory, data, pairs, batch):
    return judged(directory, data, pairs, batch, 1)


def reason(directory, data, pairs, batch):
    return judged(directory, data, pairs, batch, 64)


def mlx_model():
    import mlx.core as mx
    import mlx.nn as nn
    from mlx_lm.models import qwen2
    model = qwen2.Model(qwen2.ModelArgs.from_dict(dict(SHAPE, model_type="qwen2")))
    model.set_dtype(mx.bfloat16)
    nn.quantize(model, 64, 4)
    mx.eval(model.parameters())
    return model


def mlx(batch, tokens, steps):
    import mlx.core as mx
    import mlx.nn as nn
    import mlx.optimizers as optim
    from mlx.utils import tree_flatten
    from mlx_lm.tuner.trainer import default_loss, grad_checkpoint
    from mlx_lm.tuner.utils import linear_to_lora_layers
    batch, tokens = int(batch), int(tokens)
    model = mlx_model()
    model.freeze()
    linear_to_lora_layers(model, len(model.layers), {
        "rank": 8, "scale": 2.0, "dropout": 0.0, "keys": ["self_attn.q_proj", "self_attn.v_proj"]})
    model.train()
    grad_checkpoint(model.layers[0])
    optimizer = optim.AdamW(learning_rate=1e-5)
    lengths = mx.array([[0, tokens]] * batch)
    gradient_of = nn.value_and_grad(model, default_loss)
    mx.clear_cache()
    mx.reset_peak_memory()
    rates = []
    for _ in range(int(steps)):
        ids = mx.random.randint(0, 150000, (batch, tokens + 1))
        mx.eval(ids)
        start = time.perf_counter()
        (loss, _), gradient = gradient_of(model, ids, lengths)
        norm = mx.sqrt(sum((g.astype(mx.float32)**2).sum() for _, g in tree_flatten(gradient)))
        optimizer.update(model, gradient)
        mx.eval(model.parameters(), optimizer.state, loss, norm)
        rates.append(batch * tokens / (time.perf_counter() - start))
    rates = sorted(rates[1:])
    return {"tokens_per_second": rates[len(rates) // 2],
            "peak_memory_gb": mx.get_peak_memory() / 1e9,
            "loss": loss.item(), "grad_norm": norm.item()}


def generate(*rows):
    """ROWS: PROMPT BATCH TOKENS ...; prompts read and tokens generated a second, of each."""
    import mlx.core as mx
    from mlx_lm.models.cache import make_prompt_cache
    model = mlx_model()
    model.eval()
    mx.clear_cache()
    result = []
    for prompt, batch, tokens in zip(*[iter(map(int, rows))] * 3):
        x = mx.random.randint(0, 1000, (batch, prompt))
        mx.eval(x)
        best = 0.0
        for _ in range(2):
            cache = make_prompt_cache(model)
            start = time.perf_counter()
            out = model(x, cache=cache)[:, -1:]
            mx.eval(out, [c.state for c in cache])
            best = max(best, batch * prompt / (time.perf_counter() - start))
        y = mx.argmax(out, axis=-1)
        for _ in range(4):
            y = mx.argmax(model(y, cache=cache), axis=-1)
        mx.eval(y)
        start = time.perf_counter()
        for _ in range(tokens):
            y = mx.argmax(model(y, cache=cache), axis=-1)
            mx.async_eval(y)
        mx.eval(y)
        rate = batch * tokens / (time.perf_counter() - start)
        result.append({"prompt": best, "generation": rate})
    return result


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
