"""Random contexts: folders, files, links and archives, with names that are hard to write down; and ignore files."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from random import Random

import zstandard

from tests.differential.case import Node, encoded

PLAIN = ["a", "b", "c.txt", "d", "e", "f.md", "A", ".hid", "lib", "node_modules"]
HARD = ["x y", "ü", "*", "?", "[ab]", "new\nline", "-dash", "--flag", "$A", "#h", "..dots", "~", "a\\b", "'q'", '"q"', "%41", "a b c", "]", "^", "a,b", "k=v", "ſ"]  # fmt: skip
MODES = [0o644, 0o644, 0o644, 0o600, 0o755, 0o664, 0o400, 0o4755, 0o2755, 0o1644, 0o777, 0o6711, 0o000]
FOLDER_MODES = [0o755, 0o755, 0o755, 0o700, 0o775, 0o1777, 0o2755, 0o555, 0o711]
ARCHIVES = ["t.tar", "t.tar.gz", "t.tgz", "t.tar.bz2", "t.tar.xz", "t.tar.zst", "t", "t.zip"]


def nodes(r: Random) -> list[Node]:
    found: list[Node] = []
    _folder(r, found, "", 0)
    if r.random() < 0.3:
        found.append(archive(r))
    return found


def _name(r: Random) -> str:
    return r.choice(HARD) if r.random() < 0.25 else r.choice(PLAIN)


def _folder(r: Random, found: list[Node], at: str, depth: int) -> None:
    for _ in range(r.randint(1 if depth else 2, 4)):
        path = at + _name(r)
        if any(node.path == path for node in found):
            continue
        kind = r.choices(
            ["file", "folder", "link", "hard", "fifo", "socket"], [50, 25 if depth < 3 else 0, 15, 7, 1, 1]
        )[0]
        if kind == "folder":
            found.append(Node(path, kind, r.choice(FOLDER_MODES), date=_date(r), xattrs=_xattrs(r)))
            if r.random() < 0.85:
                _folder(r, found, f"{path}/", depth + 1)
        elif kind == "link":
            found.append(Node(path, kind, target=_target(r, found, depth), date=_date(r)))
        elif kind == "hard":
            files = [node.path for node in found if node.kind == "file"]
            if files:
                found.append(Node(path, kind, target=r.choice(files), date=_date(r)))
        else:
            data = encoded(_data(r)) if kind == "file" else ""
            found.append(
                Node(path, kind, r.choice(MODES), data, date=_date(r), xattrs=_xattrs(r) if kind == "file" else {})
            )


def _date(r: Random) -> int:
    return r.choice([1_200_000_000, 1_250_000_000, 1_299_999_999])


def _xattrs(r: Random) -> dict[str, str]:
    return {r.choice(["user.a", "user.b.c", "user.mime"]): r.choice(["1", "v w"])} if r.random() < 0.06 else {}


def _data(r: Random) -> bytes:
    return r.choice([b"", b"1\n", b"two\nlines\n", b"#!/bin/sh\necho hi\n", b"\0\1\2\xff", b"x" * 5000, b"crlf\r\n", b"no end", r.randbytes(3)])  # fmt: skip


def _target(r: Random, found: list[Node], depth: int) -> str:
    known = [node.path for node in found]
    up = "../" * depth
    other = r.choice(known) if known else "a"
    return r.choice([up + other, up + other, other, f"/{other}", "nowhere", "/etc/passwd", "..", ".", "../../../../etc", "/", other + "/", _name(r), "self", "/proc/self/root"])  # fmt: skip


def archive(r: Random) -> Node:
    """An archive of any compression under any name, sometimes cut short or with no tar in it."""
    raw = _tar(r) if r.random() < 0.92 else r.choice([b"plain text\n", b"", b"\0" * 1024, b"PK\3\4rest"])
    way = r.choice(["none", "gzip", "bz2", "xz", "zstd"])
    data = _compressed(raw, way)
    if r.random() < 0.05:
        data = data[: len(data) // 2]
    if r.random() < 0.05:
        data += r.choice([b"\0" * 512, b"junk"])
    return Node(r.choice(ARCHIVES), "file", 0o644, encoded(data), date=_date(r))


def _compressed(raw: bytes, way: str) -> bytes:
    if way == "gzip":
        return gzip.compress(raw, mtime=0)
    if way == "bz2":
        return bz2.compress(raw)
    if way == "xz":
        return lzma.compress(raw)
    return zstandard.ZstdCompressor().compress(raw) if way == "zstd" else raw


def _tar(r: Random) -> bytes:
    out = io.BytesIO()
    form = r.choice([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        names: list[str] = []
        for _ in range(r.randint(0, 6)):
            parent = r.choice(["", "", "p/", "p/q/", "w/", "./", "a/"])
            member = tarfile.TarInfo(parent + r.choice(["x", "y", "z", "a", "x y", "ü", "l"]))
            member.mode, member.uid, member.gid = r.choice(MODES), r.choice([0, 7, 1000]), r.choice([0, 8, 1000])
            member.mtime = r.choice([1_000_000_000, 1_000_000_001, 0])
            content = b""
            kind = r.choices(["file", "folder", "link", "hard", "fifo", "char"], [10, 6, 4, 3 if names else 0, 1, 1])[0]
            if kind == "file":
                content = _data(r)
                member.size = len(content)
                names.append(member.name)
            else:
                member.type = {"folder": b"5", "link": b"2", "hard": b"1", "fifo": b"6", "char": b"3"}[kind]
                if kind == "link":
                    member.linkname = r.choice(["x", "y", "../a", "/tmp", "p", "/w", "."])
                if kind == "hard":
                    first = r.choice([known for known in tar.getmembers() if known.isreg()])
                    member.linkname, member.mode, member.uid = first.name, first.mode, first.uid
                    member.gid, member.mtime = first.gid, first.mtime
                if kind == "char":
                    member.devmajor, member.devminor = 1, 3
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def ignore(r: Random, paths: list[str]) -> str:
    lines = []
    for _ in range(r.randint(1, 5)):
        path = r.choice(paths) if paths and r.random() < 0.7 else _name(r)
        steps = path.split("/")
        line = r.choice(
            [path, f"/{path}", f"{path}/", f"**/{steps[-1]}", "*", f"{steps[0]}/*", f"{steps[0]}/**", "**", "# c", "", f"  {path}  ", f"./{path}",
             "*.txt", "?", "[a-c]*", f"{steps[0]}/../{steps[0]}", f"*/{steps[-1]}", "[!a]", "[^b]", ".", "/", "a\\*", "**/*.md", "d/**/e", "!"][: 23 + (r.random() < 0.03)]
        )  # fmt: skip
        lines.append(f"!{line}" if r.random() < 0.3 and line != "!" else line)
    return r.choice(["\n", "\n", "\r\n"]).join(lines) + r.choice(["", "\n"])
