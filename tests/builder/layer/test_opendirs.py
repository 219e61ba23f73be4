from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.layer.opendirs import OpenDirs


def _open_count() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_folders_are_found_and_descriptors_bounded_and_closed(tmp_path: Path) -> None:
    paths = [b"/".join([b"d"] * depth) for depth in range(1, 300)]
    os.makedirs(tmp_path / os.fsdecode(paths[-1]))
    (tmp_path / "e" / "f").mkdir(parents=True)
    before = _open_count()
    with OpenDirs(str(tmp_path)) as dirs:
        for path in [*paths, b"e/f", paths[200], b"", *reversed(paths), b"e"]:
            want = os.stat(tmp_path / os.fsdecode(path)).st_ino
            assert os.fstat(dirs.fd(path)).st_ino == want
            assert _open_count() - before < 70
    assert _open_count() == before


def test_links_and_files_are_no_folders_and_leave_it_usable(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("d")
    with OpenDirs(str(tmp_path)) as dirs:
        for bad in (b"link", b"file", b"absent", b"d/absent", b"link/x"):
            with pytest.raises(OSError):
                dirs.fd(bad)
            assert os.fstat(dirs.fd(b"d")).st_ino == (tmp_path / "d").stat().st_ino


def test_a_descriptor_given_stays_open(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    OpenDirs(fd).close()
    assert os.fstat(fd).st_ino == tmp_path.stat().st_ino
    os.close(fd)
