"""serve: the program's server as long as a notebook wants it."""

from __future__ import annotations

import atexit
import re
import subprocess
import threading
from types import TracebackType
from typing import TYPE_CHECKING

from ._program import Error, sentence, arguments, described, start
from ._progress import Progress

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from ._options import ServeOptions


class Server:
    """A running server. `url` is its address; close(), or the end of a `with`, stops it."""

    def __init__(self, process: subprocess.Popen[str], progress: bool) -> None:
        self._process = process
        self.url = ""
        self.messages: list[str] = []
        self._ready = threading.Event()
        self._shown = Progress() if progress else None
        atexit.register(self.close)  # with the kernel at the latest
        threading.Thread(target=self._read, daemon=True).start()
        # What it prints to stdout is not for us, and must not fill the pipe.
        threading.Thread(target=self._drain, daemon=True).start()
        try:
            self._ready.wait()
        except KeyboardInterrupt:
            self.close()
            raise
        if not self.url:
            code = process.wait()
            raise Error(sentence(self.messages) or f"gavel serve ended with {code}", code)

    def _drain(self) -> None:
        assert self._process.stdout is not None
        for _ in self._process.stdout:
            pass

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.messages = [*self.messages[-99:], line.rstrip("\n")]
            if self._shown:
                self._shown.line(self.messages[-1])
            if found := re.match(r"Listening on (http://\S+?),", line):
                self.url = found.group(1)
                self._ready.set()
        self._ready.set()

    def close(self) -> None:
        """Finishes what is running and stops."""
        atexit.unregister(self.close)
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def serve(*, progress: bool = True, **options: Unpack[ServeOptions]) -> Server:
    """Serves a model and its adapters, and returns when it answers. port=0 takes any free port."""
    return Server(start(arguments("serve", options)), progress)


described("serve")(serve)
