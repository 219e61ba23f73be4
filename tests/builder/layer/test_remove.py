from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.layer.remove import remove


def _remove(folder: Path, name: bytes) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        remove(fd, name)
    finally:
        os.close(fd)


def test_files_links_and_trees(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "f").write_text("")
    (tmp_path / "tree" / "a" / "b").mkdir(parents=True)
    (tmp_path / "tree" / "a" / "f").write_text("")
    (tmp_path / "tree" / "link").symlink_to("../kept")
    (tmp_path / "link").symlink_to("kept")
    (tmp_path / "file").write_text("")
    for name in (b"tree", b"link", b"file"):
        _remove(tmp_path, name)
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")] == ["kept", "kept/f"]
    with pytest.raises(FileNotFoundError):
        _remove(tmp_path, b"file")


def test_a_tree_deeper_than_python_may_recurse(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1300):
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    _remove(tmp_path, b"d")
    assert os.listdir(tmp_path) == []
