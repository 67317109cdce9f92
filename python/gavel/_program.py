"""Starting the program: options to arguments, its lines as they come, its errors as an exception."""

from __future__ import annotations

import difflib
import inspect
import os
import pathlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO, NoReturn

from ._options import COMMANDS, Option
from ._progress import Progress


class Error(Exception):
    """What the program said is wrong: its sentence, and its exit code (1 bad input, 2 wrong usage)."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.code = code


def program() -> pathlib.Path:
    """Where the program lies: in this package, or where the variable GAVEL says."""
    asked = os.environ.get("GAVEL")
    return pathlib.Path(asked) if asked else pathlib.Path(__file__).parent / "bin" / "gavel"


def main() -> NoReturn:
    """The console script `gavel`: becomes the program."""
    os.execv(program(), ["gavel", *sys.argv[1:]])


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def arguments(command: str, options: Mapping[str, object]) -> list[str]:
    """The command line of keyword arguments. None and False leave an option out, but for those whose
    values are true and false."""
    known = COMMANDS[command]
    out = [command]
    for name, value in options.items():
        option: Option | None = known.get(name)
        if option is None:
            near = difflib.get_close_matches(name, known, 1)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise TypeError(f"gavel {command} has no option {name}{meant}")
        if value is None or (value is False and option.kind != "boolean"):
            continue
        if option.kind == "flag" and value is not True:
            raise TypeError(f"{name} is a flag: True or False")
        if value is True and option.kind in ("flag", "optional"):
            out.append(option.name)
        elif isinstance(value, Sequence) and not isinstance(value, str):
            # NAME=VALUE, so that a value may begin with a dash.
            out += [f"{option.name}={_text(item)}" for item in value]
        else:
            out.append(f"{option.name}={_text(value)}")
    return out


def sentence(lines: Sequence[str]) -> str:
    """Of what stood on stderr: the line that the program ends with, else the last ones."""
    said = [line.removeprefix("gavel: ") for line in lines if line.startswith("gavel: ")]
    said = [line for line in said if not line.startswith("warning:")]
    if said:
        return said[-1]
    return " ".join(line for line in lines[-3:] if line and "--help" not in line)


def start(line: Sequence[str], stdin: bool = False) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [os.fspath(program()), *line],
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        # Of its own group: a notebook's interrupt reaches it once, by way of us.
        start_new_session=True,
    )


def _read(stream: IO[str], lines: list[str], show: Callable[[str], None] | None) -> None:
    for line in stream:
        lines.append(line.rstrip("\n"))
        if show is not None:
            show(lines[-1])


def execute(
    line: Sequence[str], *, stdin: str | None = None, progress: bool = True, show_output: bool = False
) -> tuple[str, list[str]]:
    """Runs the program to its end: what it printed, and the lines of its progress. Ctrl-C (or a
    notebook's interrupt) asks it to stop at the next good place, as in a terminal."""
    process = start(line, stdin is not None)
    assert process.stdout is not None and process.stderr is not None
    shown = Progress() if progress else None
    output: list[str] = []
    messages: list[str] = []
    show = shown.line if shown else None
    readers = [
        threading.Thread(target=_read, args=(process.stdout, output, show if show_output else None)),
        threading.Thread(target=_read, args=(process.stderr, messages, show)),
    ]
    for reader in readers:
        reader.start()
    try:
        if stdin is not None and process.stdin is not None:
            try:
                process.stdin.write(stdin)
                process.stdin.close()
            except BrokenPipeError:
                pass  # it ended early, and says why
        code = process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise
    finally:
        if process.poll() is None:
            process.kill()
        for reader in readers:
            reader.join()
        if shown:
            shown.close()
    if code != 0:
        raise Error(sentence(messages) or f"gavel {line[0]} ended with {code}", code)
    return "".join(text + "\n" for text in output), messages


def run(command: str, *positional: str, progress: bool = True, **options: object) -> str:
    """Any command of the program; returns what it prints: run("export", model=..., gguf=...)."""
    if command not in COMMANDS:
        raise Error(f"gavel has no command {command}", 2)
    return execute([*arguments(command, options), *positional], progress=progress)[0]


def described(command: str) -> Callable[[Callable[..., object]], None]:
    """Puts a command's options into a function's signature and help, for completion in notebooks."""

    def add(function: Callable[..., object]) -> None:
        own = [
            p for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD
        ]
        names = {p.name for p in own}
        options = {name: o for name, o in COMMANDS[command].items() if name not in names}
        function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            own + [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=None) for n in options]
        )
        listed = "\n".join(f"    {name}: {option.help}" for name, option in options.items())
        function.__doc__ = f"{inspect.getdoc(function)}\n\nOptions of gavel {command}:\n{listed}\n"

    return add
