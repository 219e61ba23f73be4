"""`build --load`, and -o type=docker without a file: into engines that run, and words where none does."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.e2e.dockerd import Dockerd
from tests.e2e.engine import Engine
from tests.e2e.lapstrake import Lapstrake, folder
from tests.webserver import Exchange, serving

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lines = "FROM scratch\nCOPY a /a\nENV X=1\nCMD /a\n"
    return folder(tmp_path_factory.mktemp("context"), {"a": os.urandom(70_000), "Dockerfile": lines})


@pytest.mark.oracle
@pytest.mark.parametrize("option", [["--load"], ["-o", "type=docker"], ["--load", "-o", "type=docker,name=app:1"]])
def test_into_docker(docker: Dockerd, context: Path, tmp_path: Path, option: list[str]) -> None:
    done = Lapstrake(tmp_path / "store").built(
        context, *option, "-t", "app:1", "--iidfile", str(tmp_path / "id"), env={"DOCKER_HOST": docker.address}
    )
    assert "[internal] importing to docker" in done.err
    seen = json.loads(docker.call("inspect", "app:1"))[0]
    assert seen["Id"] == (tmp_path / "id").read_text() and seen["Config"]["Env"][-1] == "X=1"
    assert Lapstrake(tmp_path / "store").run("images", "-q").out == ""
    docker.call("rmi", "app:1")


@pytest.mark.oracle
def test_into_podman(context: Path, tmp_path: Path) -> None:
    """By its program, which is there where its service is not."""
    if os.geteuid() != 0:
        pytest.skip("podman needs root here")
    with tempfile.TemporaryDirectory() as runroot:
        where = ("--root", f"{tmp_path}/podman", "--runroot", runroot, "--storage-driver", "vfs")
        conf = tmp_path / "storage.conf"
        conf.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/podman"\nrunroot = "{runroot}"\n')
        try:
            done = Lapstrake(tmp_path / "store").built(
                context, "--load", "-t", "app:1", env={**_nowhere(tmp_path), "CONTAINERS_STORAGE_CONF": str(conf)}
            )
            assert "[internal] importing to podman" in done.err
            words = ["podman", *where, "image", "inspect", "--format", "{{.Config.Cmd}}", "docker.io/library/app:1"]
            assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "[/bin/sh -c /a]\n"
        finally:
            subprocess.run(["umount", "-l", f"{tmp_path}/podman/vfs"], check=False, capture_output=True)


def _nowhere(tmp_path: Path) -> dict[str, str]:
    return {"XDG_RUNTIME_DIR": str(tmp_path)}


def test_where_none_is(context: Path, tmp_path: Path) -> None:
    """Said before anything is built."""
    lapstrake = Lapstrake(tmp_path / "store")
    if os.path.exists("/var/run/docker.sock"):
        pytest.skip("a Docker runs here")
    none = lapstrake.build(context, "--load", env={**_nowhere(tmp_path), "PATH": str(tmp_path)})
    assert none.status == 1 and "there is no Docker or Podman here" in none.err and "COPY" not in none.err
    for host, words in (
        (f"unix://{tmp_path}/none.sock", "Cannot connect to the Docker daemon at unix:///"),
        ("tcp://127.0.0.1:1", "Cannot connect to the Docker daemon at tcp://127.0.0.1:1"),
        ("ssh://host", "DOCKER_HOST=ssh://host is not supported"),
        ("tcp://x:port", "is not supported"),
    ):
        done = lapstrake.build(context, "--load", env={"DOCKER_HOST": host})
        assert done.status == 1 and words in done.err and "Traceback" not in done.err
        assert "COPY" not in done.err


def test_dockers_context(context: Path, tmp_path: Path) -> None:
    """As `docker context create` and `use` keep it."""
    with serving(lambda e: e.send(200, b"{}")) as server:
        place = f"contexts/meta/{hashlib.sha256(b'mine').hexdigest()}/meta.json"
        meta = {"Name": "mine", "Endpoints": {"docker": {"Host": f"tcp://{server.host}", "SkipTLSVerify": False}}}
        config = folder(tmp_path / "docker", {"config.json": '{"currentContext":"mine"}', place: json.dumps(meta)})
        lapstrake = Lapstrake(tmp_path / "store")
        lapstrake.built(context, "--load", env={"DOCKER_CONFIG": str(config)})
        assert [seen.path for seen in server.seen] == ["/info", "/images/load?quiet=1"]
        other = lapstrake.build(context, "--load", env={"DOCKER_CONFIG": str(config), "DOCKER_CONTEXT": "other"})
        assert other.status == 1 and 'docker context "other" cannot be read' in other.err
        (config / place).write_text("[")
        broken = lapstrake.build(context, "--load", env={"DOCKER_CONFIG": str(config)})
        assert broken.status == 1 and "meta.json: malformed" in broken.err


def test_an_index_only_where_the_engine_takes_one(context: Path, tmp_path: Path) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.send(200, info if exchange.path == "/info" else b'{"stream":"Loaded image: app"}')

    platforms = ("--platform", "linux/amd64,linux/arm64", "-t", "app:1")
    with serving(answer) as server:
        env = {"DOCKER_HOST": f"tcp://{server.host}"}
        info = b'{"DriverStatus":null}'
        refused = Lapstrake(tmp_path / "store").build(context, "--load", *platforms, env=env)
        assert "docker exporter does not currently support exporting manifest lists" in refused.err
        info = b'{"DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]]}'
        Lapstrake(tmp_path / "store").built(context, "--load", *platforms, env=env)
        sent = server.seen[-1]
    (tmp_path / "sent.tar").write_bytes(sent.body)
    listed = subprocess.run(
        ["tar", "tf", str(tmp_path / "sent.tar")], capture_output=True, text=True, check=True
    ).stdout
    assert "index.json" in listed and "manifest.json" not in listed


def test_over_tls(context: Path, tmp_path: Path) -> None:
    certificates = folder(tmp_path / "certificates", {})
    authority = Authority(certificates)
    certificate, key = authority.issue("client")
    (certificates / "cert.pem").write_bytes(certificate.read_bytes())
    (certificates / "key.pem").write_bytes(key.read_bytes())
    env = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(certificates)}
    with serving(lambda e: e.send(200, b"{}"), authority.context(client_ca=authority.ca)) as server:
        env["DOCKER_HOST"] = f"tcp://{server.host}"
        Lapstrake(tmp_path / "store").built(context, "--load", env=env)
        assert len(server.seen[-1].body) > 70_000
        (certificates / "ca.pem").write_bytes(certificate.read_bytes())
        wrong = Lapstrake(tmp_path / "store").build(context, "--load", env=env)
        assert wrong.status == 1 and "certificate verify failed" in wrong.err


ANSWERS = {
    "an error at the end": (
        200,
        b'{"stream":"x"}\n{"errorDetail":{"message":"no space"},"error":"no \\u001b[2Jspace"}\n',
    ),
    "a status": (500, b'{"message":"no space"}'),
    "no JSON": (404, b"<html>no space</html>"),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_an_engine_that_does_not_take_it(context: Path, tmp_path: Path, what: str) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.send(*(200, b"{}") if exchange.path == "/info" else ANSWERS[what])

    with serving(answer) as server:
        done = Lapstrake(tmp_path / "store").build(context, "--load", env={"DOCKER_HOST": f"tcp://{server.host}"})
    assert done.status == 1 and "docker did not take the image: " in done.err and "\x1b" not in done.err
    assert "Traceback" not in done.err
    assert "space" in done.err or "status 404" in done.err


@contextmanager
def _hanging_up(path: Path) -> Iterator[str]:
    """An engine that answers /info, and ends the connection in the middle of what it is sent."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            first, _ = listener.accept()
            first.recv(4096)
            first.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            second, _ = listener.accept()
            second.recv(4096)
            second.close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"unix://{path}"


def test_an_engine_that_hangs_up(context: Path, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as short, _hanging_up(Path(short) / "s") as host:
        done = Lapstrake(tmp_path / "store").build(context, "--load", env={"DOCKER_HOST": host})
    assert done.status == 1 and "docker did not take the image" in done.err and "Traceback" not in done.err


@pytest.mark.oracle
def test_into_a_newer_docker(engine: Engine, context: Path, tmp_path: Path) -> None:
    done = Lapstrake(tmp_path / "store").built(context, "--load", "-t", "app:2", env={"DOCKER_HOST": engine.address})
    assert "importing to docker" in done.err
    assert engine.call("inspect", "-f", "{{.Config.Cmd}}", "app:2").strip() == "[/bin/sh -c /a]"


@pytest.mark.oracle
def test_into_containerds_image_store(buildkit: Engine, context: Path, tmp_path: Path) -> None:
    """Which takes an index, and calls images by the digest of their manifest."""
    lapstrake, env = Lapstrake(tmp_path / "store"), {"DOCKER_HOST": buildkit.address}
    platforms = ("--platform", "linux/amd64,linux/arm64")
    for name, words in (("app:3", ()), ("app:4", platforms)):
        lapstrake.built(context, "--load", *words, "-t", name, "--iidfile", str(tmp_path / "id"), env=env)
        assert buildkit.call("inspect", "-f", "{{.Id}}", name).strip() == (tmp_path / "id").read_text()
    quiet = lapstrake.build(context, "-q", "--load", *platforms, "-t", "app:4", env=env)
    assert quiet.out.strip() == (tmp_path / "id").read_text()
