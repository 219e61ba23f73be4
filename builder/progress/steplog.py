"""StepLog: a step's output, cut into lines, cleaned, timed and bounded."""

from __future__ import annotations

from collections import deque

from builder.progress.clean import clean, clean_bytes

LIMIT = 2 << 20  # bytes of one step's output that are shown
CLIPPED = "[output clipped, log limit 2MiB reached]"
_LINE = 32 << 10  # a longer line is cut in pieces
_TAIL_LINES = 50
_TAIL_BYTES = 8 << 10


class StepLog:
    """started: when the step began, in seconds since the build did. Memory is bounded whatever comes in."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._partial = b""
        self._partial_time = started
        self._taken = 0
        self._clipped = False
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)

    def feed(self, data: bytes, time: float) -> list[str]:
        """Take output; gives the lines to show, each as `0.312 text`."""
        if not self._partial:
            self._partial_time = time
        *whole, last = (self._partial + data).split(b"\n")
        lines = []
        for line in whole:
            lines += self._line(line, self._partial_time)
            self._partial_time = time
        if len(last) > _LINE:
            # A progress bar that only ever returns needs no more than what stands after the last return.
            last = last[last.rstrip(b"\r").rfind(b"\r") + 1 :]
        while len(last) > _LINE:
            lines += self._line(last[:_LINE], self._partial_time)
            last = last[_LINE:]
        self._partial = last
        return lines

    def flush(self) -> list[str]:
        """The step has ended: its last line, if that had no end."""
        last, self._partial = self._partial, b""
        return self._line(last, self._partial_time) if last else []

    def tail(self) -> list[str]:
        """The last lines, at most 50 of them and 8 KiB, clipped or not."""
        kept: list[str] = []
        size = 0
        for line in reversed(self._tail):
            size += len(line.encode("utf-8", "replace")) + 1
            if kept and size > _TAIL_BYTES:
                break
            kept.append(line)
        return kept[::-1]

    def _line(self, raw: bytes, time: float) -> list[str]:
        shown = f"{seconds(time - self._started)} {clean_bytes(raw)}"
        self._tail.append(shown[:_TAIL_BYTES])
        self._taken += len(raw) + 1
        if self._taken <= LIMIT:
            return [shown]
        if self._clipped:
            return []
        self._clipped = True
        return [f"{seconds(time - self._started)} {CLIPPED}"]


def seconds(time: float) -> str:
    """As BuildKit prints a log line's time: 3 decimals below 10 s, 2 below 100 s, else 1."""
    time = max(time, 0.0)
    return f"{time:.3f}" if time < 10 else f"{time:.2f}" if time < 100 else f"{time:.1f}"


def failure_block(name: str, lines: list[str]) -> str:
    """The end of a failed step's log, as BuildKit frames it (with a newline at its end)."""
    return "\n".join(["------", f" > {clean(name)}:", *lines, "------"]) + "\n"
