"""The wire form of values, which names them."""

from __future__ import annotations

import msgspec
import pytest

from cache import record
from cache.digest import Digest
from cache.errors import CacheFault

X = Digest.of(b"x")


class Pair(msgspec.Struct, frozen=True):
    name: str
    digest: Digest | None = None


def test_keys_are_sorted_and_defaults_are_written() -> None:
    assert record.encode(Pair("a")) == b'{"digest":null,"name":"a"}'
    assert record.encode(Pair("a", X)) == b'{"digest":"%s","name":"a"}' % str(X).encode()
    assert record.digest(Pair("a")) == Digest.of(b'{"digest":null,"name":"a"}')


def test_values_come_back() -> None:
    for value in (Pair("a"), Pair("é", X)):
        assert record.decode(record.encode(value), Pair) == value


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b'{"name":1}', b'{"name":"a","digest":1}', b'{"name":"a","digest":"sha256:0"}', b"\xff",
     b'{"name":' + b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_record(data: bytes) -> None:
    with pytest.raises(CacheFault, match="damaged record"):
        record.decode(data, Pair)
    assert record.recall(data, Pair) is None


def test_no_memo() -> None:
    assert record.recall(None, Pair) is None
