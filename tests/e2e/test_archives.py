"""save and load against other programs: what we save they load, and the reverse, with equal ids."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.dockerd import Dockerd
from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = [pytest.mark.e2e, pytest.mark.oracle]

DOCKERFILE = """FROM base
ENV A=1
COPY x /x
LABEL l="two words"
CMD ["sh", "-c", "cat /x"]
"""
TEMPLATES = (
    "{{json .Config.Env}} {{.Config.WorkingDir}} {{.Os}}/{{.Architecture}}",
    "{{range $k, $v := .Config.Labels}}{{$k}}={{$v | printf `%q`}};{{end}}{{len .RootFS.Layers}}",
    "{{index .Config.Cmd 0}}|{{join .Config.Cmd `,`}}|{{.Config.Cmd}}|{{json .RootFS}}",
    "{{if .Config.Entrypoint}}yes{{else}}no{{end}} {{with .Config}}{{upper .User}}{{.Env}}{{end}}",
    "{{.Id | truncate | len}}",
    "{{truncate .Id 12}} {{slice .Id 7 19}} {{split .Id `:`}} {{println .Os .Author}}",
    "{{.Nope}}",
    "{{.Config.Nope}}",
    "{{index .Config.Cmd 9}}",
    "{{nope}}",
    "{{if}}",
    "{{printf `%d %5s|%-5s|%v` 1 `a` `b` .Config.Env}}",
    "{{eq .Os `linux` `x`}} {{ne .Os `x`}} {{and .Os .Id}} {{not .Os}}",
)


@pytest.fixture
def app(lapstrake: Lapstrake, tmp_path: Path) -> str:
    context = folder(tmp_path / "context", {"Dockerfile": DOCKERFILE, "x": "x\n"})
    lapstrake.built(context, "-t", "app:1", "-t", "app:2")
    return lapstrake.run("images", "-q", "--no-trunc", "app:1").out.strip()


def test_docker(lapstrake: Lapstrake, docker_base: Dockerd, app: str, tmp_path: Path) -> None:
    docker = docker_base
    archive = tmp_path / "app.tar"
    assert lapstrake.run("save", "-o", str(archive), "app").status == 0
    assert sorted(docker.call("load", "-i", str(archive)).splitlines()) == [
        "Loaded image: app:1",
        "Loaded image: app:2",
    ]
    assert docker.call("images", "-q", "--no-trunc", "app:1").strip() == app
    ours = lapstrake.run("history", "--format", "{{.CreatedBy}}|{{.Size}}|{{.Comment}}", "app:1").out
    assert docker.call("history", "--format", "{{.CreatedBy}}|{{.Size}}|{{.Comment}}", "app:1") == ours
    for template in TEMPLATES:
        mine = lapstrake.run("inspect", "-f", template, "app:1")
        theirs = docker.call("image", "inspect", "-f", template, "app:1", check=False)
        assert mine.out == theirs, template
    docker.call("save", "-o", str(tmp_path / "back.tar"), "app:1", "base")
    other = Lapstrake(tmp_path / "other")
    loaded = other.run("load", "-i", str(tmp_path / "back.tar"))
    assert sorted(loaded.out.splitlines()) == ["Loaded image: app:1", "Loaded image: base:latest"], loaded.err
    assert other.run("images", "-q", "--no-trunc", "app:1").out.strip() == app
    docker.call("rmi", "app:1", "app:2")


@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")
@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_skopeo(lapstrake: Lapstrake, app: str, tmp_path: Path, form: str) -> None:
    archive, copied = tmp_path / "app.tar", tmp_path / "copied.tar"
    assert lapstrake.run("save", "-o", str(archive), "app:1").status == 0
    done = subprocess.run(
        ["skopeo", "--insecure-policy", "copy", f"docker-archive:{archive}", f"{form}:{copied}:app:1"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    other = Lapstrake(tmp_path / "other")
    loaded = other.run("load", "-i", str(copied))
    assert loaded.out == "Loaded image: app:1\n", loaded.err
    (mine,), (theirs,) = (json.loads(one.run("inspect", "app:1").out) for one in (lapstrake, other))
    assert mine["RootFS"] == theirs["RootFS"]
    assert mine["Config"] == theirs["Config"]
