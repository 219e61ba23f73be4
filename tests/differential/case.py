"""Case: one build that both builders are given, as plain values: it can be kept, shortened and laid out again."""

from __future__ import annotations

import base64
import os
import shutil
import socket
from pathlib import Path

import msgspec

# Stands for a number of its own for each try, so that no cache mount holds what an earlier try left.
UNIQUE = "@unique@"


class Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A member of a context. kind: file, folder, link, hard, fifo or socket.

    path: UTF-8 without a leading slash. data: base64 of a file's bytes. target: of a link, or the path of the other name.
    """

    path: str
    kind: str = "file"
    mode: int = 0o644
    data: str = ""
    target: str = ""
    date: int = 1_200_000_000
    xattrs: dict[str, str] = {}


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """lines: instructions, heredocs and comments included, each with all its lines; joined by line ends they are the Dockerfile.

    contexts: by name, the first one ("") is the context of the build. args: groups of words that belong together.
    """

    seed: int
    lines: list[str]
    contexts: dict[str, list[Node]]
    args: list[list[str]] = []
    env: dict[str, str] = {}
    ending: str = "\n"


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def text(case: Case) -> str:
    return case.ending.join(case.lines) + case.ending


def lay_out(case: Case, folder: Path, unique: str) -> Path:
    """Write Dockerfile and contexts beneath an empty folder."""
    for name, nodes in case.contexts.items():
        _write(folder / place(name, unique), nodes)
    raw = text(case).replace(UNIQUE, unique).encode("utf-8", "surrogateescape")
    (folder / "Dockerfile").write_bytes(raw)
    return folder


def place(name: str, unique: str) -> str:
    """A context's folder. BuildKit takes a file of an equal name, size and date in a folder of that name for the same."""
    return f"c{unique}{name}"


def words(case: Case, unique: str) -> list[str]:
    """The command line after `build`, to be run in the folder; the context is the last word."""
    named = [f"--build-context={name}={place(name, unique)}" for name in case.contexts if name]
    return ["-f", "Dockerfile", *named, *(word for group in case.args for word in group), place("", unique)]


def _write(top: Path, nodes: list[Node]) -> None:
    shutil.rmtree(top, ignore_errors=True)
    top.mkdir(parents=True)
    for node in nodes:
        path = top / node.path
        if os.path.lexists(path) or not _open(path.parent, top):
            continue
        if node.kind == "folder":
            path.mkdir()
        elif node.kind == "link":
            path.symlink_to(node.target)
        elif node.kind == "hard":
            if not (top / node.target).is_file() or (top / node.target).is_symlink():
                continue
            os.link(top / node.target, path)
        elif node.kind == "fifo":
            os.mkfifo(path)
        elif node.kind == "socket":
            _socket(path)
        else:
            path.write_bytes(base64.b64decode(node.data))
        for name, value in node.xattrs.items():
            os.setxattr(path, name, value.encode())
    for node in reversed(nodes):
        path = top / node.path
        if not os.path.lexists(path):
            continue
        if node.kind not in ("link", "hard"):
            path.chmod(node.mode)
        os.utime(path, (node.date, node.date), follow_symlinks=False)
    top.chmod(0o755)
    os.utime(top, (1_200_000_000, 1_200_000_000))


def _open(folder: Path, top: Path) -> bool:
    """Make the folders on the way, of which none may be anything else."""
    for step in [*reversed(folder.relative_to(top).parents), folder.relative_to(top)]:
        at = top / step
        if at.is_symlink() or (os.path.lexists(at) and not at.is_dir()):
            return False
        if not at.exists():
            at.mkdir()
            at.chmod(0o755)
            os.utime(at, (1_200_000_000, 1_200_000_000))
    return True


def _socket(path: Path) -> None:
    here = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(f"/proc/self/fd/{here}/{path.name}")
    finally:
        os.close(here)
