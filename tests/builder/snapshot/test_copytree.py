from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from builder.errors import LayerFault
from builder.snapshot import copytree
from builder.snapshot.copytree import copy_tree


def _facts(root: Path) -> dict[str, tuple[object, ...]]:
    found = {}
    for path in [root, *sorted(root.rglob("*"))]:
        st = path.lstat()
        data: object = None
        if stat.S_ISREG(st.st_mode):
            data = path.read_bytes()
        elif stat.S_ISLNK(st.st_mode):
            data = os.readlink(path)
        attributes = [] if path.is_symlink() else [(n, os.getxattr(path, n)) for n in os.listxattr(path)]
        key = str(path.relative_to(root))
        found[key] = (st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns, st.st_rdev, data, attributes)
    return found


@pytest.mark.parametrize("clone", [True, False])
def test_everything_is_copied(tmp_path: Path, clone: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not clone:
        monkeypatch.setattr(copytree, "_FICLONE", 0)
    source, target = tmp_path / "s", tmp_path / "t"
    (source / "d" / "e").mkdir(parents=True)
    (source / "d" / "f").write_bytes(b"data" * 1000)
    (source / "d" / "e" / "setuid").write_bytes(b"")
    (source / "d" / "e" / "setuid").chmod(0o4755)
    os.link(source / "d" / "f", source / "hard")
    (source / "link").symlink_to("/nowhere")
    os.mkfifo(source / "fifo", 0o640)
    os.setxattr(source / "d", "user.x", b"1")
    os.utime(source / "d", ns=(5, 123456789))
    (source / "locked").mkdir(0o500)
    with open(source / "sparse", "wb") as file:
        file.seek(8 << 20)
        file.write(b"x")
        file.truncate(16 << 20)
    target.mkdir()
    copy_tree(str(source), str(target))
    assert _facts(target) == _facts(source)
    assert (target / "hard").stat().st_ino == (target / "d" / "f").stat().st_ino
    assert (target / "sparse").stat().st_blocks <= (source / "sparse").stat().st_blocks + 16


def test_sockets_are_left_out_and_faults_are_ours(tmp_path: Path) -> None:
    source, target = tmp_path / "s", tmp_path / "t"
    source.mkdir()
    target.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        fd = os.open(source, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{fd}/socket")
        os.close(fd)
    copy_tree(str(source), str(target))
    assert os.listdir(target) == []
    (source / "f").write_text("")
    copy_tree(str(source), str(target))
    with pytest.raises(LayerFault, match="cannot copy"):
        copy_tree(str(source), str(target))
