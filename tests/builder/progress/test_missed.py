"""What every form of progress does with the reason of a miss."""

from __future__ import annotations

import io
import json

from builder.graph.event import Finished, Missed, Started
from builder.progress.jsonl import JsonRenderer
from builder.progress.quiet import QuietRenderer
from cache.digest import Digest

A = Digest.of(b"a")
EVENTS = (Started(A, "[2/3] COPY a /", 0.0), Missed(A, "a changed (content)", 0.5), Finished(A, 1.0))


def test_rawjson_has_a_field_of_ours_in_the_vertex_from_then_on():
    out = io.StringIO()
    renderer = JsonRenderer(out, 0.0)
    for event in EVENTS:
        renderer.event(event)
    lines = [json.loads(line)["vertexes"] for line in out.getvalue().splitlines()]
    started = {"digest": str(A), "name": "[2/3] COPY a /", "started": "1970-01-01T00:00:00.000000Z"}
    missed = {**started, "lapstrake.missed": "a changed (content)"}
    assert lines == [[started], [missed], [{**missed, "completed": "1970-01-01T00:00:01.000000Z"}]]


def test_quiet_says_nothing():
    out = io.StringIO()
    renderer = QuietRenderer(out)
    for event in EVENTS:
        renderer.event(event)
    renderer.close(None)
    assert out.getvalue() == ""
