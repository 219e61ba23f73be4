"""Which renderer a build gets, by --progress and what stderr is. Only the chosen one is imported."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from builder.errors import OutputFault
from builder.progress.renderer import Renderer, Stream

_SHORT = 72  # characters, as in BuildKit
MODES = ("auto", "plain", "tty", "quiet", "rawjson", "none")


def choose(mode: str, stream: Stream, env: Mapping[str, str], clock: Callable[[], float] | None = None) -> Renderer:
    """mode: one of MODES; auto takes env's BUILDKIT_PROGRESS, else tty on a terminal and plain elsewhere.

    clock: seconds since the build began, by default since now. Raises OutputFault on an unknown mode, or tty without
    a terminal.
    """
    if mode in ("", "auto"):
        mode = env.get("BUILDKIT_PROGRESS") or "auto"
    if mode not in MODES:
        raise OutputFault(f"invalid progress mode {mode}", f"use one of: {', '.join(MODES)}")
    if mode == "auto":
        mode = "tty" if stream.isatty() and env.get("TERM") != "dumb" else "plain"
    elif mode == "tty" and not stream.isatty():
        raise OutputFault("failed to get console: the output is not a terminal", "use --progress=plain")
    if mode == "plain":
        from builder.progress.plain import PlainRenderer

        return PlainRenderer(stream, _SHORT if env.get("PROGRESS_NO_TRUNC") == "0" else 0)
    if mode == "tty":
        from builder.progress.tty import TtyRenderer

        start = time.monotonic()
        return TtyRenderer(stream, env, clock or (lambda: time.monotonic() - start))
    if mode == "rawjson":
        from builder.progress.jsonl import JsonRenderer

        return JsonRenderer(stream, time.time())
    from builder.progress.quiet import QuietRenderer

    return QuietRenderer(stream)
