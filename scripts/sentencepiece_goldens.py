"""Makes the goldens of SentencePiece vocabularies in GGUF files:

  tests/golden/tokenizers/sentencepiece.json   a small BPE model with byte fallback, trained on the
        fragments: its tokens, scores and types as llama.cpp's converter writes them into a GGUF file
  tests/golden/tokenizers/sentencepiece_hashes.json   for 2,000 strings the hashes of
        tokenizer_goldens.py, from the tokenizer.json that transformers' LlamaTokenizerFast makes of
        the model, with and without the space before a text

Where a string holds no special token, its ids are checked here to be sentencepiece's own.

usage: python scripts/sentencepiece_goldens.py   (from the repository's root)
Needs sentencepiece, protobuf and transformers 4.57.
"""

import io
import json
import pathlib
import re
import tempfile

import sentencepiece as spm
from transformers import LlamaTokenizerFast

FOLDER = pathlib.Path("tests/golden/tokenizers")
STRINGS = 2000

source = pathlib.Path("scripts/tokenizer_goldens.py").read_text(encoding="utf-8").replace("\nmain()\n", "\n")
source = source.replace("import gguf\n", "").replace("__file__", repr(str(pathlib.Path("scripts/x.py").resolve())))
common = {}
exec(compile(source, "tokenizer_goldens.py", "exec"), common)


def train():
    out = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(l for t in common["corpus"]() for l in t.split("\n") if l),
        model_writer=out, model_type="bpe", vocab_size=1400, byte_fallback=True,
        character_coverage=0.995, normalization_rule_name="identity", remove_extra_whitespaces=False,
        add_dummy_prefix=True, allow_whitespace_only_pieces=True, split_digits=True,
        user_defined_symbols=["<|user|>", "[INST]"], control_symbols=["<|end|>"],
        max_sentence_length=100000, num_threads=1, minloglevel=2)
    return out.getvalue()


def fields(model):
    """As _create_vocab_sentencepiece of llama.cpp's convert_hf_to_gguf.py."""
    tokens, scores, types = [], [], []
    for i in range(model.vocab_size()):
        kind = 1
        if model.is_unknown(i):
            kind = 2
        elif model.is_control(i):
            kind = 3
        elif model.is_unused(i):
            kind = 5
        elif model.is_byte(i):
            kind = 6
        elif model.id_to_piece(i) in ("<|user|>", "[INST]"):
            kind = 4
        tokens.append(model.id_to_piece(i))
        scores.append(model.get_score(i))
        types.append(kind)
    return dict(tokens=tokens, scores=scores, types=types)


def main():
    data = train()
    model = spm.SentencePieceProcessor(model_proto=data)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "tokenizer.model"
        path.write_bytes(data)
        hashes = {}
        strings = [common["make_string"](i) for i in range(STRINGS)]
        for prefix in (True, False):
            tokenizer = LlamaTokenizerFast(vocab_file=str(path), legacy=True, add_prefix_space=prefix,
                                           from_slow=True)
            backend = tokenizer.backend_tokenizer
            special = re.compile("|".join(re.escape(t) for t in tokenizer.added_tokens_encoder))
            same = other = 0
            for text in strings if prefix else []:
                if special.search(text) or "▁" in text:
                    continue
                mine, theirs = backend.encode(text, add_special_tokens=False).ids, model.encode(text)
                if mine == theirs:
                    same += 1
                else:
                    other += 1
                    if other < 4:
                        print("sentencepiece differs:", repr(text), backend.encode(text).tokens, model.encode(text, out_type=str))
            if prefix:
                print(same, "strings as sentencepiece,", other, "not")
                (FOLDER / "sentencepiece.json").write_text(
                    json.dumps(fields(model), ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
            hashes["prefix" if prefix else "no_prefix"] = "".join(common["hash_of"](backend, s) for s in strings)
        (FOLDER / "sentencepiece_hashes.json").write_text(json.dumps(hashes, indent=0) + "\n")


main()
