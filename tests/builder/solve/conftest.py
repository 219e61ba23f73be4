"""A graph made by hand, and an executor that does nothing but remember what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.errors import Canceled
from builder.graph.event import Event
from builder.graph.graph import GraphBuilder, VertexInfo
from builder.graph.inputs import read_by_path
from builder.graph.operation import Copy, Exec, ImageSource, RemoteSource, Selection
from builder.layer.layer import Layer
from builder.oci.descriptor import OCI_LAYER, Descriptor
from builder.solve.executor import Task
from builder.solve.imported import Imported
from builder.solve.scheduler import Scheduler
from cache.digest import Digest
from cache.store import Store


class Recorder:
    """Each step makes a layer whose bytes are its argv and a number that grows with every step that runs."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ran: list[str] = []
        self.measured = 0
        self.identified = 0
        self.events: list[Event] = []
        self.canceled = threading.Event()
        self.during: Callable[[str], None] = lambda name: None
        self.below: dict[str, int] = {}  # of each step that ran, how many layers its tree had
        self.salt = ""
        self._lock = threading.Lock()

    def prepare(self, task: Task) -> None:
        pass

    def cancel(self) -> None:
        self.canceled.set()

    def identify(self, source: RemoteSource) -> Digest:
        with self._lock:
            self.identified += 1
        return Digest.of(f"{source} {self.salt}".encode())

    def measure(self, task: Task) -> tuple[Digest, ...]:
        with self._lock:
            self.measured += 1
        return tuple(s.wait().diff_id for i in read_by_path(task.vertex) for s in task.reads[i][-1:])

    def perform(self, task: Task) -> Callable[[], Layer]:
        if self.canceled.is_set():
            raise Canceled("canceled")
        operation = task.vertex.operation
        name = operation.argv[0] if isinstance(operation, Exec) else "copy"
        with self._lock:
            self.ran.append(name)
            self.below[name] = len(task.below)
        self.during(name)
        return lambda: layer(self.store, f"{name} {self.salt}")


def layer(store: Store, text: str) -> Layer:
    digest, size = store.blobs.put(text.encode())
    return Layer(digest, Descriptor(media_type=OCI_LAYER, digest=digest, size=size))


class Graph:
    """Builds up vertices by short calls."""

    def __init__(self) -> None:
        self.builder = GraphBuilder()
        self.base = self.builder.add(ImageSource(manifest=Digest.of(b"m"), diff_ids=(Digest.of(b"base"),)))

    def run(self, name: str, on: Digest | None = None) -> Digest:
        info = VertexInfo(f"RUN {name}")
        return self.builder.add(Exec(argv=(name,)), (on or self.base,), info)

    def copy(self, source: Digest, on: Digest | None = None, link: bool = False) -> Digest:
        operation = Copy(sources=(Selection(input=1, path="/f"),), dest="/", link=link)
        return self.builder.add(operation, (on or self.base, source), VertexInfo("COPY"))


class World:
    def __init__(self, store: Store) -> None:
        self.store, self.graph = store, Graph()
        self.executor = Recorder(store)
        self.stored: list[Digest] = []

    def solve(
        self,
        target: Digest,
        forget: Callable[[Digest], bool] = lambda vertex: False,
        imported: Imported | None = None,
        why: Callable[[Task], str] = lambda task: "",
    ) -> Scheduler:
        """One build; what ran in it is in executor.ran."""
        self.executor.ran, self.executor.measured, self.executor.events, self.stored = [], 0, [], []
        base = Layer(Digest.of(b"base"), Descriptor(media_type=OCI_LAYER, digest=Digest.of(b"base"), size=4))
        scheduler = Scheduler(
            self.graph.builder.graph(),
            self.store,
            self.executor,
            lambda operation: (base,),
            self.executor.events.append,
            lambda: 0.0,
            1.0,
            forget,
            imported,
            lambda vertex, layer: self.stored.append(vertex),
            why,
        )
        scheduler.run(target)
        return scheduler


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(Store(str(tmp_path / "store")))
