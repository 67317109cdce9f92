#!/usr/bin/env python3
"""Writes the fuzz targets' first inputs: small good files, one folder a target.

usage: make_corpus.py DIRECTORY
"""
import gzip
import json
import lzma
import pathlib
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"
# ggml's types as (number, values a block, bytes a block).
TYPES = {"F32": (0, 1, 4), "F16": (1, 1, 2), "Q4_0": (2, 32, 18), "Q4_1": (3, 32, 20),
         "Q5_0": (6, 32, 22), "Q5_1": (7, 32, 24), "Q8_0": (8, 32, 34), "Q2_K": (10, 256, 84),
         "Q3_K": (11, 256, 110), "Q4_K": (12, 256, 144), "Q5_K": (13, 256, 176),
         "Q6_K": (14, 256, 210), "Q8_K": (15, 256, 292), "IQ4_NL": (20, 32, 18),
         "IQ4_XS": (23, 256, 136), "BF16": (30, 1, 2)}


def text(s):
    return struct.pack("<Q", len(s.encode())) + s.encode()


def value(v):
    if isinstance(v, bool):
        return struct.pack("<IB", 7, v)
    if isinstance(v, int):
        return struct.pack("<II", 4, v)
    if isinstance(v, float):
        return struct.pack("<If", 6, v)
    if isinstance(v, str):
        return struct.pack("<I", 8) + text(v)
    kind, items = (8, map(text, v)) if isinstance(v[0], str) else (
        6, (struct.pack("<f", x) for x in v)) if isinstance(v[0], float) else (
        5, (struct.pack("<i", x) for x in v))
    return struct.pack("<IIQ", 9, kind, len(v)) + b"".join(items)


def gguf(arch, kind, width, tokens, **more):
    """A model of one layer whose matrices are of type `kind`; `more` are tokenizer.ggml.* metadata."""
    number, block, size = TYPES[kind]
    heads, head_dim = 2, 4
    inner = heads * head_dim if block == 1 else width
    if block > 1:
        head_dim = width // heads
    meta = {"general.architecture": arch, f"{arch}.embedding_length": width,
            f"{arch}.feed_forward_length": width, f"{arch}.block_count": 1,
            f"{arch}.attention.head_count": heads, f"{arch}.attention.head_count_kv": heads,
            f"{arch}.attention.key_length": head_dim, f"{arch}.context_length": 64,
            f"{arch}.attention.layer_norm_rms_epsilon": 1e-5, f"{arch}.rope.freq_base": 1e4,
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": "smollm" if arch == "llama" else "qwen2",
            "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": [3] + [1] * (len(tokens) - 1),
            "tokenizer.ggml.merges": ["a b"], "tokenizer.ggml.bos_token_id": 0,
            "tokenizer.ggml.eos_token_id": 0, "tokenizer.ggml.add_bos_token": True,
            "tokenizer.chat_template": "{{ messages[0].content }}"}
    meta |= {f"tokenizer.ggml.{k}": v for k, v in more.items()}
    matrices = {"token_embd": (len(tokens), width), "blk.0.attn_q": (inner, width),
                "blk.0.attn_k": (inner, width), "blk.0.attn_v": (inner, width),
                "blk.0.attn_output": (width, inner), "blk.0.ffn_gate": (width, width),
                "blk.0.ffn_up": (width, width), "blk.0.ffn_down": (width, width)}
    vectors = {"blk.0.attn_norm": width, "blk.0.ffn_norm": width, "output_norm": width}
    if arch == "qwen3":
        vectors |= {"blk.0.attn_q_norm": head_dim, "blk.0.attn_k_norm": head_dim}
    if arch == "llama":
        vectors["rope_freqs"] = head_dim // 2
    table, data = b"", b""
    for name, (rows, cols) in matrices.items():
        table += text(name + ".weight") + struct.pack("<IQQIQ", 2, cols, rows, number, len(data))
        data += bytes(i % 7 for i in range(rows * cols // block * size))
        data += b"\0" * (-len(data) % 32)
    for name, count in vectors.items():
        table += text(name + ".weight") + struct.pack("<IQIQ", 1, count, 0, len(data))
        data += struct.pack(f"<{count}f", *([1.0] * count))
        data += b"\0" * (-len(data) % 32)
    out = b"GGUF" + struct.pack("<IQQ", 3, len(matrices) + len(vectors), len(meta))
    out += b"".join(text(k) + value(v) for k, v in meta.items()) + table
    return out + b"\0" * (-len(out) % 32) + data


def safetensors(header, data=b""):
    header = header if isinstance(header, str) else json.dumps(header)
    return struct.pack("<Q", len(header)) + header.encode() + data


def tokenizer(name, **parts):
    """The golden tokenizer `name` with a short vocabulary, and `parts` in place of its own."""
    j = json.loads((GOLDEN / "models" / name / "tokenizer.json").read_text())
    keep = dict(list(j["model"]["vocab"].items())[:40])
    j["model"]["vocab"] = keep
    j["model"]["merges"] = [m for m in j["model"]["merges"] if all(
        p in keep for p in (m if isinstance(m, list) else m.split(" ")))][:5]
    return json.dumps({**j, **parts}).encode()


def corpus():
    tokens = ["<|im_end|>", "a", "b", "ab", "\u0120", "1", "2", "'"]
    for arch in ("llama", "qwen2", "qwen3"):
        yield "gguf", f"{arch}-F32", gguf(arch, "F32", 8, tokens)
    for kind in ("F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "IQ4_NL", "IQ4_XS"):
        yield "gguf", f"llama-{kind}", gguf("llama", kind, max(8, TYPES[kind][1]), tokens)
    pieces = ["<unk>", "<s>", "</s>", "<0x61>", "\u2581", "a", "\u2581a", "[X]"]
    yield "gguf", "sentencepiece", gguf(
        "llama", "F32", 8, pieces, model="llama", scores=[0.0, 0.0, 0.0, 0.0, -2.0, -3.0, -1.0, 0.0],
        token_type=[2, 3, 3, 6, 1, 1, 1, 4], add_space_prefix=True)
    one = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    yield "safetensors", "one", safetensors({"__metadata__": {"format": "mlx"}, "x": one},
                                            b"\0" * 16)
    yield "safetensors", "two", safetensors(
        {"a": {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]},
         "b": {"dtype": "BF16", "shape": [1, 2], "data_offsets": [3, 7]},
         "c": {"dtype": "I64", "shape": [], "data_offsets": [7, 15]},
         "d": {"dtype": "F16", "shape": [0, 4], "data_offsets": [15, 15]}}, b"\1" * 15)
    for name in ("llama", "qwen2"):
        yield "tokenizer", name, tokenizer(name)
    yield "tokenizer", "split", tokenizer(
        "llama", normalizer={"type": "Sequence", "normalizers": [
            {"type": "NFKC"}, {"type": "Lowercase"}, {"type": "StripAccents"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "_"},
            {"type": "Prepend", "prepend": "_"}, {"type": "Strip"}]},
        pre_tokenizer={"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": "\\p{L}+|\\p{N}"}, "behavior": "Isolated",
             "invert": False},
            {"type": "Digits", "individual_digits": True}, {"type": "Punctuation"},
            {"type": "CharDelimiterSplit", "delimiter": "x"}, {"type": "WhitespaceSplit"},
            {"type": "Metaspace", "replacement": "_", "prepend_scheme": "first", "split": True}]},
        post_processor={"type": "TemplateProcessing", "single": [
            {"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        decoder={"type": "Sequence", "decoders": [
            {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})
    for path in sorted((GOLDEN / "chat_templates").glob("*.jinja")):
        yield "template", path.stem, path.read_bytes()
    for i, part in enumerate((GOLDEN / "chat_templates" / "snippets.txt").read_text().split("\n\n")):
        if i % 4 == 0 and part.strip():
            yield "template", f"snippet-{i}", part.encode()
    rows = [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
            {"prompt": "p", "completion": "c", "group": 1}, {"text": "some text"},
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]},
                          {"role": "assistant", "content": "b"}], "answer_a": 1, "answer_b": 2,
             "tools": [{"name": "f"}]}]
    rows.append({"messages": [{"role": "user", "content": "q<end> a<end>\ufdd0 b"},
                              {"role": "assistant", "content": "A"}],
                 "question": "q<end>", "answer_a": "a<end>\ufdd0", "answer_b": "b"})
    for i, row in enumerate(rows):
        yield "rows", f"record-{i}", b"\0" + 2 * (json.dumps(row).encode() + b"\n")
    pair = {"question": "q", "answer_a": "x", "answer_b": "y", "label": "A", "reason": "because"}
    judgelm = {"question_body": "q", "answer1_body": "x", "answer2_body": "y", "score": [7, 3],
               "text": "7 3\nAssistant 1 is better", "reference": {"text": "r"}}
    pandalm = {"instruction": "i", "input": "", "response1": "x", "response2": "y",
               "annotator1": 1, "annotator2": 2, "annotator3": 0}
    for name, row in {"pair": pair, "judgelm": judgelm, "pandalm": pandalm}.items():
        yield "rows", name, b"\1" + json.dumps(row).encode() + b"\n"
    yield "rows", "list", b"\1" + json.dumps([pandalm, pair]).encode()
    said = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "x"}]
    forms = {"alpaca-eval": {"instruction": "q", "output_1": "x", "output_2": "y", "preference": 1.5,
                             "generator_1": "m", "generator_2": "n"},
             "arena": {"conversation_a": said, "conversation_b": json.dumps(said), "winner": "both_bad",
                       "model_a": "m", "turn": 1},
             "columns": {"prompt": "[\"q\"]", "response_a": "[\"x\"]", "response_b": "[\"y\"]",
                         "winner_model_a": 1, "winner_model_b": 0, "winner_tie": 0},
             "hh": {"chosen": "\n\nHuman: q\n\nAssistant: x", "rejected": "\n\nHuman: q\n\nAssistant: y"},
             "messages": {"chosen": said, "rejected": said[:1] + [{**said[1], "content": "y"}],
                          "score_chosen": 8.5, "score_rejected": 1},
             "helpsteer3": {"context": said[:1], "response1": "x", "response2": "y",
                            "overall_preference": -3, "language": "c"},
             "ranked": {"prompt": "q", "answers": [{"answer": a, "rank": i, "model": a}
                                                   for i, a in enumerate("xyz")]},
             "completions": {"instruction": "q", "completions": [
                 {"response": "x", "overall_score": 7}, {"response": "y", "overall_score": None}]},
             "each": {"prompt": "q", "chosen": ["x"], "rejected": ["y", "z"], "subset": "s"},
             "zero-one": {"prompt": "q", "response_0": "x", "response_1": "y", "better_response_id": 1,
                          "is_response_0_safe": True}}
    for name, row in forms.items():
        yield "rows", name, b"\1" + json.dumps(row).encode() + b"\n"
    csv = b"question,answer_a,answer_b,label\n\"a \"\"b\"\"\",x,y,A\nq,1,2,tie\n"
    yield "rows", "csv", b"\3" + csv
    yield "rows", "csv-semicolon", b"\3sep=;\n" + csv.replace(b",", b";")
    yield "rows", "csv-utf16", b"\3" + csv.decode().encode("utf-16")
    lines = (json.dumps({**pair, "reference": float("nan")}) + "\n" + json.dumps(pair)).encode()
    for name, packed in {"gzip": gzip.compress(lines), "xz": lzma.compress(lines),
                         "gzips": gzip.compress(lines) + gzip.compress(b"")}.items():
        yield "rows", name, b"\1" + packed
    # A frame of one raw block.
    block = struct.pack("<I", len(lines) << 3 | 1)[:3] + lines
    yield "rows", "zstd", b"\1\x28\xb5\x2f\xfd\x00\x58" + block
    yield "rows", "objects", b"\1" + json.dumps(pair, indent=1).encode() * 2
    for i, row in enumerate([{"conversations": [{"from": "human", "value": "q"},
                                                {"from": "gpt", "value": "a"}], "system": "s"},
                             {"prompt": [{"role": "user", "content": "q"}],
                              "completion": [{"role": "assistant", "content": 1}]},
                             {"instruction": "q", "input": "x", "output": "y"}]):
        yield "rows", f"form-{i}", b"\0" + json.dumps([row, row], indent=2).encode()
    for i, line in enumerate((GOLDEN / "verdicts.jsonl").read_text().splitlines()):
        judgement = json.loads(line)["text"].replace("@X", "A").replace("@Y", "B")
        yield "verdict", f"text-{i}", b"\0" + judgement.encode()
    for i in range(40):
        yield "verdict", f"pieces-{i}", bytes([1] + [(i * 37 + k * k) % 251 for k in range(12)])
    chat = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5,
            "temperature": 0.5, "top_p": 1, "stop": ["a"], "stream": True,
            "stream_options": {"include_usage": True}, "logprobs": True, "top_logprobs": 2}
    judge = {"question": "q", "answer_a": "a", "answer_b": "b", "reference": None,
             "both_orders": True, "mode": "reason"}
    for name, body in {"chat": chat, "judge": judge, "batch": {"pairs": [judge, judge]},
                       "completion": {"prompt": "x", "logprobs": 3, "n": 1, "seed": 1}}.items():
        yield "http_body", name, json.dumps(body).encode()
    schemas = [{"type": "object", "properties": {"verdict": {"enum": ["A", "B", 1.5]},
                                                 "why": {"type": "string", "maxLength": 9}},
                "required": ["verdict"], "additionalProperties": False},
               {"anyOf": [{"type": "array", "items": {"$ref": "#"}, "minItems": 1, "maxItems": 3},
                          {"type": ["number", "null"]}, {"type": "integer"}]},
               {"$defs": {"a": {"type": "object", "properties": {"b": {"$ref": "#/$defs/a"}}}},
                "$ref": "#/$defs/a"}, {}, {"const": {"x": [True, "\u00e9"]}},
               {"type": "object", "additionalProperties": {"type": "string", "minLength": 2}}]
    for i, schema in enumerate(schemas):
        choices = bytes((k * k * 31 + i) % 256 for k in range(200))
        yield "json_schema", f"schema-{i}", json.dumps(schema).encode() + b"\n" + choices
    log = [{"event": "config", "learning_rate": 1e-4, "iters": 40},
           {"event": "train", "step": 10, "loss": 1.6, "lr": 1e-5, "tokens_per_second": 113,
            "grad_norm": 0.8, "peak_memory_gb": 1.2, "trained_tokens": 5120, "seconds_left": 80},
           {"event": "valid", "step": 10, "loss": 1.4, "gap": 0.1},
           {"event": "judged", "step": 10, "pairs": 2, "figures": {"agreement": 0.8},
            "judgements": [{"question": "q", "answer_a": "a", "answer_b": "b", "label": "A",
                            "verdict": "B", "text": "t"}]},
           {"event": "best", "step": 10, "valid_loss": 1.4}, {"event": "resume", "step": 12},
           {"event": "end", "reason": "done"}]
    yield "report", "log", "\n".join(map(json.dumps, log)).encode()
    interval = {"value": 0.5, "low": 0.4, "high": 0.6}
    judged = {"name": "base", "adapter": "", "metrics": {"agreement": interval, "kappa": interval},
              "speed": {"latency_p50": 1.5}, "confusion": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]],
              "reliability": [{"count": 2, "confidence": 0.7, "accuracy": 0.5}]}
    yield "report", "eval", json.dumps({
        "data": "d", "mode": "reason", "examples": 2, "judges": [judged, {**judged, "name": "tuned"}],
        "comparisons": [{"judge": "tuned", "against": "base", "mcnemar_p": 0.5, **interval}],
        "tables": [{"title": "t", "rows": [["a", "b"], ["1", "2"]]}]}).encode()
    judgement = {"index": 0, "question": "q", "answer_a": "aa", "answer_b": "b", "label": "A",
                 "verdict": "A", "text": "t", "verdict_ab": "A", "verdict_ba": "B", "text_ba": "u"}
    yield "report", "judgements", "\n".join(
        json.dumps({"judge": name, **judgement}) for name in ("base", "tuned")).encode()
    yield "report", "sweep", json.dumps({
        "run": "r", "settings": {"learning_rate": 1e-4}, "valid_loss": 1.2, "best_step": 10,
        "agreement": 0.5, "parameters": 9, "seconds": 3}).encode()
    for name, chunks in {"two": b"3\r\nabc\r\n2;x=1\r\nde\r\n0\r\n\r\n", "trailer": b"0\r\nA: b\r\n\r\n",
                         "large": b"1001\r\n" + b"x" * 4097 + b"\r\n0\r\n\r\n"}.items():
        yield "http_chunks", name, chunks


def main():
    out = pathlib.Path(sys.argv[1])
    total = 0
    for target, name, data in corpus():
        (out / target).mkdir(parents=True, exist_ok=True)
        (out / target / name).write_bytes(data)
        total += len(data)
    print(f"{out}: {total} bytes")


if __name__ == "__main__":
    main()
