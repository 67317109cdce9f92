#!/usr/bin/env python3
"""Checks `gavel serve` with real clients, each part on a server of its own on the loopback:

  openai   OpenAI's Python client: models, chat, completions, streams, logprobs, errors
  schema   schemathesis against /openapi.json
  page     headless Chromium: type, submit, read the verdict, judge JSONL and CSV files, save them,
           read the trust report (--evaluation); screenshots to --shots
  answers  the same page with judges of one answer: a score, pass or fail, criteria with weights;
           conversations, references, rubrics
  load     --clients at once for --seconds: no error, flat memory, throughput against one client
           and, with --peer-python that has llama_cpp.server, against it

Needs openai, schemathesis, selenium; chromium and chromium-driver (Debian) for the page.
usage: check_serve.py [--gavel build/gavel] [--model models/....gguf] [--only openai,schema,page,answers,load]
"""
import argparse
import csv
import http.client
import io
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from chromium import browser

KEY = "sesame"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A program that serves on a port until the block ends; SIGTERM must end it with code 0."""

    def __init__(self, command, port, health, key=None, clean=True):
        self.command, self.port, self.health, self.key = command, port, health, key
        self.clean = clean

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stderr=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL)
        for _ in range(1200):
            try:
                if self.get(self.health)[0] == 200:
                    return self
            except OSError:
                pass
            assert self.process.poll() is None, "the server has ended"
            time.sleep(0.25)
        raise AssertionError("the server does not answer")

    def __exit__(self, kind, *rest):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(300)
        if kind is None and self.clean:
            assert code == 0, f"exit code {code}"

    def request(self, method, path, body=None, timeout=600):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self.key:
            headers["Authorization"] = "Bearer " + self.key
        try:
            c.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = c.getresponse()
            return answer.status, answer.read()
        finally:
            c.close()

    def get(self, path):
        return self.request("GET", path, timeout=30)

    def resident(self):
        pages = int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")


def gavel(args, *flags, key=None):
    port = free_port()
    command = [args.gavel, "serve", "--model", args.model, "--name", "base", "--port", str(port)]
    if args.adapter:
        command += ["--adapter", args.adapter]
    return Server(command + [*flags] + (["--api-key", key] if key else []), port, "/health", key)


# --- openai ---------------------------------------------------------------------------------------

def check_options(client, server):
    """What only some clients ask for: several answers, prescribed forms, tools they do not use."""
    def ask(**call):
        return client.chat.completions.create(**{"model": "base", "temperature": 1, "seed": 5, "messages": [
            {"role": "user", "content": "Name a colour."}], "max_tokens": 8, **call})

    several = ask(n=8)
    assert [c.index for c in several.choices] == list(range(8))
    assert len({c.message.content for c in several.choices}) > 1
    schema = {"type": "object", "required": ["verdict", "sure"], "additionalProperties": False,
              "properties": {"verdict": {"enum": ["A", "B", "tie"]}, "sure": {"type": "integer"},
                             "why": {"type": "string", "maxLength": 20}}}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    for choice in ask(n=4, max_tokens=200, response_format=form).choices:
        value = json.loads(choice.message.content)
        assert value["verdict"] in ("A", "B", "tie") and isinstance(value["sure"], int), value
    whole = ask(max_tokens=400, temperature=0, response_format={"type": "json_object"}).choices[0]
    assert whole.finish_reason == "length" or isinstance(json.loads(whole.message.content), dict)
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    assert ask(tools=[tool], tool_choice="none").choices[0].message.tool_calls is None
    assert ask(presence_penalty=1.5, frequency_penalty=-0.5).choices
    short = {"temperature": 0, "messages": [{"role": "user", "content": "What is the capital of France?"}]}
    for most in (-1, 10**7):  # as many as there is room for
        assert ask(**short, max_tokens=most).choices[0].finish_reason == "stop"
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    body = json.dumps({"messages": short["messages"], "max_tokens": 1}).encode()
    c.request("POST", "/v1/chat/completions", iter([body[:9], body[9:]]), encode_chunked=True, headers={
        "Content-Type": "application/json", "Transfer-Encoding": "chunked",
        "Authorization": "Bearer " + KEY})
    assert c.getresponse().status == 200
    c.close()
    print("options: n, response_format, tools, penalties, max_tokens, chunked bodies")


def check_openai(args):
    import openai
    with gavel(args, key=KEY) as server:
        url = f"http://127.0.0.1:{server.port}/v1"
        client = openai.OpenAI(base_url=url, api_key=KEY, max_retries=0, timeout=600)
        names = [m.id for m in client.models.list()]
        assert names[-1] == "base", names
        assert client.models.retrieve("base").id == "base"
        messages = [{"role": "system", "content": "You are brief."},
                    {"role": "user", "content": [{"type": "text", "text": "Name a colour."}]}]
        for name in names:
            whole = client.chat.completions.create(
                model=name, messages=messages, temperature=0, max_tokens=12, logprobs=True,
                top_logprobs=2, seed=1)
            choice = whole.choices[0]
            assert choice.finish_reason in ("stop", "length") and whole.model == name
            assert whole.usage.total_tokens == (whole.usage.prompt_tokens +
                                                whole.usage.completion_tokens)
            assert len(choice.logprobs.content) == whole.usage.completion_tokens
            assert all(len(t.top_logprobs) == 2 for t in choice.logprobs.content)
            text, usage, tokens = "", None, 0
            for chunk in client.chat.completions.create(
                    model=name, messages=messages, temperature=0, max_completion_tokens=12,
                    logprobs=True, top_logprobs=2, stream=True,
                    stream_options={"include_usage": True}):
                usage = chunk.usage or usage
                for c in chunk.choices:
                    text += c.delta.content or ""
                    tokens += len(c.logprobs.content) if c.logprobs else 0
            assert usage.completion_tokens == tokens
            if args.exact:
                assert text == choice.message.content, (text, choice.message.content)
            print(f"chat {name}: {choice.message.content!r}")
        done = client.completions.create(model="base", prompt="One, two, three,", temperature=0,
                                         max_tokens=6, logprobs=1, stop=["five"])
        logprobs = done.choices[0].logprobs
        assert len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.text_offset)
        text = "".join(c.choices[0].text for c in client.completions.create(
            model="base", prompt="One, two, three,", temperature=0, max_tokens=6, stream=True))
        print(f"completions: {done.choices[0].text!r}, streamed {text!r}")

        def must_raise(kind, **call):
            try:
                client.chat.completions.create(**{"model": "base", "messages": messages,
                                                  "max_tokens": 4, **call})
            except kind as e:
                return e
            raise AssertionError(f"no {kind.__name__} for {call}")
        assert must_raise(openai.BadRequestError, temperature=9).param == "temperature"
        assert must_raise(openai.BadRequestError, n=9).param == "n"
        assert must_raise(openai.BadRequestError, presence_penalty=3).param == "presence_penalty"
        unknown = {"type": "json_schema", "json_schema": {"name": "x", "schema": {
            "type": "string", "pattern": "a+"}}}
        assert "pattern" in str(must_raise(openai.BadRequestError, response_format=unknown))
        check_options(client, server)
        assert must_raise(openai.NotFoundError, model="gpt-4").code == "model_not_found"
        assert must_raise(openai.BadRequestError, messages=[
            {"role": "user", "content": "word " * 20000}]).code == "context_length_exceeded"
        client = client.with_options(api_key="wrong")
        must_raise(openai.AuthenticationError)
        # A stream that is left frees its place.
        client = client.with_options(api_key=KEY)
        stream = client.chat.completions.create(model="base", messages=messages, stream=True,
                                                temperature=1, max_tokens=2000)
        next(iter(stream))
        stream.close()
        for _ in range(600):
            if b"\ngavel_active_sequences 0\n" in server.get("/metrics")[1]:
                break
            time.sleep(0.1)
        else:
            raise AssertionError("the sequence still runs")
    with gavel(args, "--max-batch", "1", "--max-queue", "1") as server:
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="none",
                               max_retries=0, timeout=600)
        outcomes = []

        def one():
            try:
                client.chat.completions.create(model="base", messages=messages, max_tokens=16)
                outcomes.append("ok")
            except openai.RateLimitError as e:
                assert int(e.response.headers["retry-after"]) >= 1
                outcomes.append("429")
        threads = [threading.Thread(target=one) for _ in range(8)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert "429" in outcomes and "ok" in outcomes and len(outcomes) == 8, outcomes
        print("a full queue:", outcomes)


# --- schemathesis ---------------------------------------------------------------------------------

def check_schema(args):
    with gavel(args, "--max-tokens", "4", "--max-pairs", "4", "--timeout", "300") as server:
        subprocess.run(
            [pathlib.Path(sys.executable).parent / "schemathesis", "run",
             f"http://127.0.0.1:{server.port}/openapi.json", "--max-examples", str(args.examples),
             "--request-timeout", "300", "--suppress-health-check", "all",
             "--exclude-checks", "ignored_auth"], check=True)
        assert server.get("/health")[0] == 200
    with gavel(args, key=KEY) as server:  # every route but the open ones asks for the key
        server.key = None
        for path in json.loads(server.get("/openapi.json")[1])["paths"]:
            if path.startswith("/v1") or path == "/metrics":
                method = "POST" if path in ("/v1/judge", "/v1/completions",
                                            "/v1/chat/completions") else "GET"
                assert server.request(method, path.replace("{model}", "base"),
                                      {} if method == "POST" else None)[0] == 401, path


# --- the page -------------------------------------------------------------------------------------

def check_page(args):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait
    shots = pathlib.Path(args.shots)
    shots.mkdir(parents=True, exist_ok=True)

    def judged(b):
        WebDriverWait(b, 600).until(lambda b: not b.find_element(By.ID, "submit").get_attribute(
            "disabled"))
        assert not b.find_element(By.ID, "error").is_displayed(), b.find_element(
            By.ID, "error").text
        return b.find_element(By.ID, "verdict").text

    more = ["--evaluation", args.evaluation] if args.evaluation else []
    with gavel(args, *more, key=KEY) as server, tempfile.TemporaryDirectory() as scratch:
        for name, width, dark in (("light", 1100, False), ("dark", 1100, True),
                                  ("phone", 390, False), ("phone-dark", 390, True)):
            b = browser(width, dark)
            try:
                b.get(f"http://127.0.0.1:{server.port}/")
                WebDriverWait(b, 60).until(
                    lambda b: b.find_element(By.ID, "key-row").is_displayed())
                b.find_element(By.ID, "key").send_keys(KEY, Keys.TAB)
                WebDriverWait(b, 60).until(
                    lambda b: b.find_elements(By.CSS_SELECTOR, "#model option"))
                b.find_element(By.ID, "question").send_keys(
                    "What is the capital of France? <b>one word</b>")
                b.find_element(By.ID, "answer-a").send_keys("Paris.")
                b.find_element(By.ID, "answer-b").send_keys(
                    "<img src=x onerror=alert(1)> It may be Lyon, which lies on the Rhone.")
                b.find_element(By.ID, "answer-b").send_keys(Keys.CONTROL, Keys.ENTER)
                verdict = judged(b)
                assert verdict in ("Answer A is better", "Answer B is better", "A tie",
                                   "No readable verdict"), verdict
                for order in ("order-ab", "order-ba"):
                    assert b.find_element(By.CSS_SELECTOR, f"#{order} .text").text, order
                assert len(b.find_elements(By.CSS_SELECTOR, "#history li")) == 1
                assert not b.find_elements(By.CSS_SELECTOR, "main img, #history .q b")
                wide = b.execute_script(
                    "return document.documentElement.scrollWidth - innerWidth")
                assert wide <= 0, f"{name}: the page is {wide} pixels too wide"
                b.save_screenshot(str(shots / f"{name}.png"))
                if args.evaluation:  # its summary is opened by the keyboard
                    b.find_element(By.CSS_SELECTOR, "#trust summary").send_keys(Keys.ENTER)
                    WebDriverWait(b, 20).until(
                        lambda b: b.find_elements(By.CSS_SELECTOR, "#trust-report table tr"))
                    assert "Right" in b.find_element(By.ID, "trust-report").text
                    assert b.execute_script(
                        "return document.documentElement.scrollWidth - innerWidth") <= 0
                    b.find_element(By.ID, "trust").screenshot(str(shots / f"trust-{name}.png"))
                    b.find_element(By.CSS_SELECTOR, "#trust summary").send_keys(Keys.ENTER)
                if name in ("light", "phone-dark"):
                    check_page_file(b, judged, pathlib.Path(scratch))
                    b.save_screenshot(str(shots / f"file-{name}.png"))
                if name == "light":
                    b.refresh()  # the history outlives the page
                    assert len(b.find_elements(By.CSS_SELECTOR, "#history li")) == 1
                    b.find_element(By.CSS_SELECTOR, "#history .row").click()
                    assert b.find_element(By.ID, "answer-a").get_property("value") == "Paris."
                    assert b.find_element(By.ID, "verdict").text == verdict
                bad = [e for e in b.get_log("browser") if e["level"] == "SEVERE" and
                       "401" not in e["message"]]
                assert not bad, bad
                print(f"page, {name}: {verdict}")
            finally:
                b.quit()


def saved(b, name):
    """What a link of the page downloads."""
    return b.execute_async_script(
        "const done = arguments[1];"
        "kept[document.getElementById(arguments[0]).href].text().then(done)", name)


def check_page_file(b, judged, scratch):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select
    Select(b.find_element(By.ID, "mode")).select_by_value("verdict")
    b.execute_script(  # the page's policy forbids to fetch them
        "window.kept = {}; const own = URL.createObjectURL;"
        "URL.createObjectURL = b => { const u = own.call(URL, b); kept[u] = b; return u; }")
    pairs = scratch / "pairs.jsonl"
    pairs.write_text("\n".join(json.dumps(
        {"id": i, "question": f"What is {i} + {i}?", "answer_a": str(2 * i),
         "answer_b": str(2 * i + 1), "label": "A"}) for i in range(6)))
    b.find_element(By.ID, "file").send_keys(str(pairs))
    time.sleep(1)
    judged(b)
    assert len(b.find_elements(By.CSS_SELECTOR, "#batch-list li")) == 6
    assert "6 of 6" in b.find_element(By.ID, "batch-summary").text
    assert saved(b, "batch-save").count("\n") == 6
    lines = list(csv.DictReader(io.StringIO(saved(b, "batch-csv"))))
    assert [line["id"] for line in lines] == [str(i) for i in range(6)], lines
    assert all(line["verdict"] and line["verdict_ab"] and line["verdict_ba"] for line in lines)
    b.find_element(By.ID, "doubtful").click()
    sure = [float(p.text.split()[-1].rstrip("%").replace("?", "0"))
            for p in b.find_elements(By.CSS_SELECTOR, "#batch-list .p")]
    assert len(sure) == 6 and sure == sorted(sure), sure
    b.find_element(By.ID, "doubtful").click()
    # A CSV as a spreadsheet writes it: semicolons, quotes, a line break in a field.
    (scratch / "pairs.csv").write_text(
        '\ufeffid;question;answer_a;answer_b\r\nx;"Name a ""big"" city;\r\nin France.";Paris;Lille\r\n'
        'y;What is 2 + 2?;4;=5\r\n', encoding="utf-8", newline="")
    b.find_element(By.ID, "file").send_keys(str(scratch / "pairs.csv"))
    time.sleep(1)
    judged(b)
    assert "2 of 2" in b.find_element(By.ID, "batch-summary").text
    lines = list(csv.DictReader(io.StringIO(saved(b, "batch-csv"), newline="")))
    assert lines[0]["question"] == 'Name a "big" city;\r\nin France.', lines
    assert lines[1]["answer_b"] == "'=5", lines  # no formula
    (scratch / "bad.csv").write_text("question,answer_a\nx,y\n")
    b.find_element(By.ID, "file").send_keys(str(scratch / "bad.csv"))
    time.sleep(1)
    assert "answer_b" in b.find_element(By.ID, "error").text
    (scratch / "bad.jsonl").write_text('{"question": "x"}\n')
    b.find_element(By.ID, "file").send_keys(str(scratch / "bad.jsonl"))
    time.sleep(1)
    assert "Line 1" in b.find_element(By.ID, "error").text


# --- the page, of judges of one answer -----------------------------------------------------------

PROMPT = """[form]
{form}
[user]
Question: {{question}}
{{?reference}}
Reference: {{reference}}
{{/reference}}
{{?rubric}}
Criterion: {{rubric}}
{{/rubric}}
Answer: {{answer}}
[assistant]
{{?reason}}
{{reason}}

{{/reason}}
**Verdict:** {{label}}
"""
FORMS = {"score": "score 0..3\n0: wrong\n3: right", "pass": "pass good bad",
         "criteria": "criteria\ntrue 1..3 weight 3: is it true?\nkind 1..3"}


def turns(*texts):
    return [{"role": "assistant" if i % 2 else "user", "content": t} for i, t in enumerate(texts)]


def check_answers(args):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select, WebDriverWait
    shots = pathlib.Path(args.shots)
    shots.mkdir(parents=True, exist_ok=True)
    args = argparse.Namespace(**{**vars(args), "adapter": None})

    def judged(b):
        time.sleep(0.5)
        WebDriverWait(b, 600).until(lambda b: not b.find_element(By.ID, "submit").get_attribute(
            "disabled"))
        error = b.find_element(By.ID, "error")
        assert not error.is_displayed(), error.text

    for form, lines in FORMS.items():
        with tempfile.TemporaryDirectory() as scratch:
            scratch = pathlib.Path(scratch)
            (scratch / "template.txt").write_text(PROMPT.format(form=lines))
            with gavel(args, "--template", str(scratch / "template.txt")) as server:
                b = browser(1100, False)
                try:
                    b.get(f"http://127.0.0.1:{server.port}/")
                    WebDriverWait(b, 60).until(
                        lambda b: b.find_elements(By.CSS_SELECTOR, "#model option"))
                    assert not b.find_element(By.ID, "answer-b").is_displayed()
                    assert not b.find_element(By.ID, "both").is_displayed()
                    Select(b.find_element(By.ID, "mode")).select_by_value("verdict")
                    b.find_element(By.ID, "question").send_keys("What is 2 + 2?")
                    b.find_element(By.ID, "answer-a").send_keys("It is 4.")

                    def ask():
                        b.find_element(By.ID, "question").send_keys(Keys.CONTROL, Keys.ENTER)
                        judged(b)
                        chances = [(r.find_element(By.TAG_NAME, "span").text,
                                    float(r.find_element(By.TAG_NAME, "meter").get_attribute("value")))
                                   for r in b.find_elements(By.CSS_SELECTOR, "#chances li")]
                        return b.find_element(By.ID, "verdict").text, \
                            b.find_element(By.ID, "note").text, chances
                    verdict, note, plain = ask()
                    names = {"score": ["0", "1", "2", "3"], "pass": ["bad", "good"],
                             "criteria": ["true 1", "true 2", "true 3", "kind 1", "kind 2", "kind 3"]}
                    assert [n for n, _ in plain] == names[form], plain
                    assert abs(sum(p for _, p in plain) - (2 if form == "criteria" else 1)) < 1e-6
                    p = dict(plain)
                    if form == "score":
                        assert verdict in names[form]
                        assert f"Expected {sum(int(n) * q for n, q in plain):.2f}." == note, note
                    elif form == "pass":
                        assert verdict == max(p, key=p.get)
                    else:
                        mean = {n: sum(k * p[f"{n} {k}"] for k in (1, 2, 3)) for n in ("true", "kind")}
                        total = (3 * mean["true"] + mean["kind"]) / 4
                        assert f"Weighted {total:.2f}; expected true {mean['true']:.2f}, kind " \
                               f"{mean['kind']:.2f}." == note, (note, mean)
                        assert verdict.startswith("true ") and ", kind " in verdict, verdict
                    # A reference and a rubric are a part of the prompt, and come back with the history.
                    for name in ("reference", "rubric"):
                        b.find_element(By.CSS_SELECTOR, f"#{name}-row summary").click()
                        b.find_element(By.ID, name).send_keys("Four, said politely.")
                        _, _, after = ask()
                        assert after != plain, name
                        plain = after
                    b.save_screenshot(str(shots / f"answers-{form}.png"))
                    b.find_element(By.CSS_SELECTOR, "#history li:last-child .row").click()
                    assert not b.find_element(By.ID, "rubric").get_property("value")
                    b.find_element(By.CSS_SELECTOR, "#history li .row").click()
                    assert b.find_element(By.ID, "rubric").get_property("value")
                    b.execute_script(
                        "window.kept = {}; const own = URL.createObjectURL;"
                        "URL.createObjectURL = b => { const u = own.call(URL, b); kept[u] = b; return u; }")
                    rows = [{"id": "text", "question": "User: Hi\n\nAssistant: Yes?\n\nUser: 2 + 2?",
                             "answer": "4"},
                            {"id": "list", "question": turns("Hi", "Yes?", "2 + 2?"), "answer": "4"},
                            {"id": "whole", "question": "Hi",
                             "answer": turns("Hi", "Yes?", "2 + 2?", "4")}]
                    (scratch / "rows.jsonl").write_text("\n".join(json.dumps(r) for r in rows))
                    b.find_element(By.ID, "file").send_keys(str(scratch / "rows.jsonl"))
                    judged(b)
                    assert "3 of 3" in b.find_element(By.ID, "batch-summary").text
                    told = [json.loads(line) for line in saved(b, "batch-save").splitlines()]
                    assert all(abs(t["confidence"] - told[0]["confidence"]) < 2e-3 for t in told), told
                    lines = list(csv.DictReader(io.StringIO(saved(b, "batch-csv"), newline="")))
                    assert lines[0]["question"] == lines[1]["question"] == rows[0]["question"], lines
                    bad = [e for e in b.get_log("browser") if e["level"] == "SEVERE"]
                    assert not bad, bad
                    print(f"answers, {form}: {verdict}; {note}", flush=True)
                finally:
                    b.quit()


# --- load -----------------------------------------------------------------------------------------

def drive(server, clients, seconds, tokens):
    """Chat requests from `clients` threads. Returns requests, generated tokens and seconds."""
    stop_at = time.monotonic() + seconds
    lock, total = threading.Lock(), {"requests": 0, "tokens": 0}
    failures, memory = [], []

    def one(number):
        i = 0
        while time.monotonic() < stop_at and not failures:
            i += 1
            body = {"messages": [{"role": "user", "content":
                                  f"Write about the number {number * 1000 + i}."}],
                    "max_tokens": tokens, "temperature": 0.8, "seed": i}
            try:
                status, answer = server.request("POST", "/v1/chat/completions", body)
                generated = json.loads(answer)["usage"]["completion_tokens"]
                assert status == 200 and generated > 0, answer
            except Exception as e:  # any: it is what is looked for
                failures.append(repr(e))
                return
            with lock:
                total["requests"] += 1
                total["tokens"] += generated
    threads = [threading.Thread(target=one, args=(n,)) for n in range(clients)]
    start = time.monotonic()
    [t.start() for t in threads]
    while any(t.is_alive() for t in threads):
        memory.append(server.resident())
        time.sleep(min(1, seconds / 20))
    assert not failures, failures[:3]
    return total["requests"], total["tokens"], time.monotonic() - start, memory


def report(name, clients, result):
    requests, tokens, seconds, memory = result
    quarters = [f"{memory[(len(memory) - 1) * k // 4] / 2**20:.0f}" for k in range(5)]
    print(f"{name}, {clients} clients: {requests} requests, {tokens} tokens in {seconds:.0f} s, "
          f"{tokens / seconds:.1f} tokens/s; MiB resident by quarters: {', '.join(quarters)}",
          flush=True)
    return tokens / seconds


def check_load(args):
    with gavel(args, "--prefix-cache-mib", "64", "--max-batch", str(args.max_batch)) as server:
        drive(server, 1, 5, args.tokens)  # the first request warms everything up
        one = report("gavel", 1, drive(server, 1, args.seconds / 4, args.tokens))
        # Until the batch has been full and the kept prompts fill their room, memory may grow.
        drive(server, args.clients, args.seconds / 3, args.tokens)
        many = drive(server, args.clients, args.seconds, args.tokens)
        rate = report("gavel", args.clients, many)
        memory = many[3]
        assert memory[-1] <= max(memory[: len(memory) // 2]) * 1.1, "memory grows"
        assert b"gavel_queue_depth 0\n" in server.get("/metrics")[1]
        print(f"{args.clients} clients give {rate / one:.1f} times the throughput of one")
    if not args.peer_python:
        return
    port = free_port()
    command = [args.peer_python, "-m", "llama_cpp.server", "--model", args.model, "--port",
               str(port), "--n_ctx", "2048", "--n_threads", str(args.threads)]
    with Server(command, port, "/v1/models", clean=False) as server:
        drive(server, 1, 5, args.tokens)
        report("llama_cpp.server", 1, drive(server, 1, args.seconds / 4, args.tokens))
        report("llama_cpp.server", args.clients,
               drive(server, args.clients, args.seconds / 2, args.tokens))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gavel", default="build/gavel")
    parser.add_argument("--model", default="models/SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("--adapter", help="NAME=PATH, served and asked too")
    parser.add_argument("--evaluation", help="NAME=PATH, a trust report for the page to show")
    parser.add_argument("--only", default="openai,schema,page,answers,load")
    parser.add_argument("--examples", type=int, default=25, help="of schemathesis, an operation")
    parser.add_argument("--shots", default="shots", help="directory for screenshots")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--max-batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--peer-python", help="Python that has llama_cpp.server")
    parser.add_argument("--exact", action="store_true",
                        help="streamed and whole answers must be equal to the letter")
    args = parser.parse_args()
    checks = {"openai": check_openai, "schema": check_schema, "page": check_page,
              "answers": check_answers, "load": check_load}
    for name in args.only.split(","):
        checks[name](args)
        print(f"{name}: ok", flush=True)


if __name__ == "__main__":
    main()
