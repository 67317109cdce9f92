#!/usr/bin/env python3
"""Checks `gavel train --watch` and `gavel watch` in headless Chromium on a real run of the embedded
model: the page follows it, keeps what the reader opened, is the same when opened late, survives a
stop and a resumption, and is the report afterwards. Screenshots go to --shots.

Needs selenium; chromium and chromium-driver (Debian).
usage: check_watch.py [--gavel build/gavel] [--model models/....gguf] [--shots DIR]
"""
import argparse
import json
import pathlib
import random
import re
import signal
import socket
import subprocess
import tempfile
import time

from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from chromium import browser


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def make_data(folder):
    rng = random.Random(3)
    rows = []
    for _ in range(60):
        a, b = rng.randrange(10, 50), rng.randrange(10, 50)
        wrong = a + b + rng.choice([-10, -1, 1, 10])
        right_first = rng.random() < 0.5
        answers = (a + b, wrong) if right_first else (wrong, a + b)
        rows.append({"question": f"What is {a} + {b}?", "answer_a": str(answers[0]),
                     "answer_b": str(answers[1]), "label": "A" if right_first else "B",
                     "reason": f"{a} + {b} is {a + b}."})
    (folder / "pairs.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))


def text_of(b, selector):
    return b.execute_script(
        "const e = document.querySelector(arguments[0]); return e ? e.textContent : '';", selector)


def step_of(b):
    found = re.search(r"step (\d+)", text_of(b, "#status"))
    return int(found.group(1)) if found else -1


def points(b):
    """How many points each drawing has."""
    return b.execute_script(
        "return [...document.querySelectorAll('#training figure')].map(f => "
        "[...f.querySelectorAll('polyline')].reduce((n, l) => n + l.points.numberOfItems, 0))")


def check_page(b, name):
    wide = b.execute_script("return document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"{name}: the page is {wide} pixels too wide"
    bad = [m for m in b.get_log("browser")
           if m["level"] == "SEVERE" and "ERR_CONNECTION_REFUSED" not in m["message"]
           and "ERR_INCOMPLETE" not in m["message"]]
    assert not bad, bad


def whole_shot(b, path):
    height = b.execute_script("return document.documentElement.scrollHeight")
    width = b.execute_script("return innerWidth")
    b.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": min(height, 6000), "deviceScaleFactor": 1,
        "mobile": width < 600})
    time.sleep(0.3)
    b.save_screenshot(str(path))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gavel", default="build/gavel")
    parser.add_argument("--model", default="models/SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("--shots", default="shots")
    parser.add_argument("--iters", type=int, default=40)
    args = parser.parse_args()
    shots = pathlib.Path(args.shots)
    shots.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        make_data(folder)
        subprocess.run([args.gavel, "prepare", "--input", folder / "pairs.jsonl", "--output",
                        folder / "data"], check=True, capture_output=True)
        port = free_port()
        command = [args.gavel, "train", "--model", args.model, "--data", folder / "data",
                   "--adapter-path", folder / "judge", "--iters", str(args.iters),
                   "--batch-size", "2", "--learning-rate", "5e-4", "--num-layers", "-1",
                   "--steps-per-report", "2", "--steps-per-eval", "10", "--save-every", "10",
                   "--val-batches", "2", "--judge-pairs", "3"]
        watched = command + ["--watch", "--watch-port", str(port)]
        train = subprocess.Popen(watched, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                 text=True)
        line = train.stderr.readline()
        assert f"http://127.0.0.1:{port}/" in line, line
        early = browser(1100, False)
        early.get(f"http://127.0.0.1:{port}/")
        assert re.search("waiting|starting|step 0", text_of(early, "#status"))
        WebDriverWait(early, 300).until(lambda b: step_of(b) >= 4)
        # What the reader opens stays open, and the curve grows under it.
        summary = early.find_element(By.CSS_SELECTOR, "#settings summary")
        early.execute_script("arguments[0].click()", summary)
        before = points(early)
        left = text_of(early, "#status [data-ends]")
        assert re.search(r"\d+ s", left), left
        early.save_screenshot(str(shots / "running.png"))
        WebDriverWait(early, 300).until(lambda b: step_of(b) >= 14)
        assert early.execute_script("return document.querySelector('#settings details').open")
        assert sum(points(early)) > sum(before), (points(early), before)
        late = browser(390, True)
        late.get(f"http://127.0.0.1:{port}/")
        assert step_of(late) >= 14
        check_page(late, "phone, running")
        late.save_screenshot(str(shots / "running-phone-dark.png"))
        # Stopped in the middle: the program of the page ends with it, and the page says so.
        train.send_signal(signal.SIGINT)
        train.communicate(timeout=300)
        WebDriverWait(early, 60).until(lambda b: "has ended" in text_of(b, ".lost"))
        assert "--resume goes on" in text_of(early, "#status"), text_of(early, "#status")
        stopped = step_of(early)
        # A page of its own follows the run when it goes on.
        watch = subprocess.Popen([args.gavel, "watch", folder / "judge", "--port", str(port)],
                                 stderr=subprocess.PIPE, text=True)
        assert f"http://127.0.0.1:{port}/" in watch.stderr.readline()
        early.get(f"http://127.0.0.1:{port}/")
        assert step_of(early) == stopped
        train = subprocess.Popen(command + ["--resume"], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        WebDriverWait(early, 300).until(lambda b: step_of(b) == args.iters
                                        and "finished" in text_of(b, "#status"))
        assert train.wait(60) == 0
        assert not text_of(early, ".lost")
        assert text_of(early, "#trials").count("Step ") == args.iters // 10 + 1
        check_page(early, "light")
        report = subprocess.run([args.gavel, "report", folder / "judge", "-o", "-"], check=True,
                                capture_output=True, text=True).stdout
        curves = set(re.findall(r' points="([^"]+)"', report))
        assert curves and curves == set(early.execute_script(
            "return [...document.querySelectorAll('polyline')].map(l => l.getAttribute('points'))"))
        early.execute_script("document.querySelectorAll('#trials details.pair')[0].open = true")
        whole_shot(early, shots / "report-light.png")
        early.quit()
        for name, width, dark in (("report-dark", 1100, True), ("report-phone", 390, False),
                                  ("report-phone-dark", 390, True)):
            b = browser(width, dark)
            b.get(f"http://127.0.0.1:{port}/")
            assert "finished" in text_of(b, "#status")
            check_page(b, name)
            whole_shot(b, shots / f"{name}.png")
            b.quit()
        # The server goes: the page that is open says so.
        watch.send_signal(signal.SIGINT)
        watch.wait(30)
        assert watch.returncode == 0, watch.returncode
        late.quit()
    print(f"the page followed {args.iters} steps, a stop and a resumption; screenshots in {shots}")


if __name__ == "__main__":
    main()
