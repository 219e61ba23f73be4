from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.cli.contextfile import read_beneath


@pytest.fixture
def context(tmp_path: Path) -> str:
    """Beside it lies what is not to be read."""
    made = tmp_path / "context"
    (made / "sub").mkdir(parents=True)
    (made / "file").write_bytes(b"inside")
    (made / "sub" / "file").write_bytes(b"deep")
    (tmp_path / "file").write_bytes(b"OUTSIDE")
    for name, target in {
        "link": "sub/file",
        "chain": "link",
        "up": "../file",
        "absolute": str(tmp_path / "file"),
        "rooted": "/sub/file",
        "loop": "loop",
        "dir": "..",
        "zero": "/dev/zero",
    }.items():
        os.symlink(target, made / name)
    os.mkfifo(made / "pipe")
    os.symlink("pipe", made / "to-pipe")
    return str(made)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("file", b"inside"),
        ("sub/file", b"deep"),
        ("link", b"deep"),
        ("chain", b"deep"),
        ("up", b"inside"),  # the folder is the root of all links
        ("rooted", b"deep"),
        ("dir/file", b"inside"),
        ("../../file", b"inside"),
    ],
)
def test_files(context: str, name: str, text: bytes) -> None:
    assert read_beneath(context, name, 100) == text


@pytest.mark.parametrize("name", ["none", "absolute", "zero", "pipe", "to-pipe", "sub", "loop", "file/x", "."])
def test_what_is_no_file_in_there(context: str, name: str) -> None:
    with pytest.raises(OSError):
        read_beneath(context, name, 100)


def test_no_more_than_the_limit(context: str) -> None:
    assert read_beneath(context, "file", 3) == b"ins"
