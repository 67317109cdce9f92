"""Curves of a run, with matplotlib where it is installed."""

from __future__ import annotations

from typing import Any


def draw_curves(log: list[dict[str, Any]], ax: Any = None) -> Any:
    """Losses by step from the records of metrics.jsonl, on `ax` or a new figure's; returns the axes."""
    if ax is None:
        try:
            from matplotlib import pyplot
        except ImportError as e:
            raise ImportError("curves are drawn with matplotlib: pip install matplotlib") from e
        ax = pyplot.subplots()[1]
    for event, label in (("train", "training"), ("valid", "validation")):
        points = [r for r in log if r.get("event") == event and r.get("loss") is not None]
        ax.plot(
            [r["step"] for r in points],
            [r["loss"] for r in points],
            label=label,
            marker="." if event == "valid" else None,
        )
    ax.set_xlabel("iteration")
    ax.set_ylabel("loss")
    ax.legend()
    return ax
