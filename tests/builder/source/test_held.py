from __future__ import annotations

from builder.source.held import Held


def test_no_more_is_held_than_there_is_room_for() -> None:
    held = Held(room=100)
    for name, size in {b"a": 40, b"b": 40, b"c": 40, b"d": 20, b"e": 1, b"f": 0}.items():
        held.hold(name, b"x" * size)
    assert [name for name in (b"a", b"b", b"c", b"d", b"e", b"f") if held.let_go(name) is not None] == [
        b"a",
        b"b",
        b"d",
        b"f",
    ]
    held.hold(b"c", b"x" * 100)  # all room is free again
    assert held.let_go(b"c") == b"x" * 100
    assert held.let_go(b"c") is None


def test_large_files_are_not_held() -> None:
    held = Held()
    held.hold(b"small", bytes(16 << 10))
    held.hold(b"large", bytes((16 << 10) + 1))
    assert held.let_go(b"small") is not None
    assert held.let_go(b"large") is None
