from __future__ import annotations

import gzip
import io
import tarfile

import pytest

from builder.errors import LayerFault
from builder.layer.limits import Limits
from builder.layer.openarchive import open_archive


def bomb(size: int) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("first"))
        member = tarfile.TarInfo("zeros")
        member.size = size
        tar.addfile(member, io.BytesIO(bytes(size)))
    return gzip.compress(data.getvalue())


def unpack(data: bytes, limits: Limits) -> int:
    items = open_archive(io.BytesIO(data), limits, "layer x")
    return sum(len(chunk) for _, content in items if content is not None for chunk in content.chunks())


def test_a_ratio_counts_beyond_its_grace() -> None:
    data = bomb(32 << 20)
    assert unpack(data, Limits()) == 32 << 20
    with pytest.raises(LayerFault, match=r"layer x is too large: member 'zeros' is where its .* more than 100 times"):
        unpack(data, Limits(ratio=100, grace=1 << 20))
    assert unpack(data, Limits.of_size(64 << 20)) == 32 << 20


def test_the_end_of_an_archive_is_bounded_too() -> None:
    with pytest.raises(LayerFault, match="grows beyond 1000000 bytes"):
        unpack(gzip.compress(bytes(1 << 22)), Limits.of_size(1_000_000))
