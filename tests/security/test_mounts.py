"""Mounts and their mount points, in roots that are against us."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tests.e2e.compare import flatten
from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = pytest.mark.e2e

HOST = "of the host"


@pytest.fixture
def lapstrake(tmp_path: Path, base: Path) -> Lapstrake:
    return Lapstrake(tmp_path / "store", base)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    return folder(tmp_path / "host", {"file": HOST, "folder/file": HOST})


def unharmed(host: Path) -> None:
    found = {str(path.relative_to(host)): path.read_text() for path in host.rglob("*") if path.is_file()}
    assert found == {"file": HOST, "folder/file": HOST}


def test_a_mount_point_that_was_swapped_is_not_taken_away(lapstrake: Lapstrake, tmp_path: Path, host: Path) -> None:
    """CVE-2024-23652: what was made for a mount goes after the step, and nothing that took its name."""
    swap = f"mv /a/b /a/moved && ln -s /etc /a/b && mv /h /h2 && ln -s {host} /h"
    mounts = "--mount=type=secret,id=s,target=/a/b/passwd --mount=type=tmpfs,target=/h/folder"
    mounts += " --mount=type=secret,id=s,target=/h/file"
    text = f"FROM base\nRUN {mounts} {swap}\n"
    context = folder(tmp_path / "context", {"Dockerfile": text, "s": ""})
    lapstrake.built(context, f"--secret=id=s,src={context}/s", "-o", f"type=docker,dest={tmp_path}/a.tar")
    files = flatten(tmp_path / "a.tar").files
    assert "etc/passwd" in files
    assert [name for name in files if name.startswith(("a/moved/", "h2/"))] == []
    unharmed(host)


@pytest.mark.parametrize("target", ["/c/link", "/c/link/folder", "/c/up/folder"])
def test_a_mount_point_behind_a_link_in_a_shared_cache(
    lapstrake: Lapstrake, tmp_path: Path, host: Path, target: str
) -> None:
    """CVE-2021-30465: a step before, or beside, makes the mount point a link to the machine."""
    links = f"ln -sfn {host} /c/link; ln -sfn ../../../../../../../..{host} /c/up"
    cache = "--mount=type=cache,id=shared,target=/c"
    text = f"FROM base\nRUN {cache} {links}\nRUN {cache} --mount=type=tmpfs,target={target} echo evil > {target}/evil\n"
    context = folder(tmp_path / "context", {"Dockerfile": text})
    lapstrake.built(context, "-o", f"type=docker,dest={tmp_path}/a.tar")
    assert [name for name in flatten(tmp_path / "a.tar").files if "evil" in name] == []
    unharmed(host)


def test_what_a_cache_shows_is_of_the_cache(lapstrake: Lapstrake, tmp_path: Path, host: Path) -> None:
    """CVE-2024-23651 and -9675: source= of a cache is a link that a step put there."""
    text = f"FROM base\nRUN --mount=type=cache,id=x,target=/c ln -s {host} /c/link; ln -s / /c/root; mkdir /c/dir\n"
    text += "RUN --mount=type=cache,id=x,target=/c ls /c >&2; ! ls /c/link/file\n"
    text += f"FROM base AS f\nRUN ln -s / /root-link && ln -s {host} /link\nFROM base\n"
    text += (
        "RUN --mount=type=cache,id=y,from=f,source=/root-link,target=/c ls /c >&2; test -L /c/link; ! ls /c/link/file\n"
    )
    lapstrake.built(folder(tmp_path / "context", {"Dockerfile": text}))
    text = (
        f"FROM base AS f\nRUN ln -s {host} /link\nFROM base\nRUN --mount=type=bind,from=f,source=/link,target=/m true\n"
    )
    assert "not found" in lapstrake.refused(folder(tmp_path / "context", {"Dockerfile": text})).err
    unharmed(host)


LINKED = ("dev", "proc", "sys", "dev/null", "proc/sys", "etc", "etc/hosts", "etc/resolv.conf", "dev/shm", "dev/pts")


@pytest.mark.parametrize("name", LINKED)
def test_a_root_in_which_ours_are_links(lapstrake: Lapstrake, tmp_path: Path, host: Path, name: str) -> None:
    """CVE-2025-31133, -52565, -52881: what is mounted on, masked or written is what it should be, or nothing runs."""
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = tarfile.SYMTYPE, str(host / ("file" if "etc/" in name else ""))
        tar.addfile(member)
    text = "FROM scratch\nADD evil.tar /\nCOPY --from=base /bin /bin\n"
    text += "RUN test -c /dev/null && echo x > /dev/null && ! echo 1 > /proc/sys/kernel/sysrq && ! touch /sys/x\n"
    context = folder(tmp_path / "context", {"Dockerfile": text})
    (tmp_path / "evil.tar").rename(context / "evil.tar")
    done = lapstrake.build(context)
    assert "Traceback" not in done.err
    if name in ("dev", "proc", "sys"):
        assert done.status == 1 and f"/{name}: is a link in the image, which it may not be" in done.err
    else:
        assert done.status == 0, done.err
    unharmed(host)
