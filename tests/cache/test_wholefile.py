from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from cache.wholefile import is_special, replace_file, replacing, temp_name


def test_names_differ() -> None:
    assert len({temp_name("x-") for _ in range(100)}) == 100
    assert temp_name("x-").startswith("x-")


def test_a_new_file_and_a_replaced_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    replace_file(str(file), b"one", 0o600)
    assert file.read_bytes() == b"one"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    replace_file(str(file), b"two")
    assert file.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["file"]


def test_a_failure_leaves_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    with pytest.raises(KeyError), replacing(str(file)) as fd:
        os.write(fd, b"half")
        raise KeyError
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_keeps_being_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    replace_file(str(tmp_path / "link"), b"data")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"data"


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert is_special(str(pipe))
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    replace_file(str(pipe), b"through")
    reader.join()
    assert read == [b"through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_temp_name_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    with replacing(str(tmp_path / "file"), temp=str(tmp_path / "tmp" / "t-")) as fd:
        os.write(fd, b"x")
        assert len(os.listdir(tmp_path / "tmp")) == 1
        assert not (tmp_path / "file").exists()
    assert os.listdir(tmp_path / "tmp") == []
