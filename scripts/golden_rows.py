#!/usr/bin/env python3
"""Makes tests/golden/rows: the same three records as Parquet (snappy, zstd), Arrow file, Arrow
stream, and zip archives, and as the lines of JSON that gavel must make of them (rows.jsonl).

Needs pyarrow. usage: golden_rows.py
"""
import datetime
import decimal
import json
import pathlib
import zipfile

import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests/golden/rows"
turns = [{"role": "user", "content": "Name a \"colour\".\n"}, {"role": "assistant", "content": "é 中"}]
ROWS = [
    {"id": 1, "question": "Name a colour.", "answer_a": "Blue", "answer_b": "Seven", "label": "A",
     "turns": turns, "score": 1.0, "sure": True, "note": None, "when": "2024-01-02",
     "price": "1.50", "image": {"bytes": 2}, "kind": "x", "pair": [1, 2], "of": {"a": 1}},
    {"id": 2, "question": "What is 2 + 2?", "answer_a": "5", "answer_b": "4", "label": "B",
     "turns": [], "score": 0.25, "sure": False, "note": "n", "when": None, "price": None,
     "image": "text", "kind": "y", "pair": None, "of": {}},
    {"id": 3, "question": "Capital of France?", "answer_a": "Paris", "answer_b": "Paris",
     "label": "tie", "turns": None, "score": None, "sure": None, "note": None, "when": None,
     "price": None, "image": None, "kind": "x", "pair": [3, None], "of": None},
]


def main():
    OUT.mkdir(exist_ok=True)
    text = pa.string()
    columns = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    columns["score"] = pa.array([1.0, 0.25, float("nan")])  # NaN is null
    columns["when"] = pa.array([datetime.date(2024, 1, 2), None, None])
    columns["price"] = pa.array([decimal.Decimal("1.50"), None, None])
    columns["image"] = pa.array([b"\xff\xd8", b"text", None])
    columns["kind"] = pa.array(columns["kind"]).dictionary_encode()
    columns["pair"] = pa.array(columns["pair"], pa.list_(pa.int32(), 2))
    columns["of"] = pa.array([[("a", 1)], [], None], pa.map_(text, pa.int32()))
    columns["note"] = pa.array(columns["note"], pa.large_string())
    table = pa.table(columns)
    pq.write_table(table, OUT / "rows.parquet")
    pq.write_table(table, OUT / "groups.parquet", compression="zstd", row_group_size=1)
    with ipc.new_file(OUT / "rows.arrow", table.schema) as out:
        out.write_table(table)
    with ipc.new_stream(OUT / "stream.arrow", table.schema) as out:
        out.write_table(table)
    lines = "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n"
                    for row in ROWS)
    (OUT / "rows.jsonl").write_text(lines)
    small = "question,answer_a,answer_b,label\nq,Blue,Seven,A\n"
    for name, files, how in [
            ("one.zip", {"folder/": "", "folder/pairs.csv": small, "__MACOSX/._pairs.csv": "x"},
             zipfile.ZIP_DEFLATED),
            ("stored.zip", {"pairs.csv": small}, zipfile.ZIP_STORED),
            ("two.zip", {"a.csv": small, "b.csv": small}, zipfile.ZIP_DEFLATED),
            ("sheet.zip", {"[Content_Types].xml": "x", "xl/workbook.xml": "x"},
             zipfile.ZIP_DEFLATED),
            ("lzma.zip", {"a.csv": small}, zipfile.ZIP_LZMA)]:
        with zipfile.ZipFile(OUT / name, "w", how) as archive:
            for path, content in files.items():
                archive.writestr(zipfile.ZipInfo(path, (2024, 1, 2, 0, 0, 0)), content, how)


if __name__ == "__main__":
    main()
