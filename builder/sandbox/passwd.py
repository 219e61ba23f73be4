"""Users by a root's own /etc/passwd and /etc/group, read with a bound and by no library. Standard library only."""

from __future__ import annotations

import os

_LIMIT = 1 << 20
_ID_LIMIT = 2**32 - 2


class UnknownUser(Exception):
    """The user or group is not there; the text is that of container runtimes."""


class User:
    """uid, gid, groups: to run as. home: from the passwd line, "/" without one."""

    def __init__(self, uid: int, gid: int, groups: list[int], home: str) -> None:
        self.uid, self.gid, self.groups, self.home = uid, gid, groups, home


def find_user(text: str, passwd: str = "/etc/passwd", group: str = "/etc/group") -> User:  # noqa: S107
    """USER's text to ids: a name or number, with or without `:group`; "" is root. Raises UnknownUser.

    The group is always among the groups. `root:group` needs no passwd file, nor does the group root need its own one.
    Without one: the passwd line's gid and all groups that list the name; a number without a line has gid 0.
    """
    name, _, group_text = text.partition(":")
    name = "0" if not name or (name == "root" and group_text) else name
    number = _number(name)
    uid, gid, home, login = number if number is not None else -1, 0, "/", ""
    for fields in _lines(passwd, 6):
        ids = _number(fields[2]), _number(fields[3])
        if ids[0] is not None and ids[1] is not None and (fields[0] == name or ids[0] == number):
            uid, gid, home, login = ids[0], ids[1], fields[5] or "/", fields[0]
            break
    if uid < 0:
        raise UnknownUser(f"unable to find user {name}: no matching entries in passwd file")
    if group_text:
        gid = _group(group_text, group)
        return User(uid, gid, [gid], home)
    groups = [g for fields in _lines(group, 4) if login and login in fields[3].split(",") if (g := _number(fields[2]))]
    return User(uid, gid, sorted({gid, *groups}), home)


def _group(text: str, path: str) -> int:
    number = 0 if text == "root" else _number(text)
    for fields in _lines(path, 3):
        gid = _number(fields[2])
        if gid is not None and (fields[0] == text or gid == number):
            return gid
    if number is not None:
        return number
    raise UnknownUser(f"unable to find group {text}: no matching entries in group file")


def _number(text: str) -> int | None:
    if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _ID_LIMIT:
        return int(text)
    return None


def _lines(path: str, least: int) -> list[list[str]]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        data = os.read(fd, _LIMIT)
    except OSError:
        return []
    finally:
        os.close(fd)
    rows = [line.split(":") for line in data.decode("utf-8", "surrogateescape").split("\n")]
    return [fields for fields in rows if len(fields) >= least]
