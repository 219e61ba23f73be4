"""A context that is an archive has its owners, whatever this user may give away; a folder's files are 0:0."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.e2e.compare import differences, flatten
from tests.e2e.engine import Engine
from tests.e2e.lapstrake import PROGRAM, TIMEOUT, Lapstrake

pytestmark = pytest.mark.e2e

TEXT = """\
FROM base AS one
COPY d /d
FROM base
COPY a /a
ADD a /added
COPY d /d
COPY implied /i
COPY implied/q/f /new/f
COPY --chown=5:6 a /chown
COPY --chmod=777 a /chmod
COPY d/link /link
COPY --link d /linked
COPY --from=one /d /of-a-stage
COPY . /all/
"""
# name, uid, gid, mode, type, link
MEMBERS = [
    ("Dockerfile", 7, 8, 0o644, tarfile.REGTYPE, ""),
    (".dockerignore", 0, 0, 0o644, tarfile.REGTYPE, ""),
    ("a", 1001, 1002, 0o640, tarfile.REGTYPE, ""),
    ("setuid", 1001, 1002, 0o4755, tarfile.REGTYPE, ""),
    ("d", 1003, 1004, 0o2750, tarfile.DIRTYPE, ""),
    ("d/f", 1005, 1006, 0o600, tarfile.REGTYPE, ""),
    ("d/sub", 1013, 1014, 0o700, tarfile.DIRTYPE, ""),
    ("d/sub/x", 1007, 1008, 0o600, tarfile.REGTYPE, ""),
    ("d/link", 1011, 1012, 0o777, tarfile.SYMTYPE, "f"),
    ("d/hard", 1015, 1016, 0o600, tarfile.LNKTYPE, "d/f"),
    ("implied/q/f", 1009, 1010, 0o644, tarfile.REGTYPE, ""),
    ("huge", 3000000, 3000001, 0o644, tarfile.REGTYPE, ""),
    ("again", 41, 41, 0o644, tarfile.REGTYPE, ""),
    ("again", 42, 42, 0o644, tarfile.REGTYPE, ""),
    ("late/f", 51, 51, 0o644, tarfile.REGTYPE, ""),
    ("late", 52, 52, 0o711, tarfile.DIRTYPE, ""),
]


def archive(path: Path, text: str, shift: int = 0) -> Path:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, uid, gid, mode, kind, link in MEMBERS:
            data = {"Dockerfile": text, ".dockerignore": "d\n"}.get(name, name).encode()
            member = tarfile.TarInfo(name)
            member.uid, member.gid, member.mode, member.type, member.linkname = uid + shift, gid, mode, kind, link
            member.size = len(data) if kind == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(data))
    return path


def built(lapstrake: Lapstrake, context: Path, *args: str) -> str:
    words = ["--root", str(lapstrake.store), "build", "--progress=plain"]
    base = f"--build-context=base=docker-archive://{lapstrake.base}"
    with context.open("rb") as stdin:
        done = subprocess.run(
            [*PROGRAM, *words, base, *args, "-"],
            stdin=stdin, capture_output=True, text=True, timeout=TIMEOUT, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr


def owners(archive: Path) -> dict[str, tuple[int, int]]:
    return {name: file.owner for name, file in flatten(archive).files.items()}


def test_owners_are_those_of_the_archive(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """As BuildKit v0.25.2 has them: see the test that asks it."""
    built(lapstrake, archive(tmp_path / "c.tar", TEXT), "-o", f"type=docker,dest={tmp_path}/ours.tar")
    found = owners(tmp_path / "ours.tar")
    expected = {
        "a": (1001, 1002), "added": (1001, 1002), "chown": (5, 6), "chmod": (1001, 1002), "link": (1015, 1016),
        "d": (0, 0), "d/f": (1015, 1016), "d/hard": (1015, 1016), "d/sub": (1013, 1014), "d/link": (1011, 1012),
        "i": (0, 0), "i/q": (0, 0), "i/q/f": (1009, 1010), "new": (0, 0), "new/f": (1009, 1010),
        "linked/sub/x": (1007, 1008), "of-a-stage/sub": (1013, 1014), "all": (0, 0), "all/d": (1003, 1004),
        "all/Dockerfile": (7, 8), "all/huge": (3000000, 3000001), "all/again": (42, 42), "all/late": (52, 52),
        "all/implied": (0, 0),
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected


def test_owners_count_for_the_cache(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base\nCOPY a /a\nCOPY --chown=1:1 a /b\n"
    one, two = archive(tmp_path / "1.tar", text), archive(tmp_path / "2.tar", text, shift=1)
    outputs = [f"type=docker,dest={tmp_path}/{n}.image" for n in range(3)]
    assert "CACHED" not in built(lapstrake, one, "-o", outputs[0])
    assert "CACHED" not in built(lapstrake, two, "-o", outputs[1])
    assert "CACHED" in built(lapstrake, one, "-o", outputs[2])
    assert [owners(tmp_path / f"{n}.image")["a"] for n in range(3)] == [(1001, 1002), (1002, 1002), (1001, 1002)]


def test_a_second_build_has_them_too(lapstrake: Lapstrake, tmp_path: Path) -> None:
    built(lapstrake, archive(tmp_path / "c.tar", TEXT), "--verify", "-o", f"type=docker,dest={tmp_path}/ours.tar")


@pytest.mark.root
def test_a_step_sees_them(lapstrake: Lapstrake, tmp_path: Path) -> None:
    seen = "stat -c '%n %u:%g %a' a d d/f d/sub d/link setuid implied/q huge"
    text = (
        f"FROM base\nCOPY d/sub/x /x\nRUN --mount=type=bind,target=/m cd /m && {seen} >/seen && stat -c %u /x >>/seen\n"
    )
    built(lapstrake, archive(tmp_path / "c.tar", text), "-o", str(tmp_path / "out"))
    assert (tmp_path / "out" / "seen").read_text().splitlines() == [
        "a 1001:1002 640", "d 1003:1004 2750", "d/f 1015:1016 600", "d/sub 1013:1014 700", "d/link 1011:1012 777",
        "setuid 1001:1002 4755", "implied/q 0:0 755", "huge 3000000:3000001 644", "1007",
    ]  # fmt: skip


@pytest.mark.root
@pytest.mark.oracle
def test_the_engine_has_the_same(buildkit: Engine, lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = archive(tmp_path / "c.tar", TEXT)
    theirs = buildkit.build(Path("-"), tmp_path / "theirs.tar", stdin=context)
    assert theirs.returncode == 0, theirs.stderr
    built(lapstrake, context, "-o", f"type=docker,dest={tmp_path}/ours.tar")
    left, right = flatten(tmp_path / "ours.tar"), flatten(tmp_path / "theirs.tar")
    assert differences(left, right) == []
