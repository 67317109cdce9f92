"""Makes tests/golden/tokenizers/added_tokens.json: model directories whose tokens stand partly in
tokenizer_config.json, special_tokens_map.json and added_tokens.json, and the ids, texts and special
tokens that transformers' PreTrainedTokenizerFast gives for them.

usage: python scripts/added_token_goldens.py   (from the repository's root)
Needs transformers 5.24 with tokenizers 0.23.
"""

import json
import pathlib
import random
import tempfile

import transformers
from transformers import PreTrainedTokenizerFast

FOLDER = pathlib.Path("tests/golden/tokenizers")
CASES = 120
CONTENTS = ["<|im_start|>", "<|im_end|>", "<pad>", "<s>", "</s>", "<tool>", "User", " the", "Übung",
            "<unk>", "▁in", "a b", "<|endoftext|>"]
ROLES = ["bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token",
         "image_token", "eot_token"]
TEXTS = ["<|im_start|>User\nHello in the end<|im_end|> <pad>", "  <tool> the Übung\t</s>x<s> a b <unk>",
         "a<|endoftext|>  Users  in\n▁in <mask> </s>", "the Übungen a  b<|im_end|>\n"]


def settings(r, content):
    out = dict(content=content)
    for key, often in (("lstrip", 5), ("rstrip", 5), ("single_word", 6), ("normalized", 3), ("special", 2)):
        if r.randrange(8):
            out[key] = r.randrange(often) == 0
    return out


def written(r, content):
    """A token as a string or with its settings."""
    return content if r.randrange(3) else dict(settings(r, content), __type="AddedToken")


def roles(r, typed):
    out = {}
    for role in r.sample(ROLES, r.randrange(4)):
        content = r.choice(CONTENTS)
        if role in ("image_token", "eot_token"):
            out[role] = content
        elif r.randrange(12) == 0:
            out[role] = None
        else:
            out[role] = written(r, content) if typed else (
                content if r.randrange(3) else settings(r, content))
    return out


def some(r, most):
    return r.sample(CONTENTS, r.randrange(most + 1))


def make_case(r, base):
    case = dict(base=base)
    file = json.loads((FOLDER / f"{base}.json").read_text(encoding="utf-8"))
    size = max(file["model"]["vocab"].values()) + 1
    if r.randrange(2):
        tokens, contents = [], some(r, 5)
        for content in contents + ([r.choice(contents)] if contents and r.randrange(3) == 0 else []):
            token = dict(lstrip=False, rstrip=False, single_word=False, normalized=False, special=False)
            token |= settings(r, content)
            token["id"] = file["model"]["vocab"].get(content, size + len(tokens))
            if r.randrange(12) == 0:
                token["id"] += 1
            tokens.append(token)
        case["added"] = file["added_tokens"] = tokens
    last = max([size] + [t["id"] for t in file["added_tokens"]]) + 1
    config = roles(r, True)
    if r.randrange(3) == 0:
        config["additional_special_tokens"] = [written(r, c) for c in some(r, 3)]
    if r.randrange(4) == 0:
        config["extra_special_tokens"] = (
            [written(r, c) for c in some(r, 2)] if r.randrange(2) else
            {role: c for role, c in zip(["image_token", "audio_token"], some(r, 2))})
    if r.randrange(5) < 2:
        decoder = {}
        for content in some(r, 4):
            at = last + r.randrange(8) if r.randrange(3) else file["model"]["vocab"].get(content, last)
            decoder[str(at)] = settings(r, content)
        for token in r.sample(file["added_tokens"], min(len(file["added_tokens"]), r.randrange(4))):
            decoder[str(token["id"])] = {k: v for k, v in token.items() if k != "id"}
        config["added_tokens_decoder"] = decoder
    if r.randrange(6):
        case["tokenizer_config.json"] = config
    if r.randrange(2):
        more = roles(r, False)
        if r.randrange(3) == 0:
            more["additional_special_tokens"] = some(r, 3)
        case["special_tokens_map.json"] = more
    if r.randrange(3) == 0:
        case["added_tokens.json"] = {c: last + i + (r.randrange(6) == 0) for i, c in enumerate(some(r, 4))}
    return case


def run(case):
    file = json.loads((FOLDER / f"{case['base']}.json").read_text(encoding="utf-8"))
    if "added" in case:
        file["added_tokens"] = case["added"]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "tokenizer.json").write_text(json.dumps(file))
        for name in case:
            if name.endswith(".json"):
                (folder / name).write_text(json.dumps(case[name]))
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    ids = [tokenizer.encode(t, add_special_tokens=False) for t in TEXTS]
    # tokenizers 0.23 decodes a token to its normalized text, keeps that text when the token is no
    # longer looked for in normalized text, and looks for it among the special ones: two mistakes
    # that are no goldens.
    shown = {i: tokenizer.backend_tokenizer.id_to_token(i) for i in tokenizer.added_tokens_decoder}
    changed = {i for i, t in tokenizer.added_tokens_decoder.items() if shown[i] != t.content}
    stale = any(not tokenizer.added_tokens_decoder[i].normalized for i in changed)

    def decode(skip):
        return [tokenizer.decode(i, skip_special_tokens=skip, clean_up_tokenization_spaces=False)
                for i in ids]

    return dict(ids=ids, full=None if stale else decode(False), plain=None if changed else decode(True),
                bos=tokenizer.bos_token or "", eos=tokenizer.eos_token or "",
                added={t.content: i for i, t in tokenizer.added_tokens_decoder.items()})


def main():
    transformers.logging.set_verbosity_error()
    r = random.Random(9)
    cases, refused = [], 0
    while len(cases) < CASES:
        case = make_case(r, r.choice(["qwen2", "llama2", "gemma"]))
        try:
            case["expect"] = run(case)
        except Exception as e:  # what transformers refuses is no golden
            refused += 1
            print(type(e).__name__, str(e)[:100])
            continue
        cases.append(case)
    lines = ",\n".join(json.dumps(c, ensure_ascii=False, separators=(",", ":")) for c in cases)
    texts = json.dumps(TEXTS, ensure_ascii=False)
    (FOLDER / "added_tokens.json").write_text(f'{{"texts": {texts},\n"cases": [\n{lines}\n]}}\n', encoding="utf-8")
    print(len(cases), "cases,", refused, "refused")


main()
