"""A cache in a registry that is honest, and in one that is not."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.cli.registries import opened_registries
from builder.errors import Canceled, LostResult
from builder.oci.reference import Reference
from builder.remotecache.registrystorage import RegistryStorage
from builder.solve.lookup import Known
from cache.digest import Digest
from cache.store import Store
from tests.builder.remotecache.conftest import Machine, exported, step
from tests.memoryregistry import INDEX, MemoryRegistry, running
from tests.webserver import Exchange


@contextmanager
def storage(host: str, name: str = "team/cache") -> Iterator[RegistryStorage]:
    with opened_registries({}) as registries:
        yield RegistryStorage(Reference.parse(f"{host}/{name}"), lambda: registries)


def test_what_is_asked(store: Store, tmp_path: Path) -> None:
    """Manifest and records once, then the layers that are wanted and no other."""
    memory = MemoryRegistry()
    with running(memory) as host, storage(host) as there:
        known = exported(store, there, "a", "b", "c")
        memory.server.seen.clear()
        machine = Machine(tmp_path / "other", there)
        for one in known:
            assert machine.use(one) == one.result
        wanted = known[1].result.layer
        assert machine.obtain(wanted)
        asked = [one.path for one in memory.server.seen if one.method == "GET" and one.path != "/v2/"]
        assert asked[0] == "/v2/team/cache/manifests/latest"
        assert asked[2:] == [f"/v2/team/cache/blobs/{wanted.blob.digest}"] and len(asked) == 3
        assert machine.imports.source(wanted.blob.digest) == there.reference


def flip(data: bytes) -> bytes:
    return data[:40] + bytes([data[40] ^ 1]) + data[41:]


@pytest.mark.parametrize("harm", [flip, lambda data: data[:-3], lambda data: data + b"more", lambda data: b""])
@pytest.mark.parametrize("what", ["layer", "records", "manifest"])
def test_other_bytes(store: Store, tmp_path: Path, harm: Callable[[bytes], bytes], what: str) -> None:
    class Harmful(MemoryRegistry):
        def body(self, exchange: Exchange, status: int, data: bytes, start: int) -> None:
            harmed = data.startswith(b"\x1f\x8b") is (what == "layer") and what != "manifest"
            super().body(exchange, status, harm(data)[start:] if harmed and on else data, start)

        def manifest(self, exchange: Exchange, name: str, reference: str) -> None:
            if on and what == "manifest":
                kind, raw = self.manifests[name, self.tags[name, reference]]
                exchange.send(200, harm(raw), Content_Type=kind, Docker_Content_Digest=self.tags[name, reference])
            else:
                super().manifest(exchange, name, reference)

    on = False
    with running(Harmful()) as host, storage(host) as there:
        known = exported(store, there, "a")[0]
        on = True
        machine = Machine(tmp_path / "other", there)
        if what == "layer":
            found = machine.use(known)
            with pytest.raises(LostResult):
                machine.obtain(found.layer)
        else:
            assert list(machine.imports.results(known.key)) == []
        assert len(machine.told.warnings) == 1
        assert machine.store.blobs.digests() == [] and not any((tmp_path / "other/tmp").iterdir())


def test_a_manifest_of_another_kind(tmp_path: Path) -> None:
    memory = MemoryRegistry()
    image = memory.add_image("team/cache", "latest", [{"a": b"x"}])
    memory.add_index("team/cache", "index", [image])
    buildkit = {"mediaType": "application/vnd.buildkit.cacheconfig.v0", **memory.add_blob("team/cache", b"{}")}
    memory.add_index("team/cache", "foreign", [{**image, "mediaType": "application/x"}, buildkit])
    memory.add_manifest("team/cache", "nested", {"schemaVersion": 2, "mediaType": INDEX, "manifests": []})
    expected = {
        "latest": "it holds no cache of lapstrake",
        "index": "it holds no cache of lapstrake",
        "foreign": "it is a cache of BuildKit",
        "nested": "it holds no cache of lapstrake",
        "none": "not found",
    }
    with running(memory) as host:
        for tag, words in expected.items():
            with storage(host, f"team/cache:{tag}") as there:
                machine = Machine(tmp_path / tag, there)
                assert list(machine.imports.results(Digest.of(b"x"))) == []
                assert len(machine.told.warnings) == 1 and words in machine.told.warnings[0], machine.told.warnings


def test_layers_of_a_neighbour_are_mounted(store: Store) -> None:
    memory = MemoryRegistry()
    with running(memory) as host, storage(host) as one, storage(host, "team/second") as two, storage("other:1") as far:
        known = exported(store, one, "a")[0].result.layer.blob
        assert one.reference is not None and two.reference is not None
        assert two.mount(known, one.reference) and two.has(known)
        assert not two.mount(step(store, "b").result.layer.blob, one.reference)
        assert not two.mount(known, two.reference) and not far.mount(known, one.reference)


def test_canceled_and_used_again(store: Store, tmp_path: Path) -> None:
    asked, go = threading.Event(), threading.Event()

    class Waiting(MemoryRegistry):
        def body(self, exchange: Exchange, status: int, data: bytes, start: int) -> None:
            if data.startswith(b"\x1f\x8b") and not go.is_set():
                asked.set()
                assert go.wait(20)
            super().body(exchange, status, data, start)

    with running(Waiting()) as host, opened_registries({}) as one, opened_registries({}) as two:
        left = iter((one, two))
        there = RegistryStorage(Reference.parse(f"{host}/cache"), lambda: next(left))
        known: Known = exported(store, there, "a")[0]
        machine = Machine(tmp_path / "other", there)
        layer, failed = machine.use(known).layer, []

        def obtain() -> None:
            try:
                machine.obtain(layer)
            except Canceled as error:
                failed.append(error)

        thread = threading.Thread(target=obtain)
        thread.start()
        assert asked.wait(20)
        machine.imports.cancel()
        thread.join(20)
        assert failed
        go.set()
        machine.imports.begin()
        assert machine.obtain(layer)
        assert json.loads(there.manifest())["layers"]
