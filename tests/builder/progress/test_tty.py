from __future__ import annotations

import io
import re

from builder.graph.event import Cached, Failed, Finished, Log, Missed, Started, Transfer, Warned
from builder.progress.renderer import Summary
from builder.progress.tty import TtyRenderer
from cache.digest import Digest

A, B, C = (Digest.of(name) for name in (b"a", b"b", b"c"))
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def render(*events, summary=None, env=None):
    out = io.StringIO()
    renderer = TtyRenderer(out, {"NO_COLOR": "1", "COLUMNS": "80", **(env or {})}, lambda: 9.0)
    for event in events:
        renderer.event(event)
    if not summary:
        renderer._live.refresh()
    renderer.close(summary)
    return out.getvalue()


def test_steps_that_ended_stay_and_the_summary_is_last():
    text = ESCAPES.sub(
        "",
        render(
            Cached(A, "[1/3] FROM base", 0.0),
            Started(B, "[2/3] RUN make [red]not markup[/red] :smile:", 0.0),
            Transfer(B, "moving", 5, 10, 0.5),
            Log(B, b"text\n", 1.0),
            Finished(B, 1.5),
            Warned(None, "mind", 2.0),
            summary=Summary(A, 512, ("app:1",), 2.0),
        ),
    )
    lines = [line.rstrip() for line in text.replace("\r", "").split("\n")]
    assert " => CACHED [1/3] FROM base" in lines
    assert any(
        line.startswith(" => [2/3] RUN make [red]not markup[/red] :smile:") and line.endswith("1.5s") for line in lines
    )
    assert lines.index("WARNING: mind") < lines.index(f"app:1 {A} 512B in 2.0s")


def test_running_steps_show_the_end_of_their_log():
    log = b"".join(b"line %d\n" % n for n in range(50))
    text = ESCAPES.sub("", render(Started(A, "RUN a", 0.0), Log(A, log, 1.0)))
    assert "[+] Building 9.0s (0/1)" in text
    assert "# 1.000 line 49" in text
    assert "line 43" not in text.rpartition("[+]")[2]
    assert "line 44" in text


def test_failures_show_their_log():
    text = ESCAPES.sub(
        "",
        render(
            Started(A, "RUN a", 0.0), Started(B, "RUN b", 0.0), Log(A, b"why\n", 1.0),
            Failed(A, "exit code: 1", False, 2.0),
            Failed(B, "context canceled", True, 2.0), Finished(C, 2.0), Log(C, b"?", 2.0),
        ),
    )  # fmt: skip
    assert " => ERROR RUN a" in text
    assert " => CANCELED RUN b" in text
    assert "------\n > RUN a:\n1.000 why\n------\n" in text.replace("\r", "")


def test_only_our_own_escapes_reach_the_terminal():
    text = render(Started(A, "RUN \x1b[41m\x1b]0;owned\x07", 0.0), Log(A, b"\x1b[31mred\x1b]0;owned\x07\n", 0.0))
    assert "owned" not in text
    assert "\x1b[41m" not in text
    assert "\x1b[31m" not in text


def test_a_build_without_events_prints_nothing():
    assert render(summary=None) == ""


def test_why_a_step_was_missed_stands_beside_its_name_while_it_runs_and_after():
    running = ESCAPES.sub("", render(Started(A, "[2/3] COPY a /", 0.0), Missed(A, "a changed (content)", 0.0)))
    assert "=> [2/3] COPY a /  missed: a changed (content)" in running
    text = render(Started(A, "COPY a /", 0.0), Missed(A, "a changed (content)", 0.0), Finished(A, 1.0))
    assert "=> COPY a /  missed: a changed (content)" in ESCAPES.sub("", text)
    assert re.search(r"\x1b\[(?:\d+;)*2m  missed:", text)  # dimmed


def test_a_long_name_leaves_room_for_the_reason():
    name = "RUN " + "x" * 200
    text = ESCAPES.sub("", render(Started(A, name, 0.0), Missed(A, "a changed (content)", 0.0), Finished(A, 1.0)))
    line = next(
        line for line in text.replace("\r", "").split("\n") if line.startswith(" => RUN") and line.endswith("1.0s")
    )
    assert "x…  missed: a changed (content) " in line
    assert len(line) == 80
