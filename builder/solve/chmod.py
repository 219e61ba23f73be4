"""The --chmod value: octal, or the symbolic form of chmod(1) with umask 0; `=` and special bits as in dchapes-mode."""

from __future__ import annotations

import re
from collections.abc import Callable

from builder.errors import SourceFault

_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)\Z")
_ACTION = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_SHIFT = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 4, "w": 2, "x": 1}

ModeChange = Callable[[int, bool], int]
"""(mode, is a folder) -> new mode"""


def octal(text: str) -> int | None:
    """The mode of an octal value, None for a symbolic one."""
    return int(text, 8) if re.fullmatch(r"[0-7]{1,5}", text) and int(text, 8) <= 0o7777 else None


def mode_change(text: str) -> ModeChange:
    """Read a --chmod value; raises SourceFault in BuildKit's words."""
    if not text:
        return lambda mode, is_dir: mode
    fixed = octal(text)
    if fixed is not None:
        return lambda mode, is_dir: fixed
    clauses = []
    for part in text.split(","):
        match = _CLAUSE.match(part)
        if match is None:
            raise SourceFault(
                f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777",
                "or symbolic, as in u=rwX,go=rX",
            )
        clauses.append((match[1] or "a", _ACTION.findall(match[2])))

    def change(mode: int, is_dir: bool) -> int:
        for who, actions in clauses:
            for sign, what in actions:
                mode = _apply(mode, is_dir, who.replace("a", "ugo"), sign, what)
        return mode

    return change


def _apply(mode: int, is_dir: bool, who: str, sign: str, what: str) -> int:
    special, permissions = _special(who, what), _permissions(mode, is_dir, what)
    mask = special
    for one in set(who):
        mask |= permissions << _SHIFT[one]
    if sign == "+":
        return mode | mask
    if sign == "-":
        return mode & ~mask
    clear = 0
    for one in set(who):
        clear |= 7 << _SHIFT[one]
        if what not in _SHIFT:  # a copy of permissions leaves the other bits alone
            clear |= {"u": 0o4000, "g": 0o2000}.get(one, 0)
    return mode & ~clear | mask


def _permissions(mode: int, is_dir: bool, what: str) -> int:
    if what in _SHIFT:
        return mode >> _SHIFT[what] & 7
    bits = 0
    for letter in what:
        bits |= _BITS.get(letter, 0)
    if "X" in what and (is_dir or mode & 0o111):
        bits |= 1
    return bits


def _special(who: str, what: str) -> int:
    bits = 0
    if what not in _SHIFT:
        if "s" in what:
            bits |= (0o4000 if "u" in who else 0) | (0o2000 if "g" in who else 0)
        if "t" in what:
            bits |= 0o1000
    return bits
