from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.trace.changes import Change, Summary, changes, summed_up
from builder.trace.listing import Member, order, read, write
from cache.errors import CacheFault


def file(path: str, content: str = "", mode: int = 0o644) -> Member:
    return Member(path.encode(), "file", mode, content.encode())


def folder(path: str, mode: int = 0o755) -> Member:
    return Member(path.encode(), "dir", mode)


def test_what_is_written_is_read_in_blocks(tmp_path: Path) -> None:
    members = [file(f"{n:05}", str(n)) for n in range(2500)] + [Member(b"\xff", "symlink", 0o777, b"", b"to", b"x")]
    write(str(tmp_path / "list"), members, str(tmp_path / "tmp-"))
    assert list(read(str(tmp_path / "list"))) == members
    assert os.listdir(tmp_path) == ["list"]
    assert (tmp_path / "list").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", ["gone", "empty", "header", "cut", "flipped", "length"])
def test_what_cannot_be_read_is_a_fault(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "list"
    write(str(path), [file(f"{n:05}", os.urandom(16).hex()) for n in range(1500)], str(tmp_path / "tmp-"))
    data = path.read_bytes()
    changed = {
        "empty": b"",
        "header": b"X" + data[1:],
        "cut": data[:-2000],
        "flipped": data[:3000] + bytes([data[3000] ^ 255]) + data[3001:],
        "length": data[:20] + __import__("zlib").compress(b"\xff\xff\xff\xff"),
    }.get(damage)
    if changed is None:
        path.unlink()
    else:
        path.write_bytes(changed)
    with pytest.raises(CacheFault):
        list(read(str(path)))


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ([file("a", "1")], [file("a", "2")], [Change(b"a", "changed (content)")]),
        ([file("a")], [file("a", mode=0o755)], [Change(b"a", "changed (mode 0644 -> 0755)")]),
        ([file("a")], [], [Change(b"a", "removed")]),
        ([], [file("a")], [Change(b"a", "added")]),
        ([file("a")], [folder("a")], [Change(b"a", "changed (file -> dir)", True)]),
        (
            [Member(b"a", "symlink", 0o777, link=b"x")],
            [Member(b"a", "symlink", 0o777, link=b"y\xff")],
            [Change(b"a", "changed (link x -> y\\xff)")],
        ),
        ([Member(b"a", "file", 0o644, other=b"1")], [file("a")], [Change(b"a", "changed (attributes)")]),
        # `a-b` comes after all that is in `a`, as trees are walked
        ([folder("a"), file("a/z"), file("a-b")], [folder("a"), file("a-b")], [Change(b"a/z", "removed")]),
    ],
)
def test_differences(old: list[Member], new: list[Member], found: list[Change]) -> None:
    assert list(changes(old, new)) == found


def test_a_file_is_named_rather_than_the_folder_it_came_with() -> None:
    found = changes([file("x")], [folder("a"), file("a/b"), file("a/c"), file("x")])
    assert summed_up(found) == Summary(Change(b"a/b", "added"), 2)
    assert summed_up(changes([folder("a")], [])) == Summary(Change(b"a", "removed", True), 1)
    assert summed_up(changes([file("x")], [file("x")])) == Summary(None, 0)


names = st.dictionaries(st.from_regex(rb"[a-c/-]{1,4}", fullmatch=True), st.binary(max_size=1), max_size=8)


@given(names, names)
def test_changes_are_those_of_plain_dictionaries(old: dict[bytes, bytes], new: dict[bytes, bytes]) -> None:
    def members(files: dict[bytes, bytes]) -> list[Member]:
        return [Member(path, "file", 0o644, files[path]) for path in sorted(files, key=order)]

    found = {change.path: change.what for change in changes(members(old), members(new))}
    wanted = dict.fromkeys(new.keys() - old.keys(), "added") | dict.fromkeys(old.keys() - new.keys(), "removed")
    wanted |= {path: "changed (content)" for path in old.keys() & new.keys() if old[path] != new[path]}
    assert found == wanted
