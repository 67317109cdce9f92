#!/usr/bin/env python3
"""Real programs that use a model as their judge, asked to use `gavel serve`. By hand, not in the tests.

  deepeval    GEval, whose score is weighted by the log-probabilities of its token
  inspect-ai  model_graded_qa
  ragas       DiscreteMetric, a judge with a fixed set of verdicts
  lm-eval     local-completions and local-chat-completions on small tasks made here: of generation,
              and of log-likelihoods (multiple choice, rolling), whose tokens are counted by the
              tokenizer that gavel convert writes

Each has a virtual environment of its own, NAME under --venvs:
  for p in deepeval inspect-ai ragas lm-eval; do python3 -m venv DIR/$p; done
  DIR/deepeval/bin/pip install deepeval;  DIR/inspect-ai/bin/pip install inspect-ai openai
  DIR/ragas/bin/pip install ragas 'langchain-community<0.4'
  DIR/lm-eval/bin/pip install 'lm-eval[api]' transformers
A table says what each was asked and what came of it; the exit code is 1 where one failed. What is
checked is that the client gets what it asks for; how good the verdicts are is the model's affair.

usage: check_clients.py --venvs DIR [--gavel build/gavel] [--model M.gguf] [--only deepeval,ragas]
"""
import argparse
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import traceback

QUESTION = "What is the capital of France?"
RIGHT, WRONG = "Paris.", "Lyon."


def json_format(name, properties):
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": {
        "type": "object", "properties": properties, "required": list(properties),
        "additionalProperties": False}}}


def deepeval(base):
    os.environ["DEEPEVAL_TELEMETRY_OPT_OUT"] = "YES"
    from deepeval.metrics import GEval
    from deepeval.metrics.g_eval import g_eval
    from deepeval.models import OpenAIModel
    from deepeval.test_case import LLMTestCase, LLMTestCaseParams
    # GEval reads JSON and weights the score's token: a schema makes even a small model write it.
    answer_format = json_format("verdict", {"reason": {"type": "string", "maxLength": 80},
                                            "score": {"type": "integer", "enum": list(range(10))}})
    model = OpenAIModel(model="judge", base_url=base, api_key="none", cost_per_input_token=0,
                        cost_per_output_token=0,
                        generation_kwargs={"response_format": answer_format})
    model.model_data.supports_log_probs = True  # of models whose name it does not know it asks none
    weighted = []  # what the log-probabilities make of each score; an error in it is passed over
    own = g_eval.calculate_weighted_summed_score
    g_eval.calculate_weighted_summed_score = lambda *a: weighted.append(own(*a)) or weighted[-1]
    metric = GEval(name="Correctness", model=model, async_mode=False,
                   evaluation_steps=["Compare the actual output with the expected output."],
                   evaluation_params=[LLMTestCaseParams.ACTUAL_OUTPUT,
                                      LLMTestCaseParams.EXPECTED_OUTPUT])
    score = metric.measure(LLMTestCase(input=QUESTION, actual_output=RIGHT, expected_output=RIGHT))
    assert 0 <= score <= 1 and len(weighted) == 1, (score, weighted)
    yield "GEval with log-probabilities", (f"weighted score {weighted[0]:.3f} of 10: "
                                           f"{metric.reason!r}")


def inspect_ai(base):
    os.environ.update(GAVEL_API_KEY="none", GAVEL_BASE_URL=base, INSPECT_DISPLAY="none")
    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample
    from inspect_ai.model import GenerateConfig, ModelOutput, get_model
    from inspect_ai.scorer import model_graded_qa
    from inspect_ai.solver import solver
    judge = get_model("openai-api/gavel/judge", config=GenerateConfig(
        max_tokens=60, temperature=0, extra_body={"response_format": json_format(
            "grade", {"grade": {"type": "string", "enum": ["C", "I"]}})}))

    @solver
    def answered():  # no model answers: the two answers are given
        async def solve(state, generate):
            state.output = ModelOutput.from_content("none", RIGHT if state.sample_id == 1 else WRONG)
            return state
        return solve

    task = Task(dataset=[Sample(input=QUESTION, target="Paris", id=i) for i in (1, 2)],
                solver=answered(),
                scorer=model_graded_qa(model=judge, grade_pattern=r'"grade": "([CI])"'))
    with tempfile.TemporaryDirectory() as folder:
        log = eval(task, model="mockllm/model", log_dir=folder, max_samples=1)[0]
        assert log.status == "success", log.error
        grades = [sample.scores["model_graded_qa"].value for sample in log.samples]
    assert all(grade in ("C", "I") for grade in grades), grades
    yield "model_graded_qa, two answers", f"grades {grades}"


def ragas(base):
    os.environ["RAGAS_DO_NOT_TRACK"] = "true"
    import instructor
    from openai import OpenAI
    from ragas.llms.base import InstructorLLM
    from ragas.metrics import DiscreteMetric
    # llm_factory() asks for any JSON; in this mode the verdict's own schema is followed.
    client = instructor.from_openai(OpenAI(base_url=base, api_key="none"),
                                    mode=instructor.Mode.JSON_SCHEMA)
    llm = InstructorLLM(client=client, model="judge", provider="openai", max_tokens=120)
    metric = DiscreteMetric(
        name="correct", allowed_values=["pass", "fail"],
        prompt="Is this answer right? Question: " + QUESTION + " Answer: {response}")
    result = metric.score(llm=llm, response=RIGHT)
    assert result.value in ("pass", "fail"), result
    yield "DiscreteMetric", f"{result.value}: {result.reason!r}"


TASK = """
task: made_up_capitals
dataset_path: json
dataset_kwargs: {data_files: {test: %s}}
test_split: test
output_type: generate_until
doc_to_text: "Q: What is the capital of {{country}}?\\nA: The capital of {{country}} is"
doc_to_target: "{{capital}}"
generation_kwargs: {until: ["\\n", "."], max_gen_toks: 8, temperature: 0}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""


CHOICES = """
task: made_up_choices
dataset_path: json
dataset_kwargs: {data_files: {test: %s}}
test_split: test
output_type: multiple_choice
doc_to_text: "The capital of {{country}} is"
doc_to_choice: "{{[capital, wrong]}}"
doc_to_target: 0
target_delimiter: ""
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""

ROLLING = """
task: made_up_texts
dataset_path: json
dataset_kwargs: {data_files: {test: %s}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "The capital of {{country}} is{{capital}}."
metric_list: [{metric: word_perplexity}]
"""


def log_likelihoods(library, base, folder, data):
    from lm_eval.tasks import TaskManager
    (folder / "choices.yaml").write_text(CHOICES % data)
    (folder / "rolling.yaml").write_text(ROLLING % data)
    tasks = TaskManager(include_path=str(folder), include_defaults=False)
    for batch in (1, 4):  # prompts a request
        result = library.simple_evaluate(
            model="local-completions", tasks=["made_up_choices", "made_up_texts"],
            task_manager=tasks, bootstrap_iters=0, batch_size=batch,
            model_args={"model": "judge", "base_url": f"{base}/completions",
                        "tokenizer_backend": "huggingface", "tokenizer": os.environ["TOKENIZER"]})
        found = [[(round(float(value), 3), greedy) for (value, greedy), *_ in s["resps"]]
                 for s in result["samples"]["made_up_choices"]]
        assert all(right > wrong for (right, _), (wrong, _) in found), found
        perplexity = result["results"]["made_up_texts"]["word_perplexity,none"]
        assert 1 < perplexity < 1000, perplexity
        yield (f"local-completions, log-likelihoods, {batch} a request",
               f"right before wrong in {len(found)} of {len(found)}: {found}; "
               f"word perplexity {perplexity:.2f}")


def lm_eval(base):
    import lm_eval as library
    from lm_eval.tasks import TaskManager
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder) / "capitals.jsonl"
        data.write_text("".join(
            json.dumps({"country": country, "capital": f" {capital}", "wrong": f" {wrong}"}) + "\n"
            for country, capital, wrong in (("France", "Paris", "Oslo"), ("Japan", "Tokyo", "Lima"),
                                            ("Italy", "Rome", "Dublin"))))
        (pathlib.Path(folder) / "task.yaml").write_text(TASK % data)
        tasks = TaskManager(include_path=folder, include_defaults=False)
        for model, path in (("local-completions", "completions"),
                            ("local-chat-completions", "chat/completions")):
            result = library.simple_evaluate(
                model=model, tasks=["made_up_capitals"], task_manager=tasks,
                apply_chat_template="chat" in model, bootstrap_iters=0,
                model_args={"model": "judge", "base_url": f"{base}/{path}",
                            "tokenizer_backend": None, "tokenized_requests": False})
            score = result["results"]["made_up_capitals"]["exact_match,none"]
            answers = [s["resps"][0][0] for s in result["samples"]["made_up_capitals"]]
            yield f"{model}, 3 questions", f"exact match {score:.2f}: {answers}"
        yield from log_likelihoods(library, base, pathlib.Path(folder), data)


CLIENTS = {"deepeval": deepeval, "inspect-ai": inspect_ai, "ragas": ragas, "lm-eval": lm_eval}


def part(name, base):
    """Runs in the client's environment; a JSON line for each thing asked."""
    try:
        for asked, outcome in CLIENTS[name](base):
            print("RESULT", json.dumps([name, importlib.metadata.version(name), asked, outcome]))
    except Exception as e:
        traceback.print_exc()
        print("RESULT", json.dumps([name, importlib.metadata.version(name), "",
                                    "FAILED: " + (f"{type(e).__name__}: {e}")[:300]]))
        return 1
    return 0


def main():
    arguments = argparse.ArgumentParser(description=__doc__,
                                        formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--venvs", type=pathlib.Path)
    arguments.add_argument("--gavel", default="build/gavel")
    arguments.add_argument("--model", default="models/SmolLM2-135M-Instruct.Q4_1.gguf")
    arguments.add_argument("--only", default=",".join(CLIENTS))
    arguments.add_argument("--part", help=argparse.SUPPRESS)
    arguments.add_argument("--base", help=argparse.SUPPRESS)
    a = arguments.parse_args()
    if a.part:
        return part(a.part, a.base)
    if not a.venvs:
        arguments.error("--venvs is needed")
    from check_serve import Server, free_port
    port, failed, rows = free_port(), False, []
    tokenizer = tempfile.TemporaryDirectory()
    if "lm-eval" in a.only:
        subprocess.run([a.gavel, "convert", "--model", a.model, "--mlx-path", tokenizer.name],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with Server([a.gavel, "serve", "--model", a.model, "--name", "judge", "--port", str(port)], port,
                "/health"):
        for name in a.only.split(","):
            run = subprocess.run([a.venvs / name / "bin" / "python", __file__, "--part", name,
                                  "--base", f"http://127.0.0.1:{port}/v1"],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 env={**os.environ, "TOKENIZER": tokenizer.name})
            found = [json.loads(line[7:]) for line in run.stdout.splitlines()
                     if line.startswith("RESULT ")]
            if run.returncode != 0 or not found:
                failed = True
                print(run.stderr[-4000:], file=sys.stderr)
                found = found or [[name, "?", "", "FAILED: it ended without a result"]]
            rows += found
    for row in [["client", "version", "what was asked", "outcome"]] + rows:
        print(" | ".join(str(cell).replace("\n", " ") for cell in row))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
