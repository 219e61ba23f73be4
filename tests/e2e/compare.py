"""Two images reduced to what a container would see: every file of the flattened layers, and the config."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import zstandard

# Fields of the config that say how a container runs; empty values and absent ones mean the same.
CONFIG_FIELDS = (
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "Healthcheck",
    "OnBuild",
    "Shell",
)
_KINDS = {
    tarfile.DIRTYPE: "folder",
    tarfile.SYMTYPE: "link",
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
    tarfile.FIFOTYPE: "fifo",
}


class File(NamedTuple):
    """links: the other names of the same file. content: sha256 of its bytes, a link's target, or a device's numbers."""

    kind: str
    mode: int
    owner: tuple[int, int]
    content: str
    xattrs: tuple[tuple[str, str], ...] = ()
    links: tuple[str, ...] = ()
    mtime: int = 0


class Flat(NamedTuple):
    """files: by path without a leading slash. config: the `config` object of the image's config, chosen fields."""

    files: dict[str, File]
    config: dict[str, Any]
    document: dict[str, Any]


def flatten(archive: Path) -> Flat:
    """Read what `docker save` or lapstrake wrote (manifest.json form)."""
    with tarfile.open(archive) as tar:
        entry = json.load(_member(tar, "manifest.json"))[0]
        document = json.load(_member(tar, entry["Config"]))
        files: dict[str, File] = {}
        for name in entry["Layers"] or ():
            with tarfile.open(fileobj=_plain(_member(tar, name)), mode="r|") as layer:
                _apply(files, layer)
    files.pop("", None)
    return Flat(_linked(files), _fields(document.get("config") or {}), document)


def layer_names(archive: Path) -> list[list[str]]:
    """The names in each layer's tar, in order."""
    names = []
    with tarfile.open(archive) as tar:
        for name in json.load(_member(tar, "manifest.json"))[0]["Layers"]:
            with tarfile.open(fileobj=_plain(_member(tar, name)), mode="r|") as layer:
                names.append([member.name for member in layer])
    return names


def differences(a: Flat, b: Flat, ignore: tuple[str, ...] = ()) -> list[str]:
    """One line for each file or field that is not the same; times are not looked at."""
    lines = []
    for path in sorted(a.files.keys() | b.files.keys()):
        left, right = a.files.get(path), b.files.get(path)
        if path in ignore:
            continue
        if left is None or right is None or left._replace(mtime=0) != right._replace(mtime=0):
            lines.append(f"{path}: {left} | {right}")
    for field in CONFIG_FIELDS:
        if a.config.get(field) != b.config.get(field):
            lines.append(f"{field}: {a.config.get(field)} | {b.config.get(field)}")
    return lines


def history(flat: Flat) -> list[tuple[str, bool]]:
    """What each entry was made by, and whether it has no layer."""
    return [(e.get("created_by", ""), e.get("empty_layer", False)) for e in flat.document.get("history", [])]


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    found = tar.extractfile(name)
    assert found is not None, name
    return found


def _plain(raw: IO[bytes]) -> IO[bytes]:
    magic = raw.read(4)
    raw.seek(0)
    if magic[:2] == b"\x1f\x8b":
        import gzip

        return gzip.open(raw)  # type: ignore[return-value]
    if magic == b"\x28\xb5\x2f\xfd":
        reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        return io.BufferedReader(reader)  # type: ignore[arg-type]
    return raw


def _apply(files: dict[str, File], layer: tarfile.TarFile) -> None:
    """image-spec layer.md: whiteouts hide what lower layers hold, wherever they stand in the tar."""
    here: dict[str, File] = {}
    for member in layer:
        path = member.name.strip("/").removeprefix("./").rstrip("/")
        path = "" if path == "." else path
        parent, _, name = path.rpartition("/")
        if name == ".wh..wh..opq":
            _remove_below(files, parent)
        elif name.startswith(".wh."):
            gone = f"{parent}/{name[4:]}" if parent else name[4:]
            files.pop(gone, None)
            _remove_below(files, gone)
        else:
            file = _read(layer, member, here, files)
            if file.kind != "folder":
                _remove_below(files, path)
            here[path] = file
    files.update(here)


def _remove_below(files: dict[str, File], path: str) -> None:
    for name in [n for n in files if n.startswith(path + "/" if path else "")]:
        del files[name]


def _read(layer: tarfile.TarFile, member: tarfile.TarInfo, here: dict[str, File], below: dict[str, File]) -> File:
    if member.islnk():
        target = member.linkname.strip("/").removeprefix("./")
        first = here.get(target) or below[target]
        group = first.links or (target,)
        linked = first._replace(links=(*group, member.name.strip("/").removeprefix("./")))
        for name in linked.links:
            if name in here:
                here[name] = linked
        return linked
    xattrs = tuple(
        sorted((k.removeprefix("SCHILY.xattr."), v) for k, v in member.pax_headers.items() if "SCHILY.xattr." in k)
    )
    kind = _KINDS.get(member.type, "file")
    content = ""
    if kind == "file":
        content = _digest(layer, member)
    elif kind == "link":
        content = member.linkname
    elif kind in ("char", "block"):
        content = f"{member.devmajor}:{member.devminor}"
    mode = 0o777 if kind == "link" else member.mode & 0o7777
    return File(kind, mode, (member.uid, member.gid), content, xattrs, mtime=int(member.mtime))


def _digest(layer: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    data = layer.extractfile(member)
    assert data is not None
    return hashlib.file_digest(data, "sha256").hexdigest()  # type: ignore[arg-type]


def _linked(files: dict[str, File]) -> dict[str, File]:
    """Groups of hard links as sorted names, without the ones that a later layer took away."""

    def fixed() -> Iterator[tuple[str, File]]:
        for path, file in files.items():
            links = tuple(sorted(n for n in set(file.links) if n in files and files[n].links))
            yield path, file._replace(links=links if len(links) > 1 else ())

    return dict(fixed())


def _fields(config: dict[str, Any]) -> dict[str, Any]:
    chosen = {name: config[name] for name in CONFIG_FIELDS if config.get(name)}
    if "Env" in chosen:
        chosen["Env"] = sorted(chosen["Env"])
    return chosen
