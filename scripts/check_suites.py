#!/usr/bin/env python3
"""Checks `gavel eval --suite` on the files of the benchmarks' own repositories.

    scripts/check_suites.py CLONES --model models/SmolLM2-135M-Instruct.Q4_1.gguf

CLONES is a folder that holds clones (or parts) of github.com/princeton-nlp/LLMBar,
ScalerLab/JudgeBench, WeOpenML/PandaLM, GAIR-NLP/auto-j and THU-KEG/RM-Bench; what is not there is
skipped and said. Two things are checked:

- each file is judged as it is published, by the model, on a few rows, and the labels that gavel
  reads are those that this script reads;
- the verdicts that the authors publish of known judges, written into gavel's judgements.jsonl,
  get from gavel the scores that the authors publish of them (or that their rule, written again
  here, gives).

Nothing is downloaded and nothing is left behind. Exit code 1 where something differs.
"""
import argparse
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

SWAPPED = {"A": "B", "B": "A", "tie": "tie", "none": "none"}


def lines(path):
    return [json.loads(line) for line in open(path, encoding="utf-8") if line.strip()]


class Gavel:
    def __init__(self, program, model):
        self.program, self.model = program, model

    def command(self, suite, files, output, *more):
        names = ",".join(f"{suite}={f}" for f in files)
        return [self.program, "eval", "--model", self.model, "--suite", names, "--mode", "verdict",
                "--bootstrap", "20", "--output", str(output), *more]

    def judged(self, suite, files, rows, *more):
        """The judgements of the first rows, as gavel logs them, and its scores."""
        with tempfile.TemporaryDirectory() as folder:
            command = self.command(suite, files, folder, "--limit", str(rows), *more)
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                raise RuntimeError(done.stderr.strip().splitlines()[-1])
            log = lines(pathlib.Path(folder) / "judgements.jsonl")[1:]
            evaluation = json.load(open(pathlib.Path(folder) / "eval.json"))
            return log, evaluation["suites"][0]["judges"][0]["parts"]

    def scored(self, suite, files, judgements):
        """Gavel's scores of (label, verdict, verdict of the second order or None) a pair. The log is
        begun by gavel itself, so that it has the settings of these files."""
        with tempfile.TemporaryDirectory() as folder:
            log = pathlib.Path(folder) / "judgements.jsonl"
            more = [] if judgements[0][2] else ["--one-order"]
            command = self.command(suite, files, folder, *more)
            begun = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while begun.poll() is None and not (log.exists() and log.stat().st_size > 0):
                time.sleep(0.02)
            begun.send_signal(signal.SIGKILL)
            begun.wait()
            head = open(log, encoding="utf-8").readline()
            with open(log, "w", encoding="utf-8") as out:
                out.write(head)
                for i, (label, first, second) in enumerate(judgements):
                    line = {"judge": "base", "weights": "", "index": i, "label": label,
                            "verdict": first, "verdict_ab": first, "tokens": 0, "seconds": 0,
                            "wall": 0}
                    if second:
                        line["verdict_ba"] = second
                    out.write(json.dumps(line) + "\n")
            before = log.stat().st_size
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                raise RuntimeError(done.stderr.strip().splitlines()[-1])
            if log.stat().st_size != before:
                raise RuntimeError(f"{suite}: gavel has other pairs than the {len(judgements)} here")
            evaluation = json.load(open(pathlib.Path(folder) / "eval.json"))
            return {part: v["value"]
                    for part, v in evaluation["suites"][0]["judges"][0]["parts"].items()}


class Report:
    def __init__(self):
        self.failed = self.checked = 0

    def compare(self, what, ours, theirs, digits=4):
        """`theirs` is rounded to so many digits, as it is published."""
        same = ours is not None and abs(ours - theirs) <= 0.5 * 10**-digits + 1e-9
        self.checked += 1
        self.failed += not same
        print(f"{'ok  ' if same else 'FAIL'}  {what}: {ours if ours is None else round(ours, 6)} "
              f"(published {theirs})")

    def labels(self, suite, log, expected):
        """Of the judged rows, in both orders of the log."""
        got = [line["label"] for line in log]
        wanted = expected[: len(got)]
        same = got == wanted and len(got) > 0
        self.checked += 1
        self.failed += not same
        print(f"{'ok  ' if same else 'FAIL'}  {suite}: {len(got)} pairs judged as published, "
              f"labels {''.join(label[0] for label in got)}")


def llmbar(gavel, report, root):
    data = root / "LLMBar/Dataset/LLMBar"
    files = sorted(data.rglob("dataset.json"))
    label = {1: "A", 2: "B"}
    rows = [row for f in files for row in json.load(open(f))]
    log, _ = gavel.judged("llmbar", [data], 6)
    report.labels("llmbar", log, [label[row["label"]] for row in rows])
    verdict = {"1": "A", "2": "B"}
    for judge in ("GPT-4", "LLaMA2", "PaLM2"):
        judgements, published, equal = [], {}, 0
        for f in files:
            folder = f.parent / "evaluators" / judge / "Vanilla"
            for row in json.load(open(folder / "result.json")):
                # The winner of the exchanged order names the row's own answers.
                by = {order: verdict.get(row["results"][-1][f"swap = {order}"]["winner"], "none")
                      for order in (False, True)}
                judgements.append((label[row["label"]], by[False], by[True]))
            statistics = json.load(open(folder / "statistics.json"))
            published[f.parent.name] = float(statistics["correct_average"].rstrip("%")) / 100
            equal += int(statistics["equal"].split(" / ")[0])
        scores = gavel.scored("llmbar", [data], judgements)
        for part, value in published.items():
            report.compare(f"llmbar, {judge}, {part}", scores.get(part), value, 6)
        report.compare(f"llmbar, {judge}, same in both orders", scores.get("same in both orders"),
                       equal / len(rows), 6)


def judgebench(gavel, report, root):
    names = {"A>B": "A", "B>A": "B", "A=B": "tie"}
    files = sorted((root / "JudgeBench/data").glob("*.jsonl"))
    log, _ = gavel.judged("judgebench", files[:1], 4)
    report.labels("judgebench", log, [names[row["label"]] for row in lines(files[0])])
    for output in sorted((root / "JudgeBench/outputs").glob("*.jsonl")):
        of, judge = re.match(r"(.*),judge_name=(.*)\.jsonl", output.name).groups()
        rows = {row["pair_id"]: row for row in lines(output)}
        source = root / "JudgeBench/data" / f"{of}.jsonl"
        judgements, votes = [], {}
        for pair in lines(source):
            first, second = (names.get((j or {}).get("decision"), "none")
                             for j in rows[pair["pair_id"]]["judgments"])
            right = names[pair["label"]]
            second = SWAPPED[second]
            judgements.append((right, first, second))
            # The authors' rule: orders for the label less orders for its opposite.
            vote = sum((v == right) - (v == SWAPPED[right]) for v in (first, second))
            for group, start in (("knowledge", "mmlu-pro"), ("reasoning", "livebench-reasoning"),
                                 ("math", "livebench-math"), ("coding", "livecodebench"),
                                 ("overall", "")):
                if pair["source"].startswith(start):
                    votes.setdefault(group, []).append(vote > 0)
        scores = gavel.scored("judgebench", [source], judgements)
        for group, values in votes.items():
            report.compare(f"judgebench, {of.split('=')[-1]}, {judge}, {group}", scores.get(group),
                           sum(values) / len(values), 6)


def pandalm(gavel, report, root):
    source = root / "PandaLM/data/testset-v1.json"
    rows = json.load(open(source))
    names = {0: "tie", 1: "A", 2: "B"}
    votes = [[row[f"annotator{k}"] for k in (1, 2, 3)] for row in rows]
    labels = [names[max(v, key=v.count)] for v in votes]
    log, _ = gavel.judged("pandalm", [source], 8)
    report.labels("pandalm", log, labels)
    # The figures are in data/compute_metrics.py of the same repository.
    for judge, field, published in (
            ("pandalm-7b", "pandalm_result", (0.6677, 0.5738, 0.5750, 0.5743)),
            ("gpt-3.5-turbo", "gpt_result", (0.7107, 0.5879, 0.5736, 0.5755))):
        said = [row[field] for row in json.load(open(source.parent / f"{judge}-testset-v1.json"))]
        verdicts = [names[0 if str(s).lower() in ("tie", "garbage") else int(s)] for s in said]
        scores = gavel.scored("pandalm", [source], [(a, b, None) for a, b in zip(labels, verdicts)])
        for part, value in zip(("accuracy", "precision", "recall", "F1"), published):
            report.compare(f"pandalm, {judge}, {part}", scores.get(part), value)


def auto_j(gavel, report, root):
    source = root / "auto-j/data/test/testdata_pairwise.jsonl"
    names = {0: "A", 1: "B", 2: "tie"}
    labels = [names[row["label"]] for row in lines(source)]
    log, _ = gavel.judged("auto-j", [source], 6)
    report.labels("auto-j", log, labels)
    outputs = source.parent.parent / "outputs"
    first = [names[row["output"]] for row in lines(outputs / "pairwise_example_output.jsonl")]
    second = [SWAPPED[names[row["output"]]]
              for row in lines(outputs / "pairwise_exchange_example_output.jsonl")]
    scores = gavel.scored("auto-j", [source], list(zip(labels, first, second)))
    # codes/leaderboard/README.md
    report.compare("auto-j, Auto-J, agreement", scores.get("agreement"), 0.5496)
    report.compare("auto-j, Auto-J, consistency", scores.get("consistency"), 0.8341)
    alone = gavel.scored("auto-j", [source], [(a, b, None) for a, b in zip(labels, first)])
    report.compare("auto-j, Auto-J, one order", alone.get("agreement"), 0.5999)


def rm_bench(gavel, report, root):
    for file in sorted((root / "RM-Bench/data").glob("*_filtered.json")):
        rows = json.load(open(file))
        log, parts = gavel.judged("rm-bench", [file], 1, "--one-order")
        answers = {(line["answer_a"], line["answer_b"], line["label"]) for line in log}
        wanted = {pair for c in rows[0]["chosen"] for r in rows[0]["rejected"]
                  for pair in ((c, r, "A"), (r, c, "B"))}
        same = len(log) == 9 and answers <= wanted
        report.checked += 1
        report.failed += not same
        print(f"{'ok  ' if same else 'FAIL'}  rm-bench, {file.name}: {len(rows)} rows, the nine pairs "
              f"of the first judged; parts {', '.join(parts)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clones", type=pathlib.Path)
    parser.add_argument("--gavel", default="build/gavel")
    parser.add_argument("--model", required=True)
    parser.add_argument("--only", help="one suite's name")
    arguments = parser.parse_args()
    gavel, report = Gavel(arguments.gavel, arguments.model), Report()
    for name, folder, check in (("llmbar", "LLMBar", llmbar), ("judgebench", "JudgeBench", judgebench),
                                ("pandalm", "PandaLM", pandalm), ("auto-j", "auto-j", auto_j),
                                ("rm-bench", "RM-Bench", rm_bench)):
        if arguments.only and name != arguments.only:
            continue
        if not (arguments.clones / folder).is_dir():
            print(f"--    {name}: there is no {arguments.clones / folder}")
            continue
        check(gavel, report, arguments.clones)
    print(f"{report.checked} checks, {report.failed} failed")
    sys.exit(report.failed > 0 or report.checked == 0)


if __name__ == "__main__":
    main()
