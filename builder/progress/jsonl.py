"""--progress=rawjson: one JSON object per line, in the shape of BuildKit's client.SolveStatus."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

from builder.graph.event import Cached, Event, Failed, Finished, Log, Missed, Started, Transfer, Warned
from builder.progress.renderer import Stream, Summary
from builder.progress.steplog import LIMIT
from cache.digest import Digest

Json = dict[str, Any]


class JsonRenderer:
    """start: seconds since 1970 at which the build began, as the caller's clock had it."""

    def __init__(self, stream: Stream, start: float) -> None:
        self._stream = stream
        self._start = start
        self._started: dict[Digest, Json] = {}
        self._logged: dict[Digest, int] = {}

    def event(self, event: Event) -> None:
        line = self._status(event)
        if line:
            self._stream.write(json.dumps(line, separators=(",", ":")) + "\n")
            self._stream.flush()

    def close(self, summary: Summary | None) -> None:
        self._stream.flush()

    def _status(self, event: Event) -> Json:
        time = self._time(event.time)
        match event:
            case Started():
                vertex = {"digest": str(event.vertex), "name": event.name, "started": time}
                self._started[event.vertex] = vertex
                return {"vertexes": [vertex]}
            case Cached():
                known = {"digest": str(event.vertex), "name": event.name, "started": time}
                return {"vertexes": [{**known, "completed": time, "cached": True}]}
            case Missed():  # a field of ours, which BuildKit's readers pass over
                self._started[event.vertex] = vertex = {**self._known(event.vertex), "lapstrake.missed": event.why}
                return {"vertexes": [vertex]}
            case Finished():
                return {"vertexes": [{**self._known(event.vertex), "completed": time}]}
            case Failed():
                error = "context canceled" if event.canceled else event.error
                return {"vertexes": [{**self._known(event.vertex), "completed": time, "error": error}]}
            case Log():
                return self._log(event, time)
            case Transfer():
                status = {"id": event.what, "vertex": str(event.vertex), "current": event.current}
                return {"statuses": [{**status, "total": event.total, "timestamp": time}]}
            case Warned():
                return {"warnings": [vertex_warning(event)]}

    def _log(self, event: Log, time: str) -> Json:
        room = LIMIT - self._logged.get(event.vertex, 0)
        self._logged[event.vertex] = self._logged.get(event.vertex, 0) + len(event.data)
        if room <= 0:
            return {}
        data = _base64(event.data[:room])
        return {"logs": [{"vertex": str(event.vertex), "stream": 1, "data": data, "timestamp": time}]}

    def _known(self, vertex: Digest) -> Json:
        return self._started.get(vertex, {"digest": str(vertex)})

    def _time(self, seconds: float) -> str:
        moment = datetime.fromtimestamp(self._start + seconds, UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def vertex_warning(event: Warned) -> Json:
    """BuildKit's client.VertexWarning."""
    value: Json = {"vertex": str(event.vertex)} if event.vertex else {}
    value |= {"level": 1, "short": _base64(event.message.encode("utf-8", "replace"))}
    finding = event.finding
    if finding is None or finding.span is None:
        return value
    span = finding.span
    value |= {"detail": [_base64(finding.detail.encode())], "url": finding.url}
    value["sourceInfo"] = {"filename": span.file, "data": _base64(event.data), "language": "Dockerfile"}
    value["range"] = [{"start": {"line": span.first}, "end": {"line": span.last}}]
    return {name: part for name, part in value.items() if part}


def _base64(data: bytes) -> str:
    return b64encode(data).decode()
