#!/usr/bin/env python3
"""Checks with the real huggingface_hub that gavel and it share one cache.

A small server that speaks the hub's API serves tests/golden/models/llama, a data set of pairs in two
shards and one of chats. gavel downloads them, then huggingface_hub must find them whole without any
network; then the other way round. eval, judge and train take the data sets by name.

Needs huggingface_hub. usage: check_hub.py [build/gavel]
"""
import hashlib
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE = ROOT / "tests/golden/models/llama"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
PAIR = {"question": "Name a colour.", "answer_a": "Blue", "answer_b": "Seven", "label": "A"}
README = (b"---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/train-*\n"
          b"  - split: validation\n    path: data/val.jsonl\n---\n# A data set\n")


def chat(i):
    return {"messages": [{"role": "user", "content": f"Name colour {i}."},
                         {"role": "assistant", "content": "Blue."}]}


def shards(rows):
    return {f"data/train-0000{i}-of-00002.jsonl": (json.dumps(row) + "\n").encode()
            for i, row in enumerate(rows)}


DATA = {"pairs": {"README.md": README,
                  **shards([dict(PAIR, question=f"Name colour {i}.") for i in range(2)])},
        "chats": {"README.md": README, "data/val.jsonl": (json.dumps(chat(9)) + "\n").encode(),
                  **shards([chat(i) for i in range(2)])}}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        for k, v in headers.items():
            self.send_header(k.replace("_", "-"), v)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_GET(self):
        path = self.path.split("?")[0]
        if path.startswith("/api/models/org/tiny/tree/"):
            tree = [{"type": "file", "path": p.name, "size": p.stat().st_size, "oid": "0" * 40}
                    for p in sorted(SOURCE.iterdir())]
            return self.reply(200, json.dumps(tree).encode(), Content_Type="application/json")
        if path.startswith("/api/models/org/tiny"):
            files = [{"rfilename": p.name} for p in sorted(SOURCE.iterdir())]
            body = json.dumps({"id": "org/tiny", "sha": COMMIT, "siblings": files}).encode()
            return self.reply(200, body, Content_Type="application/json")
        for name, files in DATA.items():
            if path.startswith(f"/api/datasets/org/{name}/tree/"):
                tree = [{"type": "file", "path": file, "size": len(body), "oid": "0" * 40}
                        for file, body in files.items()]
                return self.reply(200, json.dumps(tree).encode(), Content_Type="application/json")
            if path.startswith(f"/api/datasets/org/{name}"):
                body = json.dumps({"id": f"org/{name}", "sha": COMMIT,
                                   "siblings": [{"rfilename": file} for file in files]}).encode()
                return self.reply(200, body, Content_Type="application/json")
            if path.startswith(f"/datasets/org/{name}/resolve/"):
                body = files.get(path.split("/", 6)[6])
                if body is None:
                    return self.reply(404, X_Error_Code="EntryNotFound")
                git = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
                return self.reply(200, body, ETag=f'"{git}"', X_Repo_Commit=COMMIT)
        name = path.rsplit("/", 1)[-1]
        if "/org/tiny/resolve/" not in path or not (SOURCE / name).exists():
            return self.reply(404, X_Error_Code="EntryNotFound")
        body = (SOURCE / name).read_bytes()
        git = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
        self.reply(200, body, ETag=f'"{git}"', X_Repo_Commit=COMMIT)

    do_HEAD = do_GET


def main():
    gavel = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/gavel").resolve()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)

        def run(code_or_args, cache, offline, fails=False):
            env = dict(os.environ, HF_HOME=str(scratch / cache), HF_ENDPOINT=endpoint,
                       HF_HUB_OFFLINE=str(int(offline)), GAVEL_CACHE_DIR=str(scratch / "gavel"))
            done = subprocess.run(code_or_args, env=env, capture_output=True, text=True)
            assert (done.returncode != 0) == fails, done.stderr
            return done.stderr if fails else done.stdout

        def convert(out):
            return [gavel, "convert", "--model", "org/tiny", "--mlx-path", scratch / out]

        snapshot = ("from huggingface_hub import snapshot_download, scan_cache_dir\n"
                    "print(snapshot_download('org/tiny'{}))\n"
                    "i = scan_cache_dir(); assert not i.warnings, i.warnings\n"
                    "r, = i.repos; v, = r.revisions\n"
                    "print(r.repo_id, v.commit_hash, sorted(v.refs), v.nb_files)\n")
        # gavel fetches, huggingface_hub reads.
        run(convert("a"), "one", False)
        out = run([sys.executable, "-c", snapshot.format(", local_files_only=True")], "one", True)
        files = len(list(SOURCE.iterdir()))
        assert f"org/tiny {COMMIT} ['main'] {files}" in out, out
        # huggingface_hub fetches, gavel reads.
        run([sys.executable, "-c", snapshot.format("")], "two", False)
        run(convert("b"), "two", True)
        listed = json.loads(run([gavel, "models", "--json"], "two", True))
        assert [m["name"] for m in listed] == ["org/tiny"] and listed[0]["complete"], listed
        for name in ("config.json", "model.safetensors"):
            assert (scratch / "a" / name).read_bytes() == (scratch / "b" / name).read_bytes()
        # The same of a data set.
        look = [gavel, "prepare", "--look", "--json", "org/pairs"]
        data = snapshot.replace("'org/tiny'", "'org/pairs', repo_type='dataset'")
        found = json.loads(run(look, "three", False))
        assert [f["usable"] for f in found] == [1, 1] and found[1]["first"][0]["label"] == "A", found
        out = run([sys.executable, "-c", data.format(", local_files_only=True")], "three", True)
        assert f"org/pairs {COMMIT} ['main'] {len(DATA['pairs'])}" in out, out
        run([sys.executable, "-c", data.format("")], "four", False)
        again = json.loads(run(look, "four", True))
        assert [f["first"] for f in again] == [f["first"] for f in found], again
        # By name where files are given by name, the second time without the network.
        for offline in (False, True):
            model, out = ["--model", "org/tiny"], scratch / f"out{offline}"
            done = json.loads(run([gavel, "eval", *model, "--data", "org/pairs", "--split-name", "train",
                                   "--mode", "verdict", "--one-order", "--json", "--output", out],
                                  "five", offline))
            assert done["examples"] == 2 and done["data"] == "org/pairs", done
            judged = run([gavel, "judge", *model, "-i", "org/pairs", "--split-name", "train", "--mode",
                          "verdict", "--json"], "five", offline)
            assert len([json.loads(line) for line in judged.splitlines()]) == 2, judged
            train = [gavel, "train", *model, "--iters", "1", "--batch-size", "1", "--num-layers", "-1",
                     "--adapter-path", out, "--data"]
            run([*train, "org/chats"], "five", offline)
            folder, = (scratch / "gavel" / "data_sets").glob("*/valid.jsonl")
            assert [json.loads(line) for line in open(folder.parent / "train.jsonl")] == \
                [chat(0), chat(1)]
            assert "gavel prepare" in run([*train, "org/pairs"], "five", offline, True)
            assert "--split-name is one of train, validation" in \
                run([*train, "org/chats", "--split-name", "x"], "five", offline, True)
    print("gavel and huggingface_hub share one cache; data sets are taken by name")


if __name__ == "__main__":
    main()
