from __future__ import annotations

import io
import os
import stat
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from builder.errors import LayerFault, OutputFault, SourceFault
from builder.layer.codec import codec
from builder.layer.limits import Limits
from builder.solve import cachemounts
from builder.solve.cachefolders import CacheFolders
from builder.solve.cachemounts import About, CacheMounts
from cache.errors import Fault

GO = About("/root/.cache/go-build")


@pytest.fixture
def folders(tmp_path):
    (tmp_path / "tmp").mkdir()
    return CacheFolders(str(tmp_path / "caches"), str(tmp_path / "tmp"))


@pytest.fixture
def fill(tmp_path):
    def call(about, files):
        with CacheMounts(str(tmp_path / "caches")).locked(about) as path:
            os.makedirs(path, exist_ok=True)
            for name, data in files.items():
                (Path(path) / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(path) / name).write_bytes(data)
            return Path(path)

    return call


def exported(folders, id, limit=None):
    out = bytearray()
    folders.write(folders.one(id), lambda chunks: [out.extend(data) for data in codec("zstd").compress(chunks)], limit)
    return bytes(out)


def read(folders, id, data, limits=None):
    return folders.read(id, io.BytesIO(data), limits or Limits(), "archive")


def tar(*members):
    """members: (name, kind, link or data)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, value in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(value)
                archive.addfile(info, io.BytesIO(value))
            else:
                info.linkname = value
                archive.addfile(info)
    return out.getvalue()


def test_there_and_back(tmp_path, folders, fill):
    path = fill(GO, {"a/b": b"data", "empty": b"", ".wh.x": b"no mark here"})
    (path / "a" / "b").chmod(0o4711)
    os.link(path / "a" / "b", path / "same")
    (path / "link").symlink_to("../../../etc/passwd")
    os.mkfifo(path / "pipe")
    os.utime(path / "a" / "b", (1234567890, 1234567890))
    os.setxattr(path / "a" / "b", "user.note", b"kept")
    path.chmod(0o1777)
    data = exported(folders, GO.id)
    assert folders.remove(folders.one(GO.id))
    assert folders.all() == []
    assert read(folders, GO.id, data).warnings() == ()
    [cache] = folders.all()
    assert (cache.about, cache.path) == (GO, str(path))
    assert (path / "a" / "b").read_bytes() == b"data"
    status = (path / "a" / "b").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime, status.st_nlink) == (0o4711, 1234567890, 2)
    assert os.path.samefile(path / "same", path / "a" / "b")
    assert os.readlink(path / "link") == "../../../etc/passwd"
    assert stat.S_ISFIFO((path / "pipe").stat().st_mode)
    assert (path / ".wh.x").read_bytes() == b"no mark here"
    assert os.getxattr(path / "a" / "b", "user.note") == b"kept"
    assert stat.S_IMODE(path.stat().st_mode) == 0o1777
    assert os.listxattr(path) == []
    assert exported(folders, GO.id) == data
    assert os.listdir(tmp_path / "tmp") == []


def test_another_id_and_an_archive_of_another_program(folders, fill):
    fill(About("old", mode=0o700, uid=os.getuid(), gid=os.getgid()), {"x": b"1"})
    read(folders, "new", exported(folders, "old"))
    assert folders.one("new").about == About("new", mode=0o700, uid=os.getuid(), gid=os.getgid())
    read(folders, "plain", tar(("dir/file", tarfile.REGTYPE, b"x")))
    about = folders.one("plain").about
    assert (about.id, about.base, about.source) == ("plain", None, "/")
    assert (Path(folders.one("plain").path) / "dir" / "file").read_bytes() == b"x"


def test_what_was_there_is_replaced(folders, fill):
    path = fill(GO, {"old": b"old"})
    read(folders, GO.id, tar(("new", tarfile.REGTYPE, b"x")))
    assert os.listdir(path) == ["new"]
    assert len(folders.all()) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no archive",
        tar(("../out", tarfile.REGTYPE, b"x")),
        tar(("/abs/../../out", tarfile.REGTYPE, b"x")),
        tar(("link", tarfile.SYMTYPE, "/tmp"), ("link/out", tarfile.REGTYPE, b"x")),
        tar(("hard", tarfile.LNKTYPE, "../../about")),
        tar(("hard", tarfile.LNKTYPE, "/etc/passwd")),
        tar((".", tarfile.SYMTYPE, "/etc")),
        tar(("file", tarfile.REGTYPE, b"x" * 5000))[:3000],
    ],
)
def test_a_hostile_archive_changes_nothing(tmp_path, folders, fill, data):
    path = fill(GO, {"old": b"old"})
    before = sorted(str(one) for one in tmp_path.rglob("*"))
    with pytest.raises(Fault):
        read(folders, GO.id, data)
    with pytest.raises(Fault):
        read(folders, "other", data)
    assert (path / "old").read_bytes() == b"old"
    assert sorted(str(one) for one in tmp_path.rglob("*")) == before


def test_devices_are_left_out_and_too_much_is_refused(folders):
    device = tarfile.TarInfo("disk")
    device.type, device.devmajor, device.devminor = tarfile.BLKTYPE, 8, 0
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(device)
    assert read(folders, "d", out.getvalue()).devices == 1
    assert os.listdir(folders.one("d").path) == []
    with pytest.raises(LayerFault):
        read(folders, "d", tar(("big", tarfile.REGTYPE, bytes(100_000))), Limits.of_size(10_000))


def test_a_limit_of_what_is_given_out(folders, fill):
    fill(GO, {"a": bytes(600), "b": bytes(500)})
    assert exported(folders, GO.id, 1100)
    with pytest.raises(OutputFault, match="has 1100 bytes, more than 1099"):
        exported(folders, GO.id, 1099)


def test_names_and_ids(folders, fill):
    fill(About(GO.id, mode=0o711), {"a": b""})
    fill(About(GO.id, mode=0o700), {"b": b""})
    with pytest.raises(SourceFault, match="2 caches have the id"):
        folders.one(GO.id)
    first, second = folders.find(GO.id)
    assert folders.one(first.name) == first
    with pytest.raises(SourceFault, match="no such cache"):
        folders.find("nothing")
    with pytest.raises(SourceFault, match="of none of them"):
        read(folders, GO.id, tar(("x", tarfile.REGTYPE, b"")))
    data = exported(folders, second.name)
    read(folders, GO.id, data)
    assert len(folders.all()) == 2


def test_a_step_that_uses_the_cache_is_waited_for(tmp_path, folders, fill):
    fill(GO, {"a": b"before"})
    done = threading.Event()
    out = []

    def export():
        out.append(exported(folders, GO.id))
        done.set()

    with CacheMounts(str(tmp_path / "caches")).locked(GO, "shared") as path:
        waiting = threading.Thread(target=export, daemon=True)
        waiting.start()
        assert not done.wait(0.2)
        assert not folders.remove(folders.one(GO.id))
        (Path(path) / "a").write_bytes(b"after")
    assert done.wait(10)
    read(folders, "copy", out[0])
    assert (Path(folders.one("copy").path) / "a").read_bytes() == b"after"


def test_steps_and_removals_at_the_same_time(tmp_path, folders):
    """Who gets the lock of a folder that lost its name meanwhile tries again: a step's cache is never taken away."""
    caches, went = CacheMounts(str(tmp_path / "caches")), []

    done = threading.Event()

    def steps():
        for number in range(100):
            with caches.locked(GO, ("shared", "private")[number % 2]) as path:
                os.makedirs(path, exist_ok=True)
                (Path(path) / "mine").write_bytes(b"")
                assert os.listdir(path) == ["mine"]
                assert folders.find(GO.id)

    def removals():
        while not done.is_set():
            went.extend([folders.remove(cache) for cache in folders.all()])

    with ThreadPoolExecutor(3) as pool:
        removing = [pool.submit(removals), pool.submit(removals)]
        try:
            pool.submit(steps).result()
        finally:
            done.set()
        for work in removing:
            work.result()
    assert any(went)


def test_a_folder_made_again_meanwhile_is_not_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = tmp_path / "cache"
    parent.mkdir()
    flock = cachemounts.fcntl.flock

    def late(fd: int, how: int) -> None:
        parent.rename(tmp_path / "gone")
        parent.mkdir()
        flock(fd, how)

    monkeypatch.setattr(cachemounts.fcntl, "flock", late)
    with cachemounts.idle(str(parent)) as unused:
        assert not unused
