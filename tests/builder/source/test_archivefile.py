from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from builder.layer.entry import BytesContent
from builder.layer.limits import Limits
from builder.source.archivefile import looks_like_tar, read_member
from cache.errors import Fault
from cache.store import Store


def archive() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, text in (("./d/f", b"one"), ("d/f", b"two")):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
        for name, kind, target in (
            ("Dockerfile", tarfile.SYMTYPE, "/../d/f"),
            ("hard", tarfile.LNKTYPE, "d/f"),
            ("loose", tarfile.SYMTYPE, "none"),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            tar.addfile(member)
    return data.getvalue()


def test_members(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    digest, _ = store.blobs.put(gzip.compress(archive()))
    for name in ("d/f", "Dockerfile", "hard", "/d/./f"):
        assert read_member(store.blobs, digest, name, 10, Limits()) == b"two"
    for name in ("none", "d", "loose"):
        assert read_member(store.blobs, digest, name, 10, Limits()) is None
    with pytest.raises(Fault, match="more than 2 bytes"):
        read_member(store.blobs, digest, "d/f", 2, Limits())
    store.close()


def test_looks_like_tar() -> None:
    for data, wanted in ((archive(), True), (gzip.compress(archive()), True), (b"text", False), (b"", False)):
        assert looks_like_tar(BytesContent(data), len(data)) is wanted
