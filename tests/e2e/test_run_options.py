"""What the command line gives to RUN steps, and what of it makes them run again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = pytest.mark.e2e


def test_ulimits_and_shm_size(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base\nRUN ulimit -n > /n; ulimit -Hn > /hard; ulimit -c > /c; grep ' /dev/shm ' /proc/mounts > /shm\n"
    context = folder(tmp_path / "context", {"Dockerfile": text})
    args = ("--ulimit", "nofile=100:200", "--ulimit", "core=0", "--shm-size", "2m")
    lapstrake.built(context, *args, "-o", str(tmp_path / "out"))
    read = {name: (tmp_path / "out" / name).read_text().strip() for name in ("n", "hard", "c", "shm")}
    assert (read["n"], read["hard"], read["c"]) == ("100", "200", "0")
    assert "size=2048k" in read["shm"]
    assert not [s for s in lapstrake.built(context, *args).steps("DONE") if s.startswith("RUN")]
    assert [s for s in lapstrake.built(context, "--ulimit", "nofile=99").steps("DONE") if s.startswith("RUN")]


@pytest.mark.parametrize(
    "args",
    [
        ("--ulimit", "nofile"),
        ("--ulimit", "files=1"),
        ("--ulimit", "nofile=3:2"),
        ("--shm-size", "big"),
        ("--allow", "all"),
    ],
)
def test_wrong_values(lapstrake: Lapstrake, tmp_path: Path, args: tuple[str, ...]) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\n"})
    assert args[1].partition("=")[0] in lapstrake.refused(context, *args).err


def test_entitlements(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """What a Dockerfile may ask for is up to who calls the build."""
    text = """\
FROM base
RUN --security=insecure grep CapEff /proc/self/status > /caps; grep Seccomp: /proc/self/status > /s
RUN --security=insecure test -w /proc/sys/kernel/hostname && mount -t tmpfs tmpfs /tmp && echo yes > /did
RUN --network=host true
"""
    context = folder(tmp_path / "context", {"Dockerfile": text})
    assert "security.insecure is not allowed" in lapstrake.refused(context).err
    assert "network.host is not allowed" in lapstrake.refused(context, "--allow", "security.insecure").err
    lapstrake.built(context, "--allow", "security.insecure", "--allow", "network.host", "-o", str(tmp_path / "out"))
    out = tmp_path / "out"
    assert int((out / "caps").read_text().split()[1], 16) >> 21 & 1  # CAP_SYS_ADMIN
    assert (out / "s").read_text().split() == ["Seccomp:", "0"]
    assert (out / "did").read_text() == "yes\n"


def test_no_cache_filter(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base AS one\nRUN echo 1 > /f\nFROM base AS Two\nRUN echo 2 > /f\nFROM base\n"
    text += "COPY --from=one /f /1\nCOPY --from=two /f /2\n"
    context = folder(tmp_path / "context", {"Dockerfile": text})
    lapstrake.built(context)
    again = lapstrake.built(context, "--no-cache-filter", "other,two")
    assert "RUN echo 2 > /f" in again.steps("DONE")
    assert "RUN echo 1 > /f" not in again.steps("DONE")
    assert not [s for s in lapstrake.built(context).steps("DONE") if s.startswith(("RUN", "COPY"))]


def test_the_name_of_a_cache_does_not_count(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base\nRUN --mount=type=cache,target=/c,id=one true\n"
    context = folder(tmp_path / "context", {"Dockerfile": text})
    lapstrake.built(context)
    folder(context, {"Dockerfile": text.replace("id=one", "id=two,sharing=locked")})
    assert not [s for s in lapstrake.built(context).steps("DONE") if s.startswith("RUN")]
