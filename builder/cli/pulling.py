"""Progress of layers on their way: bars on a terminal, lines elsewhere, in Docker's words."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from builder.layer.layer import Layer
    from builder.source.pulled import Moved


@contextmanager
def progress(out: TextIO, quiet: bool) -> Iterator[Moved]:
    """What to tell of each layer."""
    if quiet:
        yield lambda layer, what, count: None
    elif out.isatty():
        with _bars() as bars:
            yield bars
    else:
        yield _Lines(out)


class _Lines:
    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._last: dict[str, str] = {}
        self._lock = threading.Lock()

    def __call__(self, layer: Layer, what: str, count: int) -> None:
        short = layer.blob.digest.short
        with self._lock:
            if self._last.get(short) != what:
                self._last[short] = what
                if what != "Downloading":
                    print(f"{short}: {what}", file=self._out, flush=True)


@contextmanager
def _bars() -> Iterator[Moved]:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    tasks: dict[str, Any] = {}
    lock = threading.Lock()
    with Progress(*columns) as shown:

        def moved(layer: Layer, what: str, count: int) -> None:
            short = layer.blob.digest.short
            with lock:
                if short not in tasks:
                    tasks[short] = shown.add_task(short, total=layer.blob.size)
                done = layer.blob.size if what == "Already exists" else count
                shown.update(tasks[short], description=f"{short}: {what:<16}", completed=done)

        yield moved
