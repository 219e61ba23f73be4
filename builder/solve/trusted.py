"""A root whose programs trust one more certificate authority, while a step runs in it and in no layer.

On an overlay the files are one more layer below what the step writes; in a whole tree they are written into it. Either
way they are taken out of what the step has made of them, so that what it changed stays and the certificate does not.
"""

from __future__ import annotations

import base64
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import msgspec

from builder.errors import LayerFault
from builder.layer.entry import BytesContent, Entry, Item, Kind
from builder.layer.tree import Tree, resolve
from builder.proxy.authority import SUBJECT_HASH
from builder.sandbox.inroot import InRoot
from builder.sandbox.spec import OverlayRoot, PlainRoot
from builder.snapshot.snapshots import Loan

BUNDLES = (
    b"etc/ssl/certs/ca-certificates.crt", b"etc/pki/tls/certs/ca-bundle.crt", b"etc/ssl/ca-bundle.pem",
    b"etc/pki/tls/cacert.pem", b"etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", b"etc/ssl/cert.pem",
)  # fmt: skip
"""As BuildKit's proxyca_linux.go; that stops at the first one that is there."""

FOLDERS = (b"etc/ssl/certs", b"etc/pki/tls/certs")
"""Where OpenSSL, and so Python, finds authorities one by one (openssl-rehash(1))."""

_LIMIT = 10 << 20  # bytes of a bundle
# A step may write anything: two repetitions side by side that take the same bytes would try all ways to share them.
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----(\s[A-Za-z0-9+/=\s]++)-----END CERTIFICATE-----[ \t]*+\r?\n?")


class _Added(msgspec.Struct, frozen=True):
    """A file that is shown. before: what is there without us, None where there is nothing."""

    entry: Entry
    data: bytes
    before: bytes | None


@contextmanager
def trusted(
    root: OverlayRoot | PlainRoot, tree: Tree, pem: bytes, gather: Callable[[Iterable[Item]], Loan]
) -> Iterator[OverlayRoot | PlainRoot]:
    """tree: what is in the root so far. pem: the authority's certificate. gather: as in Trees."""
    added = list(_additions(tree, pem))
    if not added:
        yield root
        return
    if isinstance(root, PlainRoot):
        for one in added:
            _write(root.path, one)
        try:
            yield root
        finally:
            _withdraw(root.path, added, pem)
        return
    loan = gather(_items(tree, added))
    assert isinstance(loan.root, PlainRoot)
    try:
        lower = os.path.relpath(loan.root.path, root.base)
        yield msgspec.structs.replace(root, lowers=(lower, *root.lowers))
    finally:
        loan.discard()
        _withdraw(os.path.join(root.base, root.upper), added, pem)


def _additions(tree: Tree, pem: bytes) -> Iterator[_Added]:
    seen = set()
    for name in BUNDLES:
        path, entry = _found(tree, name)
        if entry is None or entry.kind is not Kind.FILE or entry.size > _LIMIT or path in seen:
            continue
        seen.add(path)
        before = b"".join(tree.content(path).chunks())
        data = before + (b"" if before.endswith(b"\n") or not before else b"\n") + pem
        yield _Added(msgspec.structs.replace(entry, size=len(data)), data, before)
    for name in FOLDERS:
        path, entry = _found(tree, name)
        path += b"/" + SUBJECT_HASH.encode() + b".0"
        if entry is not None and entry.kind is Kind.DIR and path not in seen and tree.lookup(path) is None:
            seen.add(path)
            yield _Added(Entry(path=path, kind=Kind.FILE, mode=0o644, mtime=entry.mtime, size=len(pem)), pem, None)


def _found(tree: Tree, name: bytes) -> tuple[bytes, Entry | None]:
    try:
        path = resolve(tree, name)
    except LayerFault:
        return name, None  # links in a circle
    return path, tree.lookup(path)


def _items(tree: Tree, added: list[_Added]) -> Iterator[Item]:
    """The files with their folders, which have to look as they are: the topmost layer's are shown."""
    entries: dict[bytes, Item] = {}
    for one in added:
        parts = one.entry.path.split(b"/")
        for count in range(1, len(parts)):
            path = b"/".join(parts[:count])
            folder = tree.lookup(path)
            assert folder is not None
            entries[path] = folder, None
        entries[one.entry.path] = one.entry, BytesContent(one.data)
    yield from (entries[path] for path in sorted(entries, key=lambda path: path.split(b"/")))


def _write(root: str, one: _Added) -> None:
    """Into a tree that is ours alone, with no trace in any time that is compared."""
    folder, _, name = os.fsdecode(one.entry.path).rpartition("/")
    with _opened(root, folder) as parent:
        if parent is None:
            return
        status = os.fstat(parent)
        flags = os.O_WRONLY | (os.O_CREAT | os.O_EXCL if one.before is None else 0)
        fd = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=parent)
        with open(fd, "wb") as file:
            was = os.fstat(fd)  # before it is cut
            file.truncate()
            file.write(one.data)
            file.flush()
            if one.before is None:
                _set_times(parent, status)
            else:
                _set_times(fd, was)


def _withdraw(root: str, added: list[_Added], pem: bytes) -> None:
    """root: a whole tree, or what a step has written over one. Nothing of the step runs any more."""
    known = {one.entry.path: one for one in added}
    folders = {path.rpartition(b"/")[0] for path in (*BUNDLES, *known)} | set(FOLDERS)
    for folder in sorted(folders):
        with _opened(root, os.fsdecode(folder)) as parent:
            for name in os.listdir(_at(parent)) if parent is not None else ():
                assert parent is not None
                _clean(parent, name, known.get(folder + b"/" + os.fsencode(name)), pem)


def _clean(parent: int, name: str, shown: _Added | None, pem: bytes) -> None:
    """Take the certificate out of a file of a folder; a file that was only ever ours goes, its whiteout too."""
    status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if shown is not None and shown.before is None and stat.S_ISCHR(status.st_mode):
        _unlink(parent, name)
        return
    if not stat.S_ISREG(status.st_mode) or status.st_size > _LIMIT + len(pem) or not status.st_size:
        return
    fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    with open(fd, "r+b") as file:
        data = file.read()
        left = shown.before if shown is not None and data == shown.data else _without(data, pem)
        if left is None or (not left and shown is not None and shown.before is None):
            _unlink(parent, name)
        elif left != data:
            file.seek(0)
            file.truncate()
            file.write(left)
            file.flush()
            _set_times(fd, status)


def _without(data: bytes, pem: bytes) -> bytes:
    """A bundle without one certificate, however it is written."""
    wanted = _der(_CERTIFICATE.search(pem))
    return _CERTIFICATE.sub(lambda found: b"" if _der(found) == wanted else found[0], data)


def _der(found: re.Match[bytes] | None) -> bytes | None:
    try:
        return base64.b64decode(b"".join(found[1].split()), validate=True) if found is not None else None
    except ValueError:
        return None


def _unlink(parent: int, name: str) -> None:
    status = os.fstat(parent)
    os.unlink(name, dir_fd=parent)
    _set_times(parent, status)


def _set_times(fd: int, status: os.stat_result) -> None:
    os.utime(_at(fd), ns=(status.st_atime_ns, status.st_mtime_ns))


def _at(fd: int) -> str:
    return f"/proc/self/fd/{fd}"


@contextmanager
def _opened(root: str, folder: str) -> Iterator[int | None]:
    """A folder beneath a root, no link followed; None where there is none."""
    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = InRoot(top).existing(folder)
    finally:
        os.close(top)
    try:
        yield fd if fd is not None and stat.S_ISDIR(os.fstat(fd).st_mode) else None
    finally:
        if fd is not None:
            os.close(fd)
