"""train, evaluate and judge."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ._curves import draw_curves
from ._program import arguments, described, execute

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import EvalOptions, JudgeOptions, TrainOptions

Record = dict[str, Any]


def read_records(path: str | os.PathLike[str]) -> list[Record]:
    """The records of a file of JSON lines, a last line that a crash cut left out."""
    records: list[Record] = []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n") and line.strip():
                records.append(json.loads(line))
    return records


@dataclasses.dataclass(frozen=True)
class Run:
    """A training run's directory."""

    path: pathlib.Path

    @property
    def best(self) -> pathlib.Path:
        """The adapter of the best validation, for adapter_path; the run's last where there is none."""
        best = self.path / "best"
        return best if best.is_dir() else self.path

    @property
    def log(self) -> list[Record]:
        """The run's log as it is now: pandas.DataFrame(run.log)."""
        return read_records(self.path / "metrics.jsonl")

    def curves(self, ax: Any = None) -> Any:
        """Draws training and validation loss (needs matplotlib); returns the axes."""
        return draw_curves(self.log, ax)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What `gavel eval` wrote: figures (eval.json) and judgements, a record each."""

    path: pathlib.Path
    figures: Record

    @property
    def judgements(self) -> list[Record]:
        """pandas.DataFrame(evaluation.judgements)"""
        file = self.path / "judgements.jsonl"
        return [r for r in read_records(file) if "settings" not in r] if file.exists() else []

    @property
    def metrics(self) -> list[Record]:
        """A record for each judge and measure: judge, measure, value, low, high."""
        return [
            {"judge": judge["name"], "measure": measure, **figures}
            for judge in self.figures["judges"]
            for measure, figures in judge["metrics"].items()
        ]


def train(*, progress: bool = True, **options: Unpack[TrainOptions]) -> Run:
    """Trains an adapter. Interrupting the kernel stops at a good place; resume=True goes on."""
    execute(arguments("train", options), progress=progress, show_output=True)
    path = options.get("adapter_path")
    if path is None:
        path = _adapter_path_of(options.get("config")) or "adapters"
    return Run(pathlib.Path(os.fspath(path)))


def _adapter_path_of(config: str | os.PathLike[str] | None) -> str | None:
    """The key of a YAML file that says where the run went: one line, as mlx_lm's files have it."""
    if config is None:
        return None
    text = pathlib.Path(config).read_text(encoding="utf-8")
    found = re.search(r"""^adapter_path:\s*["']?([^"'#\n]+?)["']?\s*(?:#.*)?$""", text, re.MULTILINE)
    return found.group(1) if found else None


def evaluate(*, progress: bool = True, **options: Unpack[EvalOptions]) -> Evaluation:
    """Measures judges. With require=..., a judge that does not reach it is an Error."""
    output, messages = execute(arguments("eval", {**options, "json": True}), progress=progress)
    written = [m for line in messages if (m := re.match(r"Written: (.*)eval\.json, eval\.csv", line))]
    path = pathlib.Path(written[-1].group(1) or ".") if written else pathlib.Path(".")
    return Evaluation(path, json.loads(output) if output.strip() else {})


def judge(
    pairs: str | os.PathLike[str] | Iterable[Mapping[str, Any]] | Any = None,
    *,
    progress: bool = True,
    **options: Unpack[JudgeOptions],
) -> list[Record]:
    """Judges pairs: records with question, answer_a and answer_b (or another form that gavel prepare
    reads), a pandas.DataFrame of such, a file, or a data set of the hub by name. Without any, the one
    of the options question, answer_a and answer_b. Gives a record for each, in order: what was given
    in records, with the judgement's fields."""
    given: dict[str, object] = {**options, "json": True}
    text: str | None = None
    asked: list[Record] = []
    if isinstance(pairs, (str, os.PathLike)):
        given["input"] = pairs
    elif pairs is not None:
        asked = [dict(r) for r in (pairs.to_dict("records") if hasattr(pairs, "to_dict") else pairs)]
        text = "".join(_line(r) for r in asked)
        given["input"] = "-"
    output, _ = execute(arguments("judge", given), stdin=text, progress=progress)
    judgements = [json.loads(line) for line in output.splitlines() if line.strip()]
    if len(asked) != len(judgements):  # of a form whose records hold several pairs
        return judgements
    return [{**pair, **judgement} for pair, judgement in zip(asked, judgements)]


def _line(record: Mapping[str, Any]) -> str:
    """A line of JSON; what pandas has for a missing value is left out."""
    present = {k: v for k, v in record.items() if not (isinstance(v, float) and v != v)}
    return json.dumps(present, ensure_ascii=False, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    """A number of numpy's as one of Python's."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")


described("train")(train)
described("eval")(evaluate)
described("judge")(judge)
