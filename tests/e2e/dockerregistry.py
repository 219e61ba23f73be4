"""Debian's docker-registry on loopback: plain, with TLS, with passwords, as a mirror of another one."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.tokenserver import ISSUER, SERVICE

USER, WORD = "me", "word"
_HASHED = "$2y$05$abcdefghijklmnopqrstuuQDoL5Sa/TtfS/XN4AY/jgq.HBbO1BTu"  # bcrypt of WORD


class DockerRegistry:
    """host: `127.0.0.1:PORT`."""

    def __init__(self, host: str) -> None:
        self.host = host

    def push(self, archive: Path, name: str) -> None:
        """Put an OCI archive there, by skopeo."""
        _skopeo("copy", "--dest-tls-verify=false", f"oci-archive:{archive}", f"docker://{self.host}/{name}")

    def digest(self, name: str) -> str:
        return _skopeo("inspect", "--tls-verify=false", "--format", "{{.Digest}}", f"docker://{self.host}/{name}")


def _skopeo(*words: str) -> str:
    if shutil.which("skopeo") is None:
        pytest.skip("skopeo is not installed")
    done = subprocess.run(["skopeo", *words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextmanager
def docker_registry(
    folder: Path,
    *,
    tls: tuple[Path, Path] | None = None,
    passwords: bool = False,
    proxied: str = "",
    entries: int = 0,
    tokens: tuple[str, Path] | None = None,
) -> Iterator[DockerRegistry]:
    """tls: certificate and key. proxied: URL of the registry that it is a mirror of.

    entries: most that its catalog gives at once. tokens: URL of a token server, authority of its certificate.
    """
    if shutil.which("docker-registry") is None:
        pytest.skip("docker-registry is not installed")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{one.getsockname()[1]}"
    http: dict[str, Any] = {"addr": host, "secret": "test"}
    config: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": http,
    }
    if tls is not None:
        http["tls"] = {"certificate": str(tls[0]), "key": str(tls[1])}
    if passwords:
        (folder / "htpasswd").write_text(f"{USER}:{_HASHED}\n")
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    if tokens is not None:
        config["auth"] = {
            "token": {"realm": tokens[0], "service": SERVICE, "issuer": ISSUER, "rootcertbundle": str(tokens[1])}
        }
    if proxied:
        config["proxy"] = {"remoteurl": proxied}
    if entries:
        config["catalog"] = {"maxentries": entries}
    (folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(folder / "config.yml")], stdout=log, stderr=log)
    try:
        _wait(host, process)
        yield DockerRegistry(host)
    finally:
        process.terminate()
        process.wait(20)


def _wait(host: str, process: subprocess.Popen[bytes]) -> None:
    name, _, port = host.partition(":")
    for _ in range(400):
        assert process.poll() is None, "docker-registry ended"
        try:
            socket.create_connection((name, int(port)), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("docker-registry does not listen")
