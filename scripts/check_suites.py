#!/usr/bin/env python3
"""Checks `gavel eval --suite` on the files of the benchmarks' own repositories.

    scripts/check_suites.py CLONES --model models/SmolLM2-135M-Instruct.Q4_1.gguf

CLONES is a folder that holds clones (or parts) of github.com/princeton-nlp/LLMBar,
ScalerLab/JudgeBench, WeOpenML/PandaLM, GAIR-NLP/auto-j, THU-KEG/RM-Bench, allenai/reward-bench,
lm-sys/FastChat and baaivision/JudgeLM; what is not there is skipped and said. Three things are checked:

- each file is judged as it is published, by the model, on a few rows, and the labels that gavel
  reads are those that this script reads;
- the verdicts that the authors publish of known judges, written into gavel's judgements.jsonl,
  get from gavel the scores that the authors publish of them (or that their rule, written again
  here, gives);
- where the authors' repository has the code that scores but not the data (RewardBench, RewardBench 2,
  MT-bench's votes, JudgeLM), rows are made up in the published form, with verdicts that are drawn, and
  gavel's scores are those of that code, taken as it stands there.
  It needs numpy, and JudgeLM's scikit-learn, RewardBench's pandas.

Nothing is downloaded and nothing is left behind. Exit code 1 where something differs.
"""
import argparse
import ast
import json
import pathlib
import random
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
        """Gavel's scores of (label, verdict, verdict of the second order or None, and where they are
        known the answers' scores) a pair. The log is begun by gavel itself, so that it has the
        settings of these files."""
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
                for i, (label, first, second, *scores) in enumerate(judgements):
                    line = {"judge": "base", "weights": "", "index": i, "label": label,
                            "verdict": first, "verdict_ab": first, "tokens": 0, "seconds": 0,
                            "wall": 0}
                    if second:
                        line["verdict_ba"] = second
                    if scores:
                        line["scores"] = scores[0]
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

    def compare(self, what, ours, theirs, digits=4, by="published"):
        """`theirs` is rounded to so many digits, as it is published."""
        same = ours is not None and abs(ours - theirs) <= 0.5 * 10**-digits + 1e-9
        self.checked += 1
        self.failed += not same
        print(f"{'ok  ' if same else 'FAIL'}  {what}: {ours if ours is None else round(ours, 6)} "
              f"({by} {theirs})")

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


def taken(path, names, given=None):
    """Functions and constants of a file of the authors', without what else it imports."""
    source = open(path, encoding="utf-8").read()
    known = dict(given or {})
    found = set()
    for node in ast.parse(source).body:
        targets = [t.id for t in getattr(node, "targets", []) if isinstance(t, ast.Name)]
        for name in [getattr(node, "name", None), *targets]:
            if name in names:
                text = ast.get_source_segment(source, node)
                exec("from __future__ import annotations\n" + text, known)  # types need no names
                found.add(name)
    if missing := set(names) - found:
        raise RuntimeError(f"{path} has no {', '.join(sorted(missing))}")
    return known


def made_up(gavel, suite, rows, judgements):
    """Gavel's scores of the verdicts on rows that are written as the suite's file."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "rows.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return gavel.scored(suite, [file], judgements)


def reward_bench(gavel, report, root):
    package = root / "reward-bench/rewardbench"
    names = ("EXAMPLE_COUNTS", "SUBSET_MAPPING")
    constants = taken(package / "constants.py", names)
    score = taken(package / "utils.py", ["calculate_scores_per_section"])
    rows, judgements, results = [], [], {}
    for subset in (s for section in constants["SUBSET_MAPPING"].values() for s in section):
        for i in range(random.randint(3, 12)):
            rows.append({"id": len(rows), "prompt": f"{subset} {i}?", "chosen": f"good {i}",
                         "chosen_model": "x", "rejected": f"bad {i}", "rejected_model": "y",
                         "subset": subset})
            verdict = random.choice(["A", "A", "B", "tie", "none"])
            judgements.append(("A", verdict, None))
            # As scripts/run_generative.py counts a verdict.
            results.setdefault(subset, []).append({"A": 1, "B": 0}.get(verdict, 0.5))
    theirs = score["calculate_scores_per_section"](
        *(constants[n] for n in names), {k: sum(v) / len(v) for k, v in results.items()})
    theirs["overall"] = sum(theirs.values()) / len(theirs)
    ours = made_up(gavel, "rewardbench", rows, judgements)
    for section, value in theirs.items():
        report.compare(f"rewardbench, {section}", ours.get(section), value, 9, "its own code")


class Frame:
    """What the authors' code asks of a data set of the library `datasets`."""

    column_names = ()

    def __init__(self, rows):
        self.rows = rows

    def to_pandas(self):
        import pandas

        return pandas.DataFrame(self.rows)

    @staticmethod
    def from_pandas(frame):
        return Frame(frame.to_dict("records"))

    def add_column(self, name, values):
        return self

    def __iter__(self):
        return iter(self.rows)

    def __len__(self):
        return len(self.rows)


def reward_bench_2(gavel, report, root):
    import collections
    import typing

    import numpy
    import pandas

    code = taken(root / "reward-bench/rewardbench/utils.py",
                 ["reroll_and_score_dataset", "_compute_prompt_stats", "process_single_model"],
                 {"np": numpy, "pd": pandas, "Dataset": Frame, "Dict": typing.Dict,
                  "List": typing.List, "Tuple": typing.Tuple,
                  "defaultdict": collections.defaultdict})
    shapes = [(s, f"{s} {i}", 1, 3) for s in ("Factuality", "Precise IF", "Math", "Safety", "Focus")
              for i in range(random.randint(8, 20))]
    for i in range(12):
        shapes += [("Ties", f"ref:{i}", 1, 4), ("Ties", f"tied:{i}", random.randint(2, 5), 4)]
    rows, judgements, answers, ties = [], [], [], []
    for subset, name, right, wrong in shapes:
        rows.append({"id": name, "prompt": f"{name}?", "subset": subset,
                     "chosen": [f"good {i}" for i in range(right)],
                     "rejected": [f"bad {i}" for i in range(wrong)]})
        mean = 1.5 if subset == "Ties" else 0.5
        scores = [random.gauss(mean if i < right else 0, 0.4) for i in range(right + wrong)]
        judgements += [("A", "A" if scores[i] > scores[j] else "B", None, [scores[i], scores[j]])
                       for i in range(right) for j in range(right, right + wrong)]
        if subset == "Ties":
            ties.append({"id": name, "scores": scores, "num_correct": right})
        else:
            answers += [{"id": name, "subset": subset, "text": "", "scores": s} for s in scores]
    rolled = code["reroll_and_score_dataset"](Frame(answers), [4] * (len(answers) // 4))
    by_subset = {}
    for row in rolled:
        by_subset.setdefault(row["subset"], []).append(row["results"])
    theirs = {subset: sum(v) / len(v) for subset, v in by_subset.items()}
    theirs["Ties"] = code["process_single_model"](Frame(ties))[1]
    theirs["overall"] = sum(theirs.values()) / len(theirs)
    ours = made_up(gavel, "rewardbench2", rows, judgements)
    for part, value in theirs.items():
        report.compare(f"rewardbench2, {part}", ours.get(part), value, 9, "its own code")


def mt_bench(gavel, report, root):
    import numpy

    code = taken(root / "FastChat/fastchat/llm_judge/compute_agreement.py",
                 ["get_judge_name", "revert", "get_mt_bench_votes_data", "convertvote", "equalvote",
                  "get_mt_bench_agreement"], {"np": numpy})
    questions = lines(root / "FastChat/fastchat/llm_judge/data/mt_bench/question.jsonl")
    said = {"A": "model_a", "B": "model_b", "tie": "tie"}
    rows, judgements, verdicts = [], [], {}
    for _ in range(240):
        question, turn = random.choice(questions), random.choice([1, 2])
        models = random.sample(["alpaca-13b", "gpt-4", "vicuna-13b-v1.2"], 2)
        talks = [[{"role": role, "content": text} for t in range(2) for role, text in
                  (("user", question["turns"][t]), ("assistant", f"{model} says {t}"))]
                 for model in models]
        label = random.choice("AABB") if random.random() < 0.8 else "tie"
        rows.append({"question_id": question["question_id"], "model_a": models[0],
                     "model_b": models[1], "winner": said[label], "turn": turn,
                     "judge": random.choice(["expert_1", "expert_2", "expert_3", "author_1"]),
                     "conversation_a": talks[0], "conversation_b": talks[1]})
        key = (question["question_id"], *sorted(models), turn)
        orders = verdicts.setdefault(key, random.choices(["A", "B", "tie"], [3, 2, 1], k=2))
        if models != sorted(models):
            orders = [SWAPPED[v] for v in orders]
        judgements.append((label, *orders))
    # The pair's verdict is a tie where the orders contradict each other (the paper, 3.4).
    by_judge = [{"question_id": k[0], "model_a": k[1], "model_b": k[2], "turn": k[3],
                 "judge": ["gpt-4", "pair-v2"], "winner": said[v[0] if v[0] == v[1] else "tie"]}
                for k, v in verdicts.items()]
    data = code["get_mt_bench_votes_data"]([rows, by_judge])
    ours = made_up(gavel, "mt-bench-human", rows, judgements)
    for turn in (1, 2):
        for part, ban in (("S1", []), ("S2", ["tie"])):
            agree, total = code["get_mt_bench_agreement"](data[turn - 1], "gpt4-pair", "human", ban)
            name = f"turn {turn}, {part}"
            report.compare(f"mt-bench-human, {name}", ours.get(name), agree / total, 9,
                           "its own code")


def judge_lm(gavel, report, root):
    package = root / "JudgeLM/judgelm"
    given = taken(package / "llm_judge/common.py", ["parse_score", "translate_score_to_win_list"])
    given.update(taken(package / "utils.py", ["extract_jsonl"], {"json": json}))
    code = taken(package / "llm_judge/eval_model_judgement.py",
                 ["filt_pred_score_list_by_gt_score_list", "calculate_metrics"], given)
    rows, judgements, first, second = [], [], [], []

    def draw():
        """What a judge writes, its verdict, and what gavel says of it."""
        scores = random.choice([(8, 6), (3, 7), (5, 5), (9, 2.5), None])
        if scores is None:
            return "I cannot tell.", "none"
        verdict = "A" if scores[0] > scores[1] else "B" if scores[1] > scores[0] else "tie"
        return f"{scores[0]} {scores[1]}\nBecause.", verdict

    for i in range(80):
        text, label = draw()
        if label == "none":
            continue
        rows.append({"question_id": i, "question_body": f"What is {i}?", "text": text,
                     "answer1_body": f"{i}", "answer2_body": f"{i + 1}",
                     "score": [float(x) for x in text.split("\n")[0].split()]})
        (one, verdict), (two, exchanged) = draw(), draw()
        first.append({"pred_text": one})
        second.append({"pred_text": two})
        judgements.append((label, verdict, SWAPPED[exchanged]))
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "gt.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        theirs = code["calculate_metrics"](str(file), first, second)
    ours = made_up(gavel, "judgelm", rows, judgements)
    for part, name in (("agreement", "accuracy"), ("precision", "precision"), ("recall", "recall"),
                       ("F1", "f1"), ("consistency", "consistency")):
        report.compare(f"judgelm, {part}", ours.get(part), theirs[name], 9, "its own code")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clones", type=pathlib.Path)
    parser.add_argument("--gavel", default="build/gavel")
    parser.add_argument("--model", required=True)
    parser.add_argument("--only", help="one suite's name")
    arguments = parser.parse_args()
    random.seed(1)
    gavel, report = Gavel(arguments.gavel, arguments.model), Report()
    for name, folder, check in (("llmbar", "LLMBar", llmbar), ("judgebench", "JudgeBench", judgebench),
                                ("pandalm", "PandaLM", pandalm), ("auto-j", "auto-j", auto_j),
                                ("rm-bench", "RM-Bench", rm_bench),
                                ("rewardbench", "reward-bench", reward_bench),
                                ("rewardbench2", "reward-bench", reward_bench_2),
                                ("mt-bench-human", "FastChat", mt_bench),
                                ("judgelm", "JudgeLM", judge_lm)):
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
