from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.errors import LayerFault
from builder.layer.rootfs import resolve


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "usr" / "lib").mkdir(parents=True)
    (root / "usr" / "lib" / "x").write_text("x")
    (root / "lib").symlink_to("usr/lib")
    (root / "abs").symlink_to("/usr/lib")
    (root / "up").symlink_to("../../../../usr")
    (root / "out").symlink_to("../secret")
    (root / "loop").symlink_to("loop")
    (root / "usr" / "back").symlink_to("../lib/x")
    (tmp_path / "secret").write_text("s")
    return root


def _at(root: Path, path: bytes, follow: bool = True) -> tuple[str, bytes]:
    fd = os.open(root, os.O_RDONLY)
    try:
        parent, name = resolve(fd, path, follow)
    finally:
        os.close(fd)
    try:
        return os.path.relpath(os.readlink(f"/proc/self/fd/{parent}"), root), name
    finally:
        os.close(parent)


@pytest.mark.parametrize(
    ("path", "parent", "name"),
    [
        (b"", ".", b"."),
        (b"/", ".", b"."),
        (b"..", ".", b"."),
        (b"lib/x", "usr/lib", b"x"),
        (b"/abs/x", "usr/lib", b"x"),
        (b"up/lib/x", "usr/lib", b"x"),
        (b"lib", "usr", b"lib"),
        (b"lib/..", ".", b"usr"),
        (b"lib/../../..//./lib/x", "usr/lib", b"x"),
        (b"usr/back", "usr/lib", b"x"),
        (b"lib/new", "usr/lib", b"new"),
        (b"out", ".", b"secret"),
        (b"../../secret", ".", b"secret"),
    ],
)
def test_paths_stay_inside(root: Path, path: bytes, parent: str, name: bytes) -> None:
    assert _at(root, path) == (parent, name)


def test_the_last_link_need_not_be_followed(root: Path) -> None:
    assert _at(root, b"lib", False) == (".", b"lib")
    assert _at(root, b"abs/x", False) == ("usr/lib", b"x")
    assert _at(root, b"loop", False) == (".", b"loop")


def test_faults(root: Path) -> None:
    with pytest.raises(LayerFault, match="too many links"):
        _at(root, b"loop")
    with pytest.raises(FileNotFoundError):
        _at(root, b"absent/x")
    with pytest.raises(NotADirectoryError):
        _at(root, b"lib/x/y")
