"""Owners by name: `user[:group]` looked up in a tree's own /etc/passwd and /etc/group, never in the host's."""

from __future__ import annotations

from builder.errors import SourceFault
from builder.layer.entry import Kind
from builder.layer.tree import Tree, resolve

_FILE_LIMIT = 1 << 20  # bytes read of a passwd or group file
_ID_LIMIT = 2**32 - 2


def owner(tree: Tree, text: str, *, default_group_is_id: bool) -> tuple[int, int]:
    """(uid, gid) of `user[:group]`, numbers or names. "" is 0:0.

    default_group_is_id: what a number alone means: --chown takes it as the group too, USER takes the group of the
    passwd line, or 0. Raises SourceFault for a name that is not there.
    """
    if not text:
        return 0, 0
    user, colon, group = text.partition(":")
    uid, gid = _user(tree, user or "0", default_group_is_id)
    return uid, _group(tree, group) if colon and group else gid


def _user(tree: Tree, user: str, default_group_is_id: bool) -> tuple[int, int]:
    number = _number(user)
    if number is not None and default_group_is_id:
        return number, number
    for fields in _lines(tree, b"etc/passwd", 4):
        uid, gid = _number(fields[2]), _number(fields[3])
        if uid is not None and gid is not None and (fields[0] == user or uid == number):
            return uid, gid
    if number is not None:
        return number, 0
    raise SourceFault(f"unable to find user {user}: no matching entries in passwd file")


def _group(tree: Tree, group: str) -> int:
    number = _number(group)
    if number is not None:
        return number
    for fields in _lines(tree, b"etc/group", 3):
        gid = _number(fields[2])
        if gid is not None and fields[0] == group:
            return gid
    raise SourceFault(f"unable to find group {group}: no matching entries in group file")


def _number(text: str) -> int | None:
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
