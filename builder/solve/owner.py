"""Owners by name: `user[:group]` looked up in a tree's own /etc/passwd and /etc/group, never in the host's."""

from __future__ import annotations

from collections.abc import Callable

from builder.errors import SourceFault
from builder.layer.entry import Kind
from builder.layer.tree import Tree, resolve

_FILE_LIMIT = 1 << 20  # bytes read of a passwd or group file
_ID_LIMIT = 2**32 - 2


def owner(tree: Tree, text: str, unknown: Callable[[str], None]) -> tuple[int, int]:
    """(uid, gid) of `user[:group]`, numbers or names, as BuildKit's file operations read it (ops/user_linux.go).

    "" is 0, and so is `root`, whatever the tree's files say of it. A number alone is the group too. A name that is not
    there is 0, for a group that of the user, and unknown is told of it.
    """
    if not text:
        return 0, 0
    user, colon, group = text.partition(":")
    uid, gid = _user(tree, user, unknown)
    return uid, _group(tree, group, gid, unknown) if colon else gid


def _user(tree: Tree, user: str, unknown: Callable[[str], None]) -> tuple[int, int]:
    number = _number(user)
    if number is not None:
        return number, number
    for fields in _lines(tree, b"etc/passwd", 4):
        ids = _number(fields[2]), _number(fields[3])
        if fields[0] == user and ids[0] is not None and ids[1] is not None:
            return ids[0], ids[1]
    unknown(f"unable to find user {user}: no matching entries in passwd file, 0 is taken")
    return 0, 0


def _group(tree: Tree, group: str, default: int, unknown: Callable[[str], None]) -> int:
    number = _number(group)
    if number is not None:
        return number
    for fields in _lines(tree, b"etc/group", 3):
        gid = _number(fields[2])
        if gid is not None and fields[0] == group:
            return gid
    unknown(f"unable to find group {group}: no matching entries in group file, {default} is taken")
    return default


def _number(text: str) -> int | None:
    if text in ("", "root"):
        return 0
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _ID_LIMIT else None


def _lines(tree: Tree, path: bytes, least: int) -> list[list[str]]:
    real = resolve(tree, path)
    entry = tree.lookup(real)
    if entry is None or entry.kind not in (Kind.FILE, Kind.HARDLINK):
        return []
    if entry.size > _FILE_LIMIT:
        raise SourceFault(f"/{path.decode()} has {entry.size} bytes, more than the {_FILE_LIMIT} that are read")
    text = b"".join(tree.content(real).chunks())[:_FILE_LIMIT].decode(errors="surrogateescape")
    return [fields for line in text.split("\n") if len(fields := line.split(":")) >= least]
