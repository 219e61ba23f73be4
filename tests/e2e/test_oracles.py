"""What other programs make of our images: Docker, skopeo, umoci, podman; and Docker's own builder on the same text."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.e2e.compare import differences, flatten
from tests.e2e.dockerd import Dockerd
from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = [pytest.mark.e2e, pytest.mark.oracle]

EVERYTHING = """\
FROM base AS build
ARG GREETING=hello
RUN mkdir /out && echo $GREETING > /out/greeting && ln -s greeting /out/link
RUN ln /out/greeting /out/hard && mkfifo /out/fifo && chown 12:34 /out/greeting && chmod 4755 /out/greeting

FROM base
LABEL a="one two" b=2
ENV A=1 B="two words"
COPY --from=build /out /out
RUN rm /out/hard && rm -r /root && mkdir /root && touch /root/new
WORKDIR /work/deep
EXPOSE 80 53/udp
VOLUME /data
STOPSIGNAL SIGTERM
SHELL ["/bin/sh", "-ec"]
HEALTHCHECK --interval=1m30s --timeout=3s --start-period=5s --retries=4 CMD ["true"]
USER web:web
ONBUILD RUN echo triggered
ENTRYPOINT ["/bin/echo", "entry"]
CMD ["cmd"]
"""


def run(*argv: str, **kwargs: object) -> str:
    if not shutil.which(argv[0]):
        pytest.skip(f"{argv[0]} is not installed")
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=240, **kwargs)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return str(done.stdout)


@pytest.fixture
def archive(lapstrake: Lapstrake, tmp_path: Path) -> Path:
    lapstrake.built(
        folder(tmp_path / "context", {"Dockerfile": EVERYTHING}), "-t", "lapstrake/all:1",
        "-o", f"type=docker,dest={tmp_path}/all.tar", "-o", f"type=oci,tar=false,dest={tmp_path}/layout",
    )  # fmt: skip
    return tmp_path / "all.tar"


@pytest.mark.root
def test_docker_loads_inspects_and_runs_it(docker: Dockerd, archive: Path) -> None:
    assert "Loaded image: lapstrake/all:1" in docker.call("load", "-i", str(archive))
    image = json.loads(docker.call("image", "inspect", "lapstrake/all:1"))[0]
    config = image["Config"]
    assert config["Labels"] == {"a": "one two", "b": "2"}
    assert config["Env"] == ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "A=1", "B=two words"]
    assert config["WorkingDir"] == "/work/deep"
    assert config["ExposedPorts"] == {"53/udp": {}, "80/tcp": {}}
    assert config["Volumes"] == {"/data": {}}
    assert config["StopSignal"] == "SIGTERM"
    assert config["Shell"] == ["/bin/sh", "-ec"]
    assert config["User"] == "web:web"
    assert config["OnBuild"] == ["RUN echo triggered"]
    assert config["Entrypoint"] == ["/bin/echo", "entry"]
    assert config["Cmd"] == ["cmd"]
    assert config["Healthcheck"] == {
        "Test": ["CMD", "true"],
        "Interval": 90_000_000_000,
        "Timeout": 3_000_000_000,
        "StartPeriod": 5_000_000_000,
        "Retries": 4,
    }
    assert (image["Os"], image["Architecture"]) == (
        "linux",
        {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
    )
    assert docker.call("run", "--rm", "--network", "none", "lapstrake/all:1") == "entry cmd\n"
    shell = ("run", "--rm", "--network", "none", "--entrypoint", "/bin/sh", "lapstrake/all:1", "-c")
    assert docker.call(*shell, "cat /out/link; pwd; id -un; ls /root/new; test ! -e /out/hard") == (
        "hello\n/work/deep\nweb\n/root/new\n"
    )
    history = docker.call("history", "--no-trunc", "--format", "{{.CreatedBy}}", "lapstrake/all:1").splitlines()
    assert history[0] == 'CMD ["cmd"]'
    assert "COPY /out /out # buildkit" in history


def test_skopeo_reads_archive_folder_and_store(lapstrake: Lapstrake, archive: Path, tmp_path: Path) -> None:
    lapstrake.built(tmp_path / "context", "-t", "lapstrake/all:1")
    layers = []
    for where in (f"docker-archive:{archive}", f"oci:{tmp_path}/layout:1", f"oci:{lapstrake.store}:lapstrake/all:1"):
        seen = json.loads(run("skopeo", "inspect", where))
        assert seen["Labels"] == {"a": "one two", "b": "2"}
        layers.append(len(seen["Layers"]))
    assert len(set(layers)) == 1


def test_umoci_unpacks_it(archive: Path, tmp_path: Path) -> None:
    rootless = ["--rootless"] if os.geteuid() else []
    run("umoci", "unpack", *rootless, "--image", f"{tmp_path}/layout:1", f"{tmp_path}/bundle")
    root = tmp_path / "bundle" / "rootfs"
    greeting = (root / "out" / "greeting").lstat()
    assert stat.S_IMODE(greeting.st_mode) == 0o4755
    assert not (root / "out" / "hard").exists()
    assert os.readlink(root / "out" / "link") == "greeting"
    assert sorted(os.listdir(root / "root")) == ["new"]
    assert stat.S_ISFIFO((root / "out" / "fifo").lstat().st_mode)
    if not rootless:
        assert (greeting.st_uid, greeting.st_gid) == (12, 34)
        expected = {n for n, f in flatten(archive).files.items() if f.kind != "folder"}
        found = {str(p.relative_to(root)) for p in root.rglob("*") if p.is_symlink() or not p.is_dir()}
        assert found == expected


@pytest.mark.root
def test_podman_loads_it(archive: Path, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as runroot:  # podman refuses one of more than 50 characters
        where = ("--root", f"{tmp_path}/podman", "--runroot", runroot, "--storage-driver", "vfs")
        run("podman", *where, "load", "-i", str(archive))
        seen = json.loads(run("podman", *where, "image", "inspect", "docker.io/lapstrake/all:1"))[0]
        subprocess.run(["umount", "-l", f"{tmp_path}/podman/vfs"], check=False, capture_output=True)
    assert seen["Config"]["Entrypoint"] == ["/bin/echo", "entry"]


COPIES = """\
FROM base
COPY a /a
COPY a b /two/
COPY d /new
COPY d /tmp
COPY d/* /wild/
COPY ["with blank", "/w b"]
WORKDIR /w
COPY a rel
COPY a ./dir/
COPY . /all/
"""
OWNERS = """\
FROM base
COPY --chown=web a /a
COPY --chown=7:8 d /d
COPY --chown=web:root d /e/f/
"""
METADATA = """\
FROM base
ENV A=b
ENV A=c D=e
LABEL x=y
EXPOSE 1-3/udp
VOLUME ["/v", "/w"]
CMD echo hi
"""
DELETIONS = """\
FROM base
RUN mkdir -p /a/b/c && touch /a/b/c/f /a/g
RUN rm -rf /a/b && mkdir /a/b && touch /a/b/h
RUN rm -r /a && echo now a file > /a
RUN rm /bin/wget && ln -s busybox /bin/wget && chmod 700 /tmp
"""
CHANGES = """\
FROM base
RUN touch /f && ln /f /g && mkdir /d && touch /d/x
RUN chmod 600 /f
RUN chown -R 3:4 /d && chmod 2770 /d
RUN ln -sf nowhere /l && mknod /null c 1 3 && mkfifo /p
RUN truncate -s 1M /sparse && touch -d '2001-02-03' /old
"""
VARIABLES = """\
ARG V=1
FROM base
ARG V=2
ARG W
ENV P=/p$V Q=${W:-none} R=${V:+set}
WORKDIR $P
RUN echo "$V $W $P $Q" > out
COPY f ${P}/$V
LABEL l="$Q" m='$Q'
USER ${V}
"""
CASES: dict[str, tuple[str, Mapping[str, str]]] = {
    "everything": (EVERYTHING, {}),
    "copy": (COPIES, {"a": "a", "b": "b", "d/1": "1", "d/e/2": "2", "with blank": "w"}),
    "chown": (OWNERS, {"a": "", "d/x": ""}),
    "metadata only": (METADATA, {}),
    "entrypoint": ('FROM base\nCMD a b\nENTRYPOINT ["x"]\nUSER 5\nSTOPSIGNAL 9\nHEALTHCHECK NONE\n', {}),
    "deletions": (DELETIONS, {}),
    "metadata changes": (CHANGES, {}),
    "variables": (VARIABLES, {"f": "f"}),
    "ignored": (
        "FROM base\nCOPY . /c/\n",
        {".dockerignore": "*.o\n!keep.o\nd\n", "x.o": "", "keep.o": "", "d/y": "", "z": ""},
    ),
    "add archive": ("FROM base\nADD t.tar.gz /t/\nADD t.tar.gz /u\n", {"n": ""}),
}

# The old builder leaves the parents of a destination to root; BuildKit, whose rules are ours, gives them to --chown.
ONLY_BUILDKIT = {"chown": ("e",)}


@pytest.mark.root
@pytest.mark.parametrize("case", CASES)
def test_the_same_as_docker_build(docker_base: Dockerd, lapstrake: Lapstrake, tmp_path: Path, case: str) -> None:
    text, files = CASES[case]
    context = folder(tmp_path / "context", {"Dockerfile": text, **files})
    if case == "add archive":
        source = folder(tmp_path / "source", {"x/y": "y", "x/z": "z"})
        os.chown(source / "x" / "y", 77, 88)
        run("tar", "-C", str(source), "-czf", str(context / "t.tar.gz"), "x")
    lapstrake.built(context, "-o", f"type=docker,dest={tmp_path}/ours.tar")
    docker_base.call("build", "--network", "none", "-t", "theirs", str(context))
    docker_base.call("save", "-o", f"{tmp_path}/theirs.tar", "theirs")
    ours, theirs = flatten(tmp_path / "ours.tar"), flatten(tmp_path / "theirs.tar")
    assert differences(ours, theirs, ONLY_BUILDKIT.get(case, ())) == []


@pytest.mark.root
def test_attributes_the_same_as_docker_build(docker_base: Dockerd, tmp_path: Path, base: Path) -> None:
    """File capabilities and user attributes, set by a step through a copied setcap-like xattr of the context."""
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\nADD caps.tar /\nRUN cp /bin/busybox /x\n"})
    source = folder(tmp_path / "source", {"capable": "x", "plain": "y"})
    try:
        os.setxattr(
            source / "capable", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000")
        )
    except OSError:
        pytest.skip("no file capabilities here")
    run(
        "tar", "--xattrs", "--xattrs-include=*", "-C", str(source), "-cf", str(context / "caps.tar"), "capable", "plain"
    )
    Lapstrake(tmp_path / "store", base).built(context, "-o", f"type=docker,dest={tmp_path}/ours.tar")
    docker_base.call("build", "--network", "none", "-t", "theirs", str(context))
    docker_base.call("save", "-o", f"{tmp_path}/theirs.tar", "theirs")
    ours = flatten(tmp_path / "ours.tar")
    assert ours.files["capable"].xattrs
    assert differences(ours, flatten(tmp_path / "theirs.tar")) == []
