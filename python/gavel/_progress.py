"""Progress in a notebook: the last lines of the program, in one place that changes. Elsewhere the
lines go to stderr as they come."""

from __future__ import annotations

import sys
from typing import Any

_SHOWN = 8


def _display() -> Any:
    """IPython's display, where this runs in a kernel that can show things."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None or not hasattr(shell, "kernel"):
        return None
    from IPython.display import display

    return display


class Progress:
    def __init__(self) -> None:
        self._display = _display()
        self._handle: Any = None
        self._lines: list[str] = []

    def line(self, text: str) -> None:
        if self._display is None:
            print(text, file=sys.stderr, flush=True)
            return
        self._lines = [*self._lines[1 - _SHOWN :], text]
        data = {"text/plain": "\n".join(self._lines)}
        if self._handle is None:
            self._handle = self._display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)

    def close(self) -> None:
        self._handle = None
