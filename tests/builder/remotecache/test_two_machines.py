"""Random edits on two machines that share a cache: whatever is built, no image mixes two makings of a step."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from builder.errors import LostResult
from builder.graph.graph import GraphBuilder
from builder.graph.inputs import chain_of
from builder.graph.operation import Copy, Exec, ImageSource, LocalSource, RemoteSource, Selection
from builder.layer.layer import Layer
from builder.oci.chain import chain_id
from builder.oci.descriptor import OCI_LAYER, Descriptor
from builder.remotecache.cacheexport import CacheExport
from builder.remotecache.folderstorage import FolderStorage
from builder.remotecache.imports import Imports
from builder.solve.executor import Stack, Task
from builder.solve.scheduler import Scheduler
from cache.digest import Digest
from cache.store import Store
from tests.builder.remotecache.conftest import Told

BASE = Layer(Digest.of(b"base"), Descriptor(OCI_LAYER, Digest.of(b"base"), 4))
MAKINGS = itertools.count()


def chain(stack: Stack) -> Digest:
    return chain_id(stratum.wait().diff_id for stratum in stack)


class Executor:
    """A RUN gives something else each time. Each layer says on which tree it was made, and what it was made of.

    Like a real one it needs the bytes of whatever it looks at.
    """

    def __init__(self, store: Store, files: str) -> None:
        self.store, self.files = store, files

    def prepare(self, task: Task) -> None:
        pass

    def cancel(self) -> None:
        pass

    def identify(self, source: RemoteSource) -> Digest:
        raise AssertionError(source)

    def measure(self, task: Task) -> tuple[Digest, ...]:
        if task.files:
            return (Digest.of(self.files.encode()),)
        return tuple(self._shown(stack) for stack in task.reads.values())

    def perform(self, task: Task) -> Callable[[], Layer]:
        for stratum in task.below:
            self._obtain(stratum.wait())
        if isinstance(task.vertex.operation, Exec):
            text = f"RUN {task.vertex.operation.argv} {next(MAKINGS)}"
        else:
            reads = [stack for source, stack in task.reads.items() if source != task.vertex.inputs[0]]
            text = f"COPY {self.measure(task) if task.files else [str(self._shown(stack)) for stack in reads]}"
        data = f"{text}\n{chain(task.below)}".encode()

        def pack() -> Layer:
            digest, size = self.store.blobs.put(data)
            return Layer(digest, Descriptor(OCI_LAYER, digest, size))

        return pack

    def _shown(self, stack: Stack) -> Digest:
        """What a copy sees of a stage: a file that each making of its last step has the same."""
        layer = stack[-1].wait()
        self._obtain(layer)
        return Digest.of(self.store.blobs.read(layer.blob.digest).rpartition(b" ")[0])

    def _obtain(self, layer: Layer) -> None:
        assert layer == BASE or self.store.blobs.obtain(layer.blob.digest, layer.blob.size)


class Machine:
    def __init__(self, folder: Path, place: Path) -> None:
        self.store, self.place = Store(str(folder)), place

    def build(self, edit: tuple[int, int, int], imports: bool, everything: bool, no_cache: bool) -> list[bytes]:
        """The layers of the image, its cache exported. edit: of the stage's step, the client's file, the last step."""
        graph = GraphBuilder()
        base = graph.add(ImageSource(manifest=Digest.of(b"m"), diff_ids=(BASE.diff_id,)))
        context = graph.add(LocalSource(name="context"))
        from_context = Copy(sources=(Selection(input=1, path="/f"),), dest="/")
        stage = graph.add(Exec(argv=("prepare",)), (base,))
        stage = graph.add(from_context, (stage, context))
        stage = graph.add(Exec(argv=("make", str(edit[0]))), (stage,))
        target = graph.add(Exec(argv=("tools",)), (base,))
        target = graph.add(from_context, (target, stage))
        target = graph.add(Exec(argv=("last", str(edit[2]))), (target,))
        storage = FolderStorage(str(self.place), "latest")
        taken = Imports([storage] if imports else [], self.store, Told(), 1.0)
        self.store.blobs.suppliers[:] = [taken.supply]
        export = CacheExport(storage, self.store, everything, again=taken.refused)
        try:
            while True:
                taken.begin()
                try:
                    scheduler = Scheduler(
                        graph.graph(),
                        self.store,
                        Executor(self.store, str(edit[1])),
                        lambda operation: (BASE,),
                        lambda event: None,
                        lambda: 0.0,
                        1.0,
                        (lambda vertex: True) if no_cache else (lambda vertex: False),
                        taken,
                    )
                    scheduler.run(target)
                    stack = [stratum.wait() for stratum in scheduler.stack(target)]
                    taken.check(stack)
                    taken.complete(stack[1:])
                    lookup, of_image = scheduler.lookup, chain_of(graph.graph(), [target])
                    export.finish(lookup.known(target), lookup.selected(target), of_image)
                    return [self.store.blobs.read(layer.blob.digest) for layer in stack[1:]]
                except Exception as error:
                    if not lost(error):
                        raise
        finally:
            export.close()


def lost(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, LostResult):
        error = error.__cause__
    return error is not None


RARELY = st.integers(0, 7).map(lambda n: int(n == 7))
BUILD = st.tuples(
    st.booleans(),  # which machine
    st.tuples(RARELY, RARELY, st.integers(0, 1)),
    st.booleans(),  # imports
    st.booleans(),  # mode=max
    RARELY.map(bool),  # --no-cache
    st.sampled_from([""] * 6 + ["flip", "unlink", "prune"]),
    st.integers(0, 20),
)


@settings(max_examples=40)
@given(st.lists(BUILD, min_size=3, max_size=8))
def test_no_image_mixes_two_makings(
    builds: list[tuple[bool, tuple[int, int, int], bool, bool, bool, str, int]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        machines = [Machine(folder / one, folder / "cache") for one in ("a", "b")]
        for second, edit, imports, everything, no_cache, damage, which in builds:
            machine = machines[second]
            if damage == "prune":
                for digest in machine.store.blobs.digests()[which % 3 :: 3]:
                    machine.store.blobs.delete(digest)
            elif damage and (folder / "cache").exists():
                blobs = sorted((folder / "cache/blobs/sha256").iterdir())
                blob = blobs[which % len(blobs)]
                if damage == "unlink":
                    blob.unlink()
                else:
                    data = bytearray(blob.read_bytes())
                    data[len(data) // 2] ^= 1
                    blob.write_bytes(data)
            layers = machine.build(edit, imports, everything, no_cache)
            below = [BASE.diff_id]
            for data in layers:  # each was made on the very tree that it is on now
                assert data.rpartition(b"\n")[2].decode() == str(chain_id(below)), (layers, below)
                below.append(Digest.of(data))
            assert [f"'{edit[2]}'".encode() in layers[-1], layers[0].startswith(b"RUN ('tools',)")] == [True, True]
        for one in machines:
            one.store.close()
