"""Trees that are hard to keep, and what is read back of a tree on disk."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from builder.layer import inode
from builder.layer.entry import Entry, Kind

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")  # vfs_cap_data v2: cap_net_bind_service
ROOT = os.geteuid() == 0


def make_nasty(root: Path) -> None:
    """Everything that a layer can hold and that an ordinary user may make; as root also the rest."""
    base = os.fsencode(root)

    def put(name: bytes, data: bytes = b"x", mode: int = 0o644) -> bytes:
        path = base + b"/" + name
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, mode)
        return path

    os.mkdir(base + b"/dir", 0o755)
    os.mkdir(base + b"/dir/empty")
    os.chmod(base + b"/dir/empty", 0o1777)
    put(b"plain", b"hello\n" * 100)
    put(b"empty", b"")
    put(b"dir/setuid", mode=0o4755)
    put(b"dir/setgid", mode=0o2755)
    put(b"n" * 101)
    put(b"l" * 255)
    deep = b"/".join([b"d" * 60] * 5)
    os.makedirs(base + b"/" + deep)
    put(deep + b"/" + b"f" * 60)
    put("größe-文".encode())
    put(b"not-utf8-\xff\xfe")
    put(b"new\nline")
    put(b" blank ")
    os.symlink(b"plain", base + b"/link")
    os.symlink(b"x" * 300, base + b"/longlink")
    os.symlink(b"../../\xff", base + b"/outside")
    put(b"one", b"linked")
    os.link(base + b"/one", base + b"/two")
    os.link(base + b"/one", base + b"/dir/three")
    os.mkfifo(base + b"/fifo", 0o600)
    path = put(b"old")
    os.utime(path, (-5, -5))
    path = put(b"future")
    os.utime(path, (9_000_000_000, 9_000_000_000))
    with open(put(b"sparse", b""), "r+b") as file:
        file.seek(3 << 20)
        file.write(b"end")
        file.truncate(5 << 20)
    path = put(b"attributes")
    os.setxattr(path, b"user.one", b"a=b\n\0c")
    os.setxattr(base + b"/dir", b"user.on.dir", b"")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(base, os.O_RDONLY)
        listener.bind(b"/proc/self/fd/%d/socket" % here)
        os.close(here)
    if ROOT:
        os.mknod(base + b"/char", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mknod(base + b"/block", stat.S_IFBLK | 0o660, os.makedev(7, 300))
        path = put(b"owned", mode=0o4711)
        os.chown(path, 3_000_000, 4_000_000)
        os.chmod(path, 0o4711)
        os.setxattr(put(b"capable"), b"security.capability", CAPABILITY)
        os.lchown(base + b"/link", 12, 34)
        os.setxattr(base + b"/plain", b"trusted.secret", b"left out")


def read_tree(root: Path | str | bytes) -> dict[bytes, tuple[Entry, bytes, int]]:
    """path -> (entry, content, number that equal names of one file share) of all below root; marks as they are."""
    found: dict[bytes, tuple[Entry, bytes, int]] = {}
    base = os.fsencode(root)
    inodes: dict[int, int] = {}
    for folder, dirs, files in os.walk(base):
        dirs.sort()
        for name in sorted(dirs + files):
            at = os.path.join(folder, name)
            st = os.lstat(at)
            path = os.path.relpath(at, base)
            entry = inode.entry_of(at, path, st, inode.attribute_names(at, st))
            if entry is None:
                continue
            data = Path(os.fsdecode(at)).read_bytes() if entry.kind is Kind.FILE else b""
            group = inodes.setdefault(st.st_ino, len(inodes)) if st.st_nlink > 1 and entry.kind is not Kind.DIR else 0
            found[path] = entry, data, group
    return found


def listed(items: object) -> list[tuple[Entry, bytes]]:
    """Consume a stream of members."""
    return [(entry, b"".join(content.chunks()) if content else b"") for entry, content in items]  # type: ignore[attr-defined]


class FakeSink:
    """A BlobSink in memory."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes, /) -> int:
        self.data += data
        return len(data)

    def commit(self) -> tuple[object, int]:
        from cache.digest import Digest

        return Digest.of(bytes(self.data)), len(self.data)


class Kit:
    make_nasty = staticmethod(make_nasty)
    read_tree = staticmethod(read_tree)
    listed = staticmethod(listed)
    Sink = FakeSink
    capability = CAPABILITY
    root = ROOT


@pytest.fixture
def kit() -> type[Kit]:
    return Kit


@pytest.fixture
def nasty(tmp_path: Path) -> Path:
    folder = tmp_path / "nasty"
    folder.mkdir()
    make_nasty(folder)
    return folder
