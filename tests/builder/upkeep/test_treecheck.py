from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.layer.entry import BytesContent, Entry, Kind
from builder.layer.unpack import apply
from builder.snapshot.probe import in_user_namespace
from builder.upkeep.treecheck import difference

OWN = {"uid": os.getuid(), "gid": os.getgid()}
DATA = b"data" * 1000
LAYER = [
    (Entry(path=b"d", kind=Kind.DIR, mode=0o750, **OWN), None),
    (Entry(path=b"d/file", kind=Kind.FILE, mode=0o751, size=len(DATA), **OWN), DATA),
    (Entry(path=b"d/hard", kind=Kind.HARDLINK, link=b"d/file"), None),
    (Entry(path=b"d/link", kind=Kind.SYMLINK, link=b"file", **OWN), None),
    (Entry(path=b"empty", kind=Kind.FILE, mode=0o600, **OWN), b""),
    (Entry(path=b"implied/x", kind=Kind.FILE, mode=0o600, size=1, **OWN), b"x"),
    (Entry(path=b"pipe", kind=Kind.FIFO, mode=0o600, **OWN), None),
    (Entry(path=b"twice", kind=Kind.FILE, mode=0o600, size=3, **OWN), b"old"),
    (Entry(path=b"twice", kind=Kind.FILE, mode=0o644, size=4, **OWN), b"last"),
    (Entry(path=b"was", kind=Kind.DIR, mode=0o755, **OWN), None),
    (Entry(path=b"was/in", kind=Kind.FILE, mode=0o644, size=1, **OWN), b"y"),
    (Entry(path=b"was", kind=Kind.FILE, mode=0o644, size=1, **OWN), b"z"),
]


def items():
    return ((entry, None if data is None else BytesContent(data)) for entry, data in LAYER)


@pytest.fixture
def tree(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    apply(items(), fd, userxattr=True)
    os.close(fd)
    return tmp_path


def found(tree):
    return difference(str(tree), items(), userxattr=True, owners=not in_user_namespace())


def test_what_was_unpacked_is_the_same(tree):
    assert found(tree) == ""


def flip(path: Path) -> None:
    with open(path, "r+b") as file:
        file.seek(2000)
        file.write(b"X")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda tree: flip(tree / "d" / "file"), "'d/file' has other bytes"),
        (lambda tree: (tree / "d" / "file").write_bytes(DATA + b"more"), "'d/file' has other bytes"),
        (lambda tree: os.truncate(tree / "d" / "file", 100), "'d/file' has other bytes"),
        (lambda tree: (tree / "empty").write_bytes(b"x"), "'empty' has other bytes"),
        (lambda tree: (tree / "empty").unlink(), "'empty' is missing"),
        (lambda tree: (tree / "empty").chmod(0o640), "'empty' has mode 0640, not 0600"),
        (lambda tree: (tree / "d").chmod(0o700), "'d' has mode 0700, not 0750"),
        (lambda tree: ((tree / "d" / "link").unlink(), (tree / "d" / "link").symlink_to("hard")), "leads elsewhere"),
        (lambda tree: ((tree / "pipe").unlink(), (tree / "pipe").mkdir()), "'pipe' is a dir, not a fifo"),
        (lambda tree: ((tree / "d" / "hard").unlink(), (tree / "d" / "hard").write_bytes(DATA)), "no longer 'd/file'"),
        (lambda tree: (tree / "implied" / "new").write_bytes(b""), "'implied/new' was added"),
        (lambda tree: (tree / "was").unlink(), "'was' is missing"),
    ],
)
def test_harm_is_named(tree, harm, words):
    harm(tree)
    assert words in found(tree)


@pytest.mark.root
def test_another_owner(tree):
    os.chown(tree / "empty", 5, 6)
    assert found(tree) == f"'empty' belongs to 5:6, not {OWN['uid']}:{OWN['gid']}"
