"""What became of the steps of a build, from its events and what the scheduler knows of their layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from builder.graph.event import Cached, Event, Failed, Finished, Missed, Started
from builder.graph.graph import BuildGraph
from builder.graph.operation import FileSource, ImageSource
from builder.solve.scheduler import Scheduler
from builder.trace.trace import Outcome
from cache.digest import Digest


def outcomes(
    events: Iterable[Event], graph: BuildGraph, scheduler: Scheduler, masked: Callable[[str], str]
) -> tuple[Outcome, ...]:
    """Of the steps that were looked at, in the order of the graph. Sources are none. masked: names without secrets."""
    seen: dict[Digest, _Seen] = {}
    for event in events:
        if event.vertex is not None and event.vertex in graph.vertices:
            seen.setdefault(event.vertex, _Seen()).take(event)
    return tuple(_outcomes(seen, graph, scheduler, masked))


def _outcomes(
    seen: dict[Digest, _Seen], graph: BuildGraph, scheduler: Scheduler, masked: Callable[[str], str]
) -> Iterator[Outcome]:
    for digest, vertex in graph.vertices.items():
        if digest not in seen or isinstance(vertex.operation, ImageSource | FileSource):
            continue
        one, info, stratum = seen[digest], graph.info.get(digest), scheduler.made(digest)
        layer, key = stratum.layer if stratum is not None else None, scheduler.lookup.key(digest)
        yield Outcome(
            name=masked(one.name),
            key=str(key or ""),
            line=info.span.first if info is not None and info.span is not None else 0,
            state=one.state,
            why=one.why,
            seconds=round(max(one.ended - one.began, 0.0), 3),
            layer=str(layer.blob.digest) if layer is not None else "",
            size=layer.blob.size if layer is not None else 0,
            files=stratum.files if stratum is not None else None,
        )


class _Seen:
    """A step, as its events come."""

    def __init__(self) -> None:
        self.name, self.state, self.why = "", "canceled", ""
        self.began = self.ended = 0.0

    def take(self, event: Event) -> None:
        match event:
            case Started():
                self.name, self.began, self.ended = event.name, event.time, event.time
            case Cached():
                self.name, self.state = event.name, "cached"
                self.began = self.ended = event.time
            case Missed():
                self.why = event.why
            case Finished():
                self.state, self.ended = "done", event.time
            case Failed():
                self.state, self.ended = "canceled" if event.canceled else "failed", event.time
            case _:
                pass
