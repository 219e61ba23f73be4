"""--progress=tty: a live list of steps on a terminal, by rich."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from builder.graph.event import Cached, Event, Failed, Finished, Log, Missed, Started, Transfer, Warned
from builder.progress.clean import clean
from builder.progress.colors import colors
from builder.progress.renderer import Stream, Summary, human_size, summary_line
from builder.progress.steplog import StepLog, failure_block
from cache.digest import Digest

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.text import Text

_LOG_LINES = 6
_REFRESH = 8  # times a second


class _Step:
    def __init__(self, name: str, started: float, lines: int) -> None:
        self.name, self.started = clean(name), started
        self.log = StepLog(started)
        self.recent: deque[str] = deque(maxlen=lines)
        self.transfers: dict[str, str] = {}
        self.missed = ""


class TtyRenderer:
    """Steps that ended scroll up above the live part, which shows the running ones with the end of their logs.

    clock: seconds since the build began, for the running steps' timers.
    """

    def __init__(self, stream: Stream, env: Mapping[str, str], clock: Callable[[], float]) -> None:
        from rich.console import Console
        from rich.live import Live

        self._clock = clock
        lines = env.get("BUILDKIT_TTY_LOG_LINES", "")
        self._lines = int(lines) if lines.isascii() and lines.isdigit() and int(lines) else _LOG_LINES
        self._colors = colors(env.get("BUILDKIT_COLORS", ""))
        self._running: dict[Digest, _Step] = {}
        self._done = 0
        self._after: list[str] = []
        self._console = Console(
            file=stream,  # type: ignore[arg-type]
            force_terminal=True,
            no_color=bool(env.get("NO_COLOR")),
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=False,
        )
        self._live = Live(
            self, console=self._console, refresh_per_second=_REFRESH, redirect_stdout=False, redirect_stderr=False
        )
        self._open = False
        self._lock = threading.Lock()  # rich draws from a thread of its own

    def event(self, event: Event) -> None:
        if not self._open:
            self._live.start()
            self._open = True
        with self._lock:
            row = self._take(event)
        if row is not None:  # not with the lock held: rich has its own, and its thread waits for ours
            self._console.print(row)

    def _take(self, event: Event) -> Text | None:
        """Note an event; gives the line of a step that it ended."""
        match event:
            case Started():
                self._running[event.vertex] = _Step(event.name, event.time, self._lines)
            case Cached():
                self._running.pop(event.vertex, None)
                return self._end(f"CACHED {clean(event.name)}", "", "cyan")
            case Log() if event.vertex in self._running:
                step = self._running[event.vertex]
                step.recent.extend(step.log.feed(event.data, event.time))
            case Missed() if event.vertex in self._running:
                self._running[event.vertex].missed = clean(event.why)
            case Transfer() if event.vertex in self._running:
                size = human_size(event.current) + (f" / {human_size(event.total)}" if event.total else "")
                self._running[event.vertex].transfers[clean(event.what)[:200]] = size
            case Finished() if event.vertex in self._running:
                step = self._running.pop(event.vertex)
                return self._end(step.name, f"{event.time - step.started:.1f}s", self._colors["run"], step.missed)
            case Failed():
                return self._fail(event)
            case Warned() if event.finding is None:  # those are summed up below the build
                self._after.append(f"WARNING: {clean(event.message)}\n")
            case _:
                pass
        return None

    def close(self, summary: Summary | None) -> None:
        if self._open:
            self._running.clear()
            self._live.stop()
        for text in self._after:
            self._console.out(text, end="")
        if summary is not None:
            self._console.out(summary_line(summary))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._lock:
            rows = self._rows(options.max_width, console.size.height)
        yield from rows

    def _rows(self, width: int, height: int) -> list[Text]:
        """The live part: never higher than the terminal."""
        running = list(self._running.values())
        if not running:
            return []
        room = max(height - 2, 4)
        now = self._clock()
        rows = [self._row(f"[+] Building {now:.1f}s ({self._done}/{self._done + len(running)})", "", "", width)]
        room -= 1
        for step in running[:room]:
            room -= 1
            took = f"{max(now - step.started, 0.0):.1f}s"
            rows.append(self._row(f" => {step.name}", took, "", width, step.missed))
            details = [f"{what} {size}" for what, size in list(step.transfers.items())[-3:]] + list(step.recent)
            for line in details[-self._lines :] if room > len(running) else ():
                room -= 1
                rows.append(self._row(f" => => # {line}", "", "dim", width))
        return rows

    def _fail(self, event: Failed) -> Text:
        step = self._running.pop(event.vertex, None)
        name = step.name if step else event.vertex.short
        if step is not None and not event.canceled:
            step.log.flush()
            self._after.append(failure_block(step.name, step.log.tail()))
        style = self._colors["cancel" if event.canceled else "error"]
        return self._end(f"{'CANCELED' if event.canceled else 'ERROR'} {name}", "", style)

    def _end(self, text: str, time: str, style: str, missed: str = "") -> Text:
        self._done += 1
        return self._row(f" => {text}", time, style, self._console.width, missed)

    @staticmethod
    def _row(left: str, right: str, style: str, width: int, missed: str = "") -> Text:
        """Exactly one line of the terminal. missed: why a step was not cached."""
        from rich.text import Text

        text = Text(left.expandtabs(4), style=style, no_wrap=True, overflow="ellipsis", end="\n")
        room = max(width - len(right) - 1, 1)
        if missed:
            reason = Text(f"  missed: {missed.expandtabs(4)}", "dim")
            text.truncate(max(room - reason.cell_len, room // 2), overflow="ellipsis")
            text.append_text(reason)
        text.truncate(room, overflow="ellipsis", pad=bool(right))
        return text.append(f" {right}") if right else text
