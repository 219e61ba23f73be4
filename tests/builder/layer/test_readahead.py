"""A stream read ahead by a thread of its own."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.errors import RegistryFault
from builder.layer.readahead import ReadAhead
from cache.digest import Digest
from cache.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(str(tmp_path))
    yield made
    made.close()


def test_what_is_read_is_stored_and_given_in_order(store: Store) -> None:
    data = os.urandom(3_000_001)
    with store.blobs.writer() as writer:
        with ReadAhead(io.BytesIO(data), writer.write) as ahead:
            assert b"".join(iter(lambda: ahead.read(70_000), b"")) == data
            assert ahead.read(1) == b""
        assert writer.commit() == (Digest.of(data), len(data))


class Failing(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if not data:
            raise RegistryFault("cut")
        return data


def test_what_the_stream_raises_is_raised_after_its_bytes(store: Store) -> None:
    with store.blobs.writer() as writer, ReadAhead(Failing(b"x" * 600_000), writer.write) as ahead:
        with pytest.raises(RegistryFault, match="cut"):
            for _ in range(99):
                assert set(ahead.read(100_000)) == {ord("x")}
        assert ahead.read(1) == b""


def test_who_stops_early_stops_the_thread(store: Store) -> None:
    stream = io.BytesIO(bytes(100 << 20))
    before = threading.active_count()
    with store.blobs.writer() as writer, ReadAhead(stream, writer.write) as ahead:
        ahead.read(1)
    assert threading.active_count() == before and stream.tell() < 50 << 20
