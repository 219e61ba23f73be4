"""Case: a folder of tests/golden, read; and its files laid out as a build context."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import msgspec
import zstandard

FOLDER = Path(__file__).resolve().parent
DEFINITION, TREE, CONFIG = "case.toml", "tree.txt", "config.json"
_DATE = 946684800  # 2000-01-01, of all that an archive holds


class Image(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An image that is built before, under a tag, for a FROM of the case."""

    file: str
    tag: str
    args: list[str] = []


class Again(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One more build on the same store: edits of the context, and what each step then is.

    write: name -> text; chmod: name -> octal mode; touch, remove: names. cached, ran: the steps as progress shows them.
    """

    write: dict[str, str] = {}
    chmod: dict[str, str] = {}
    touch: list[str] = []
    remove: list[str] = []
    args: list[str] = []
    cached: list[str] = []
    ran: list[str] = []


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What CONTRIBUTING.md says of case.toml. tree.txt and config.json beside it are compared where they are there."""

    why: str
    args: list[str] = []
    env: dict[str, str] = {}
    status: int = 0
    error: list[str] = []
    output: list[str] = []
    warnings: list[str] = []
    engine: str = "same"
    below: list[str] = []
    gone: list[str] = []
    first: list[Image] = []
    again: list[Again] = []
    modes: dict[str, str] = {}
    folders: list[str] = []
    hardlinks: dict[str, str] = {}
    fifos: list[str] = []
    sockets: list[str] = []
    archives: dict[str, str] = {}


def names() -> list[str]:
    return sorted(path.parent.name for path in FOLDER.glob(f"*/{DEFINITION}"))


def read(name: str) -> Case:
    return msgspec.toml.decode((FOLDER / name / DEFINITION).read_bytes(), type=Case)


def lay_out(name: str, case: Case, folder: Path) -> Path:
    """The case's files with modes that do not depend on the umask, and what no git repository can hold."""
    ours = {DEFINITION, TREE, CONFIG}
    shutil.copytree(FOLDER / name, folder, symlinks=True, ignore=lambda d, n: ours & set(n) if d.endswith(name) else ())
    for archive, source in case.archives.items():
        (folder / archive).write_bytes(packed(folder / source, archive))
        shutil.rmtree(folder / source)
    for made in case.folders:
        (folder / made).mkdir(parents=True)
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or (os.access(path, os.X_OK) and path.stat().st_mode & 0o111) else 0o644)
    for path_name, target in case.hardlinks.items():
        os.link(folder / target, folder / path_name)
    for fifo in case.fifos:
        os.mkfifo(folder / fifo)
        (folder / fifo).chmod(0o644)
    for name in case.sockets:
        _bind(folder / name)
    for path_name, mode in case.modes.items():
        (folder / path_name).chmod(int(mode, 8))
    return folder


def _bind(path: Path) -> None:
    here = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{here}/{path.name}")  # the name of a socket is short, a folder's may be long
    os.close(here)
    path.chmod(0o644)


def edit(folder: Path, step: Again) -> None:
    for name, text in step.write.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o644)
    for name in step.touch:
        os.utime(folder / name, (_DATE, _DATE))
    for name, mode in step.chmod.items():
        (folder / name).chmod(int(mode, 8))
    for name in step.remove:
        (folder / name).unlink()


def packed(folder: Path, name: str) -> bytes:
    """A tar of the folder's content, compressed as the archive's name says; files belong to 7:8."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(folder.rglob("*")):
            tar.add(path, path.relative_to(folder).as_posix(), recursive=False, filter=_plain)
    return _compressed(raw.getvalue(), name)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid, member.gid, member.uname, member.gname, member.mtime = 7, 8, "", "", _DATE
    member.mode = 0o750 if member.isdir() else 0o640
    return member


def _compressed(data: bytes, name: str) -> bytes:
    if name.endswith(".zst"):
        return zstandard.ZstdCompressor().compress(data)
    for ending, module in ((".gz", "gzip"), (".bz2", "bz2"), (".xz", "lzma")):
        if name.endswith(ending):
            compress: Any = __import__(module).compress
            return bytes(compress(data))
    return data


def owned(folder: Path) -> None:
    """Nothing of the case is left read-only for the clean-up."""
    subprocess.run(["chmod", "-R", "u+rwX", str(folder)], check=False)
