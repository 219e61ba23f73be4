from __future__ import annotations

from pathlib import Path

import pytest

from builder.source.gitcheckout import absolute, inner
from cache.errors import Fault


@pytest.mark.parametrize(
    ("url", "remote", "wanted"),
    [
        ("https://h/x.git", "https://h/o/r.git", "https://h/x.git"),
        ("../x.git", "https://h/o/r.git", "https://h/o/x.git"),
        ("./x.git", "https://h/o/r.git", "https://h/o/r.git/x.git"),
        ("../../y/x.git", "git@h:o/r.git", "git@h:y/x.git"),
    ],
)
def test_relative_submodule(url: str, remote: str, wanted: str) -> None:
    assert absolute(url, remote) == wanted


def test_a_relative_submodule_cannot_leave_its_host() -> None:
    with pytest.raises(Fault, match="cannot strip"):
        absolute("../../../x", "git@h:o/r.git")


def test_a_folder_is_reached_through_folders_alone(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to("/")
    assert inner(str(tmp_path), "a/b", "r") == str(tmp_path / "a" / "b")
    for path in ("link", "link/etc", "a/../..", "none"):
        with pytest.raises(Fault, match="invalid subdir"):
            inner(str(tmp_path), path, "r")
