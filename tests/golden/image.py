"""An image in a `docker save` archive as text that a person can review: its tree as lines, its config as JSON."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

from tests.e2e.compare import _member, _plain

_LONGEST = 120
_KINDS = {tarfile.DIRTYPE: "d", tarfile.SYMTYPE: "l", tarfile.CHRTYPE: "c", tarfile.BLKTYPE: "b", tarfile.FIFOTYPE: "p"}


class Read(NamedTuple):
    """lines: by absolute path, what tree.txt says of it. document: the image's config."""

    lines: dict[str, str]
    document: dict[str, Any]


def read(archive: Path) -> Read:
    with tarfile.open(archive) as tar:
        entry = json.load(_member(tar, "manifest.json"))[0]
        document = json.load(_member(tar, entry["Config"]))
        lines: dict[str, str] = {}
        for name in entry["Layers"] or ():
            with tarfile.open(fileobj=_plain(_member(tar, name)), mode="r|") as layer:
                _apply(lines, layer)
    lines.pop("/", None)
    return Read(lines, document)


def tree_text(image: Read, base: Read, below: list[str]) -> str:
    """What the image has and the base has not, or not so; only at and below the given paths, if any are."""
    chosen = [
        f"{path} {line}"
        for path, line in sorted(image.lines.items())
        if base.lines.get(path) != line and (not below or any(_is_below(path, top) for top in below))
    ]
    return "".join(f"{line}\n" for line in chosen)


def config_text(image: Read, base: Read) -> str:
    """config, author and history; the history of the base is left out."""
    document = image.document
    own = [_entry(entry) for entry in document.get("history") or []]
    inherited = [_entry(entry) for entry in base.document.get("history") or []]
    if own[: len(inherited)] == inherited:
        own = own[len(inherited) :]
    config = {name: value for name, value in (document.get("config") or {}).items() if value not in (None, "", [], {})}
    shown = {"config": config, "history": own, **({"author": document["author"]} if document.get("author") else {})}
    return json.dumps(shown, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: entry[name] for name in ("created_by", "empty_layer") if entry.get(name)}


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip("/") + "/")


def _apply(lines: dict[str, str], layer: tarfile.TarFile) -> None:
    """image-spec layer.md: whiteouts hide what lower layers hold, wherever they stand in the tar."""
    here: dict[str, str] = {}
    for member in layer:
        path = "/" + member.name.removeprefix("./").strip("/")
        parent, _, name = path.rpartition("/")
        if path == "/.":
            continue
        if name == ".wh..wh..opq":
            _remove_below(lines, parent)
        elif name.startswith(".wh."):
            lines.pop(f"{parent}/{name[4:]}", None)
            _remove_below(lines, f"{parent}/{name[4:]}")
        elif member.islnk():
            target = "/" + member.linkname.removeprefix("./").strip("/")
            here[path] = here.get(target) or lines[target]
        else:
            here[path] = _line(layer, member)
            if not member.isdir():
                _remove_below(lines, path)
    lines.update(here)


def _remove_below(lines: dict[str, str], path: str) -> None:
    for name in [n for n in lines if n.startswith(path + "/")]:
        del lines[name]


def _line(layer: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    """`type mode uid:gid -> content`: text up to 120 characters, else size and digest; a link's target; a device."""
    kind = _KINDS.get(member.type, "f")
    mode = 0o777 if kind == "l" else member.mode & 0o7777
    head = f"{kind} {mode:04o} {member.uid}:{member.gid}"
    if kind == "l":
        return f"{head} -> {member.linkname}"
    if kind in "cb":
        return f"{head} -> {member.devmajor}:{member.devminor}"
    return f"{head} -> {_content(layer, member)}" if kind == "f" else head


def _content(layer: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = layer.extractfile(member)
    assert file is not None
    data = file.read()
    text = data.decode("utf-8", "replace")
    if len(text) <= _LONGEST and "\ufffd" not in text and "\0" not in text:
        return json.dumps(text, ensure_ascii=False)
    return f"{len(data)} bytes sha256:{hashlib.sha256(data).hexdigest()}"
