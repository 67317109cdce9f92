#!/usr/bin/env python3
"""Every form of preference data in one table: a small file of each, as it is published, is given to
`gavel prepare`, and what it finds is printed and checked: the form, the rows, and that the better
answer won. In all of them "Blue" is better than "Seven", and so on; what is a tie says so.

With pyarrow, each file is read once more as Parquet. Files that are named are looked at after that,
and what is found is printed. usage: check_forms.py [--gavel build/gavel] [FILE...]
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
QUESTIONS = [("Name a colour.", "Blue", "Seven"), ("What is 2 + 2?", "4", "5"),
             ("Capital of France?", "Paris", "Lyon"), ("Say hello in French.", "Bonjour", "Hola")]
GOOD = {good for _, good, _ in QUESTIONS}


def user(text):
    return {"role": "user", "content": text}


def said(text):
    return {"role": "assistant", "content": text}


def dialogue(question, answer):
    return f"\n\nHuman: {question}\n\nAssistant: {answer}"


def forms(i, q, good, bad):
    """Name: (the form's name, rows). Odd rows have the better answer second."""
    a, b = (good, bad) if i % 2 == 0 else (bad, good)
    first = i % 2 == 0  # whether the better one is the first
    chat_a, chat_b = [user(q), said(a)], [user(q), said(b)]
    models = {"model_a": "m1", "model_b": "m2"}
    return {
        "judgelm": {"question_id": i, "question_body": q, "answer1_body": a, "answer2_body": b,
                    "score": [8, 3] if first else [3, 8], "text": "Assistant 1 is good."},
        "pandalm": {"idx": i, "instruction": q, "input": "", "response1": a, "response2": b,
                    "annotator1": 1 if first else 2, "annotator2": 1 if first else 2},
        "alpaca-eval": {"instruction": q, "output_1": a, "output_2": b, "generator_1": "m1",
                        "generator_2": "m2", "annotator": "x", "preference": 1.0 if first else 2.0},
        "llmbar": {"input": q, "output_1": a, "output_2": b, "label": 1 if first else 2},
        "arena-conversations": {**models, "question_id": str(i), "conversation_a": chat_a,
                                "conversation_b": chat_b, "turn": 1,
                                "winner": "model_a" if first else "model_b"},
        "arena-columns": {**models, "id": i, "prompt": json.dumps([q]),
                          "response_a": json.dumps([a]), "response_b": json.dumps([b]),
                          "winner_model_a": int(first), "winner_model_b": int(not first),
                          "winner_tie": 0},
        "arena-responses": {**models, "id": str(i), "prompt": q, "response_a": a, "response_b": b,
                            "winner": "model_a" if first else "model_b", "language": "en"},
        "hh-rlhf": {"chosen": dialogue(q, good), "rejected": dialogue(q, bad)},
        "preference": {"prompt": q, "chosen": [user(q), said(good)],
                       "rejected": [user(q), said(bad)], "score_chosen": 8, "score_rejected": 3},
        "ultrafeedback": {"source": "s", "instruction": q, "completions": [
            {"model": "m1", "response": a, "overall_score": 8.0 if first else 3.0},
            {"model": "m2", "response": b, "overall_score": 3.0 if first else 8.0}]},
        "nectar": {"prompt": dialogue(q, ""), "answers": [
            {"answer": good, "model": "m1", "rank": 1.0}, {"answer": bad, "model": "m2", "rank": 2.0}]},
        "helpsteer2": {"split": "train", "prompt": q, "response_1": a, "response_2": b,
                       "preference_strength": -2 if first else 2},
        "helpsteer3": {"domain": "general", "language": "english", "context": [user(q)],
                       "response1": a, "response2": b, "overall_preference": -1 if first else 1},
        "shp": {"post_id": str(i), "domain": "d", "history": q, "human_ref_A": a, "human_ref_B": b,
                "labels": int(first), "score_A": 5, "score_B": 5, "score_ratio": 2.0},
        "pku-saferlhf": {"prompt": q, "response_0": a, "response_1": b,
                         "better_response_id": int(not first), "safer_response_id": 0},
        "webgpt": {"question": {"full_text": q, "id": str(i), "dataset": "d"}, "answer_0": a,
                   "answer_1": b, "score_0": 1.0 if first else -1.0,
                   "score_1": -1.0 if first else 1.0},
        "summaries": {"info": {"id": str(i), "post": q, "subreddit": "s"}, "summaries": [
            {"text": a, "policy": "p"}, {"text": b, "policy": "p"}], "choice": int(not first),
            "worker": "w"},
        "prometheus-preference": {"orig_instruction": q, "orig_response_A": a,
                                  "orig_response_B": b, "orig_criteria": "Is it right?",
                                  "orig_preference": "A" if first else "B", "orig_feedback": "f",
                                  "orig_reference_answer": good},
        "rewardbench": {"prompt": q, "chosen": good, "chosen_model": "m1", "rejected": bad,
                        "rejected_model": "m2", "subset": "s", "id": i},
        "rewardbench2": {"id": str(i), "prompt": q, "chosen": [good], "rejected": [bad, bad + "!"],
                         "subset": "Factuality"},
        "rm-bench": {"id": str(i), "prompt": q, "chosen": [good, good, good],
                     "rejected": [bad, bad + "!", bad + "?"], "domain": "chat"},
        "judgebench": {"pair_id": str(i), "source": "s", "question": q, "response_model": "m",
                       "response_A": a, "response_B": b, "label": "A>B" if first else "B>A"},
        "auto-j": {"scenario": "s", "prompt": q, "response 1": a, "response 2": b,
                   "label": int(not first)},
        "pairs": {**models, "question": q, "answer_a": a, "answer_b": b,
                  "winner": "m1" if first else "m2"},
    }


def single_forms(q, good, bad):
    """Answers of which two rows make a pair."""
    rubric = {"orig_instruction": q, "orig_criteria": "Is it right?", "orig_feedback": "f",
              "orig_reference_answer": good}
    steer = {"prompt": q, "coherence": 4, "complexity": 1, "verbosity": 1}
    return {
        "kto": [{"prompt": [user(q)], "completion": [said(good)], "label": True},
                {"prompt": [user(q)], "completion": [said(bad)], "label": False}],
        "helpsteer2-scores": [{**steer, "response": bad, "helpfulness": 1, "correctness": 0},
                              {**steer, "response": good, "helpfulness": 4, "correctness": 4}],
        "prometheus-feedback": [{**rubric, "orig_response": bad, "orig_score": "2"},
                                {**rubric, "orig_response": good, "orig_score": "5"}],
        "summaries-scores": [
            {"info": {"id": "1", "post": q, "subreddit": "s"}, "worker": "w",
             "summary": {"text": text, "policy": "p", "axes": {"overall": score, "coverage": 4}}}
            for text, score in ((bad, 2), (good, 6))],
        "answers": [{"prompt": q, "response": bad, "thumbs": "down"},
                    {"prompt": q, "response": good, "thumbs": "up"}],
        "rated-conversations": [{"messages": [user(q), said(good)], "label": True},
                                {"messages": [user(q), said(bad)], "label": False}],
        "alpaca-eval-answers": [{"instruction": q, "output": good, "generator": "m1"},
                                {"instruction": q, "output": bad, "generator": "m2"}],
    }


def rated_forms(q, good, bad):
    """The same where each answer is judged alone. Name: (template's form, rows, the labels wanted)."""
    alone = single_forms(q, good, bad)
    return {
        "kto": ("pass", alone["kto"], ["pass", "fail"]),
        "rated-conversations": ("pass", alone["rated-conversations"], ["pass", "fail"]),
        "answers": ("pass", alone["answers"], ["fail", "pass"]),
        "prometheus-feedback": ("score 1..5", alone["prometheus-feedback"], ["2", "5"]),
        "helpsteer2-scores": ("criteria\nhelpfulness 0..4\ncorrectness 0..4",
                              alone["helpsteer2-scores"],
                              ["helpfulness 1, correctness 0", "helpfulness 4, correctness 4"]),
        "summaries-scores": ("criteria\noverall 1..7\ncoverage 1..7", alone["summaries-scores"],
                             ["overall 2, coverage 4", "overall 6, coverage 4"]),
        "ultrafeedback": ("criteria\nhelpfulness 1..5\nhonesty 1..5", [
            {"source": "s", "instruction": q, "completions": [
                {"model": "m", "response": text, "overall_score": float(n), "annotations": {
                    "helpfulness": {"Rating": str(n)}, "honesty": {"Rating": "3"}}}
                for text, n in ((bad, 1), (good, 5))]}],
            ["helpfulness 1, honesty 3", "helpfulness 5, honesty 3"]),
    }


def check_rated(gavel, scratch):
    """Looks at single answers as rows of their own; how many files are wrong."""
    wrong = 0
    print(f"\n{'each answer alone':<38} {'form':<22} {'rows':>5}  labels")
    template = pathlib.Path(scratch) / "template.txt"
    for name, (form, rows, labels) in rated_forms(*QUESTIONS[0]).items():
        path = pathlib.Path(scratch) / f"{name}.alone.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        template.write_text(f"[form]\n{form}\n[user]\n{{question}} {{answer}}\n")
        found, said_of_it = look(gavel, path, "--template", str(template))
        got = [row["label"] for row in found["first"]] if found else [said_of_it]
        wrong += got != labels or found["form"] != name
        print(f"{path.name:<38} {found['form'] if found else '-':<22} {len(got):>5} ", "; ".join(got),
              "" if got == labels else f"  WANTED {labels}")
    return wrong


def write_parquet(path, rows):
    import pyarrow
    import pyarrow.parquet
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def look(gavel, path, *more):
    done = subprocess.run([gavel, "prepare", "--look", "--json", path, *more],
                          capture_output=True, text=True)
    if done.returncode != 0:
        return None, done.stderr.strip()
    return (json.loads(done.stdout) if done.stdout.startswith("{") else {}), done.stdout.strip()


def check(name, found):
    """What is wrong with it; "" for nothing."""
    if found["form"] != name:
        return f"the form found is {found['form']}"
    if found["faults"]:
        return str(found["faults"])
    for row in found["first"]:
        winner = row["answer_a" if row["label"] == "A" else "answer_b"]
        if row["label"] == "tie" or winner not in GOOD:
            return f"who won: {row}"
        if not any(row["question"].startswith(q) for q, _, _ in QUESTIONS):
            return f"the question: {row}"
    return ""


def print_row(path, found, note):
    found = found or {"form": "-", "rows": 0, "labels": {"A": 0, "B": 0, "tie": 0}}
    print(f"{path.name:<38} {found['form']:<22} {found['rows']:>5}",
          " ".join(f"{found['labels'][k]:>{w}}" for k, w in (("A", 3), ("B", 3), ("tie", 4))), "",
          note.replace("\n", " "))


def look_at(gavel, path):
    found, said_of_it = look(gavel, path)
    if not found:  # refused, or answers without scores
        return print_row(path, None, said_of_it)
    print_row(path, found, "; ".join(f"{kind}: {fault['rows']} ({fault['first']})"
                                     for kind, fault in found["faults"].items()))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gavel", type=pathlib.Path, default=ROOT / "build/gavel")
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    args = parser.parse_args()
    gavel = args.gavel.resolve()
    files = {}
    for i, question in enumerate(QUESTIONS):
        for name, row in forms(i, *question).items():
            files.setdefault(name, []).append(row)
        for name, rows in single_forms(*question).items():
            files.setdefault(name, []).extend(rows)
    wrong = 0
    print(f"{'file':<38} {'form':<22} {'rows':>5} {'A':>3} {'B':>3} {'tie':>4}  notes")
    with tempfile.TemporaryDirectory() as scratch:
        for name, rows in files.items():
            paths = [pathlib.Path(scratch) / f"{name}.jsonl"]
            paths[0].write_text("".join(json.dumps(row) + "\n" for row in rows))
            try:
                write_parquet(paths[0].with_suffix(".parquet"), rows)
                paths.append(paths[0].with_suffix(".parquet"))
            except ImportError:
                pass
            for path in paths:
                more = ["--field", "label=better_response_id"] if name == "pku-saferlhf" else []
                found, said_of_it = look(gavel, path, *more)
                if found is None:
                    note = said_of_it
                elif name == "alpaca-eval-answers":  # no scores: pairs to be judged
                    note = "" if "(alpaca-eval-answers" in said_of_it else said_of_it
                    found = {"form": name, "rows": 4, "labels": {"A": 0, "B": 0, "tie": 0}}
                else:
                    note = check(name, found)
                wrong += note != ""
                print_row(path, found, note)
        wrong += check_rated(gavel, scratch)
    for path in args.files:
        look_at(gavel, path)
    print(f"{len(files)} forms, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
