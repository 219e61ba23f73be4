from __future__ import annotations

import pytest

from builder.layer.entry import Entry, Kind
from builder.source.owners import Owners

FILE, DIR, LINK, FIFO, CHAR = Kind.FILE, Kind.DIR, Kind.HARDLINK, Kind.FIFO, Kind.CHAR


def told(*members: tuple[str, Kind, int, str]) -> dict[bytes, int]:
    """Who has what after members of name, kind, uid (the gid is one more) and what it is a link to."""
    owners = Owners()
    for name, kind, uid, link in members:
        entry = Entry(path=name.encode(), kind=kind, uid=uid, gid=uid and uid + 1, link=link.encode())
        owners.tell(entry)
    found = owners.by_path()
    assert all(gid == uid + 1 for uid, gid in found.values())
    return {path: uid for path, (uid, _) in found.items()}


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ([("a", FILE, 0, ""), ("d", DIR, 5, ""), ("d/f", FIFO, 6, "")], {b"d": 5, b"d/f": 6}),
        ([("a", FILE, 5, ""), ("a", FILE, 6, "")], {b"a": 6}),
        ([("a", FILE, 5, ""), ("a", FILE, 0, "")], {}),
        # As on disk: the names of a file have one owner, until one of them is written anew.
        ([("a", FILE, 5, ""), ("b", LINK, 6, "a"), ("c", LINK, 7, "a")], {b"a": 7, b"b": 7, b"c": 7}),
        ([("a", FILE, 0, ""), ("b", LINK, 0, "a"), ("c", LINK, 7, "b")], {b"a": 7, b"b": 7, b"c": 7}),
        ([("a", FILE, 5, ""), ("b", LINK, 0, "a")], {}),
        (
            [("a", FILE, 5, ""), ("b", LINK, 5, "a"), ("a", FILE, 8, ""), ("c", LINK, 9, "b")],
            {b"a": 8, b"b": 9, b"c": 9},
        ),
        # What is gone has left nothing to the folder that is made there once more, without being a member.
        ([("d/s", DIR, 5, ""), ("d", FILE, 6, ""), ("d", DIR, 7, ""), ("d/s/x", FILE, 8, "")], {b"d": 7, b"d/s/x": 8}),
        ([("d", DIR, 5, ""), ("d/s", FILE, 6, ""), ("d", DIR, 7, "")], {b"d": 7, b"d/s": 6}),
        ([("d/s/t", FILE, 5, ""), ("d2", FILE, 5, ""), ("d", FILE, 0, "")], {b"d2": 5}),
        ([("a", FILE, 5, ""), ("a", CHAR, 6, ""), ("b", CHAR, 6, "")], {b"a": 5}),
    ],
)
def test_whose_a_member_is(members: list[tuple[str, Kind, int, str]], found: dict[bytes, int]) -> None:
    assert told(*members) == found
