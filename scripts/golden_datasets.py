"""Makes tests/golden/datasets.json: records of training data, the tokens and prompt lengths that
mlx_lm's dataset classes make of them, and whether the tokens begin with the prompt's (`follows`).
Needs mlx_lm, transformers.

usage: golden_datasets.py   (from the repository's root)
"""

import json
import shutil
import tempfile
from pathlib import Path

from mlx_lm.tokenizer_utils import load
from mlx_lm.tuner.datasets import ChatDataset, CompletionsDataset, TextDataset

GOLDEN = Path("tests/golden")
MODEL = GOLDEN / "models" / "llama"
TEMPLATES = ["smollm2", "qwen2.5", "qwen3", "zephyr"]

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a place",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}},
    },
}


def turn(role, content):
    return {"role": role, "content": content}


CHATS = [
    {"messages": [turn("user", "What is 2 + 3?"), turn("assistant", "It is 5.")]},
    {"messages": [turn("system", "Be brief."), turn("user", "Hi"), turn("assistant", "Hello!")]},
    {
        "messages": [
            turn("user", "One"),
            turn("assistant", "1"),
            turn("user", "Two\n\n  and <|im_end|> more"),
            turn("assistant", "**Verdict:** A"),
        ]
    },
    {"messages": [turn("user", "日本語とémojis 🙂\t?"), turn("assistant", "  spaced  \n")]},
    {"messages": [turn("user", ""), turn("assistant", "")]},
    {
        "messages": [turn("user", "How warm is Rome?"), turn("assistant", "I will look.")],
        "tools": [WEATHER],
    },
    {"messages": [turn("user", "Think."), turn("assistant", "<think>\nhm\n</think>\n\nDone.")]},
]
COMPLETIONS = [
    {"prompt": "Say a word.", "completion": "Word."},
    {"prompt": "Ünïcödé \\ \"quotes\"", "completion": "line one\nline two"},
    {"prompt": "p", "completion": "c", "tools": [WEATHER]},
]
TEXTS = [
    {"text": "A plain text of some words."},
    {"text": "It ends by itself.<|im_end|>"},
    {"text": "<|endoftext|>from the start"},
    {"text": "x"},
]


def tokenizer_of(template, bos):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        data = json.loads((MODEL / "tokenizer.json").read_text())
        if bos:
            data["post_processor"]["single"].insert(
                0, {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}
            )
            data["post_processor"]["special_tokens"] = {
                "<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}
            }
            assert data["added_tokens"][0]["id"] == 0
        (folder / "tokenizer.json").write_text(json.dumps(data))
        shutil.copy(MODEL / "tokenizer_config.json", folder)
        shutil.copy(GOLDEN / "chat_templates" / f"{template}.jinja", folder / "chat_template.jinja")
        return load(folder), json.dumps(data)


def follows(tokenizer, record, tokens):
    if "text" in record:
        return True
    messages = record.get("messages") or [
        turn("user", record["prompt"]), turn("assistant", record["completion"])]
    prompt = tokenizer.apply_chat_template(messages[:-1], tools=record.get("tools"),
                                           add_generation_prompt=True, return_dict=False)
    return list(tokens[: len(prompt)]) == list(prompt)


def main():
    cases = []

    def add(template, bos, kind, masked, dataset, records):
        processed = [dataset.process(r) for r in records]
        cases.append(
            {
                "template": template,
                "bos": bos,
                "kind": kind,
                "masked": masked,
                "records": records,
                "tokens": [list(map(int, t)) for t, _ in processed],
                "offsets": [int(o) for _, o in processed],
                "follows": [follows(dataset.tokenizer, r, t) for r, (t, _) in zip(records, processed)],
            }
        )

    for template in TEMPLATES:
        for bos in (False, True):
            tokenizer, text = tokenizer_of(template, bos)
            for masked in (False, True):
                add(template, bos, "chat", masked,
                    ChatDataset(CHATS, tokenizer, mask_prompt=masked), CHATS)
                add(template, bos, "completion", masked,
                    CompletionsDataset(COMPLETIONS, tokenizer, "prompt", "completion", masked),
                    COMPLETIONS)
            if template == TEMPLATES[0]:
                add(template, bos, "text", False, TextDataset(TEXTS, tokenizer), TEXTS)
                if bos:
                    (GOLDEN / "tokenizer_bos.json").write_text(text)
    (GOLDEN / "datasets.json").write_text(
        json.dumps(cases, ensure_ascii=False, separators=(",", ":")) + "\n"
    )


main()
