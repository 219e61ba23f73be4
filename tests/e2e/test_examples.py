"""The folders of examples/, as a reader of the README builds them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import EXAMPLES
from tests.e2e.compare import flatten
from tests.e2e.dockerd import Dockerd
from tests.e2e.lapstrake import Lapstrake

pytestmark = pytest.mark.e2e


def demo(lapstrake: Lapstrake, base_context: Path, archive: Path) -> str:
    lapstrake.built(base_context, "-t", "lapstrake-demo-base")
    return lapstrake.built(EXAMPLES / "multistage", "-t", "lapstrake-demo", "-o", f"type=docker,dest={archive}").err


def test_base_and_multistage(tmp_path: Path, base_context: Path) -> None:
    store = Lapstrake(tmp_path / "store")
    demo(store, base_context, tmp_path / "demo.tar")
    image = flatten(tmp_path / "demo.tar")
    assert image.files["srv/www/index.html"].owner == (1000, 1000)
    assert not any(name.startswith("pages") for name in image.files)
    assert image.config["Env"] == [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PORT=8080",
        "ROOT=/srv/www",
    ]
    assert image.config["User"] == "web"
    assert image.config["WorkingDir"] == "/srv/www"
    assert image.config["ExposedPorts"] == {"8080/tcp": {}}
    assert image.config["Healthcheck"] == {
        "Test": ["CMD-SHELL", 'wget -q -O /dev/null "http://127.0.0.1:$PORT/"'],
        "Interval": 5_000_000_000,
        "Timeout": 2_000_000_000,
    }


def test_demo_again_is_cached(tmp_path: Path, base_context: Path) -> None:
    store = Lapstrake(tmp_path / "store")
    demo(store, base_context, tmp_path / "one.tar")
    again = demo(store, base_context, tmp_path / "two.tar")
    assert again.count(" CACHED") >= 7
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_demo_script_prints_how_to_run_it(tmp_path: Path, base_context: Path) -> None:
    program = shutil.which("lapstrake") or str(Path(__import__("sys").executable).with_name("lapstrake"))
    (tmp_path / "base").mkdir()
    shutil.copy(base_context / "busybox", tmp_path / "base" / "busybox")
    done = subprocess.run(
        ["bash", str(EXAMPLES / "demo.sh"), program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"docker load -i {tmp_path}/demo.tar" in done.stdout
    assert (tmp_path / "demo.tar").stat().st_size > 500_000


@pytest.mark.oracle
@pytest.mark.root
def test_docker_serves_the_page(tmp_path: Path, base_context: Path, docker: Dockerd) -> None:
    store = Lapstrake(tmp_path / "store")
    demo(store, base_context, tmp_path / "demo.tar")
    assert "Loaded image: lapstrake-demo:latest" in docker.call("load", "-i", str(tmp_path / "demo.tar"))
    container = docker.call("run", "-d", "--network", "none", "lapstrake-demo").strip()
    try:
        fetch = "for i in 1 2 3 4 5 6 7 8 9; do wget -q -O - http://127.0.0.1:8080/ && exit; sleep 1; done; exit 1"
        assert "Hello from a sandbox" in docker.call("exec", container, "sh", "-c", fetch)
    finally:
        docker.call("rm", "-f", container)
