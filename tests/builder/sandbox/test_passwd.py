from __future__ import annotations

from pathlib import Path

import pytest

from builder.sandbox.passwd import UnknownUser, find_user


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", (0, 0, [0])),
        ("web", (7, 8, [8, 20, 30])),
        ("web:disk", (7, 20, [20])),
        ("web:99", (7, 99, [99])),
        ("7:30", (7, 30, [30])),
        ("5", (5, 0, [0])),
        ("5:6", (5, 6, [6])),
    ],
)
def test_a_named_group_is_the_only_one(tmp_path: Path, text: str, ids: tuple[int, int, list[int]]) -> None:
    passwd, group = tmp_path / "passwd", tmp_path / "group"
    passwd.write_text("root:x:0:0:root:/root:/bin/sh\nweb:x:7:8::/home/web:/bin/sh\n")
    group.write_text("root:x:0:\nweb:x:8:\ndisk:x:20:web,root2\naudio:x:30:other,web\n")
    user = find_user(text, str(passwd), str(group))
    assert (user.uid, user.gid, user.groups) == ids


def test_root_with_a_group_needs_no_files(tmp_path: Path) -> None:
    for text, gid in (("root:root", 0), ("root:5", 5)):
        user = find_user(text, str(tmp_path / "none"), str(tmp_path / "none"))
        assert (user.uid, user.gid) == (0, gid)


@pytest.mark.parametrize("text", ["none", "web:none"])
def test_who_is_not_there_is_refused(tmp_path: Path, text: str) -> None:
    passwd, group = tmp_path / "passwd", tmp_path / "group"
    passwd.write_text("web:x:7:8::/:/bin/sh\n")
    group.write_text("web:x:8:\n")
    with pytest.raises(UnknownUser, match="no matching entries"):
        find_user(text, str(passwd), str(group))
