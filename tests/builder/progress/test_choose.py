from __future__ import annotations

import base64
import io
import json

import pytest

from builder.errors import OutputFault
from builder.graph.event import Cached, Failed, Finished, Log, Started, Transfer, Warned
from builder.progress.choose import choose
from builder.progress.jsonl import JsonRenderer
from builder.progress.plain import PlainRenderer
from builder.progress.quiet import QuietRenderer
from builder.progress.renderer import human_size
from builder.progress.tty import TtyRenderer
from cache.digest import Digest

A, B = Digest.of(b"a"), Digest.of(b"b")


class Tty(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("mode", "stream", "env", "kind"),
    [
        ("auto", io.StringIO, {}, PlainRenderer),
        ("auto", Tty, {}, TtyRenderer),
        ("", Tty, {}, TtyRenderer),
        ("auto", Tty, {"TERM": "dumb"}, PlainRenderer),
        ("auto", Tty, {"BUILDKIT_PROGRESS": "plain"}, PlainRenderer),
        ("plain", Tty, {"BUILDKIT_PROGRESS": "tty"}, PlainRenderer),
        ("tty", Tty, {}, TtyRenderer),
        ("quiet", Tty, {}, QuietRenderer),
        ("none", Tty, {}, QuietRenderer),
        ("rawjson", Tty, {}, JsonRenderer),
    ],
)
def test_modes(mode, stream, env, kind):
    assert type(choose(mode, stream(), env)) is kind


def test_long_names_are_cut_where_it_is_asked_for():
    for env, shown in (({}, "x" * 100), ({"PROGRESS_NO_TRUNC": "0"}, "x" * 72 + "...")):
        out = io.StringIO()
        choose("plain", out, env).event(Started(A, "x" * 100, 0.0))
        assert out.getvalue() == f"#1 {shown}\n"


def test_bad_modes():
    with pytest.raises(OutputFault, match="invalid progress mode loud"):
        choose("loud", io.StringIO(), {})
    with pytest.raises(OutputFault, match="failed to get console"):
        choose("tty", io.StringIO(), {})


def test_quiet_speaks_of_failures_alone():
    out = io.StringIO()
    renderer = choose("quiet", out, {})
    for event in (
        Started(A, "RUN a", 0.0), Log(A, b"fine\n", 0.1), Finished(A, 0.2), Started(B, "RUN b", 0.3),
        Log(B, b"why", 0.4), Failed(B, "exit code: 1", False, 0.5),
    ):  # fmt: skip
        renderer.event(event)
    renderer.close(None)
    assert out.getvalue() == "------\n > RUN b:\n0.100 why\n------\n"


def test_json_lines():
    out = io.StringIO()
    renderer = JsonRenderer(out, 1_000_000_000.0)
    for event in (
        Started(A, "RUN a", 0.0),
        Log(A, b"\xff\n", 0.5),
        Transfer(A, "x", 1, 2, 0.6),
        Finished(A, 1.0),
        Cached(B, "RUN b", 1.0),
        Failed(B, "why", False, 2.0),
        Warned(None, "mind", 2.0),
        Log(A, bytes(3 << 20), 3.0),
        Log(A, b"more", 3.0),
    ):
        renderer.event(event)
    renderer.close(None)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    start = {"digest": str(A), "name": "RUN a", "started": "2001-09-09T01:46:40.000000Z"}
    assert lines[0] == {"vertexes": [start]}
    assert base64.b64decode(lines[1]["logs"][0]["data"]) == b"\xff\n"
    assert lines[2]["statuses"][0]["total"] == 2
    assert lines[3] == {"vertexes": [{**start, "completed": "2001-09-09T01:46:41.000000Z"}]}
    assert lines[4]["vertexes"][0]["cached"] is True
    assert lines[5]["vertexes"][0]["error"] == "why"
    assert base64.b64decode(lines[6]["warnings"][0]["short"]) == b"mind"
    assert len(lines) == 8


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (999, "999B"), (1000, "1kB"), (73_400, "73.4kB"), (1_244_000, "1.24MB"), (999_999, "1e+03kB")],
)
def test_sizes(size, text):
    assert human_size(size) == text.replace("1e+03kB", "1000kB")
