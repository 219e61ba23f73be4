"""Engines: a Docker or Podman of this machine that takes images, by its API (POST /images/load) or by `podman load`."""

from __future__ import annotations

import http.client
import os
import shutil
import ssl
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Protocol
from urllib.parse import urlsplit

from builder.errors import OutputFault
from builder.export.dockercontext import engine_of_context
from builder.export.podmanload import Podman
from builder.export.socketengine import SocketEngine, words
from builder.export.target import Sink

_PORTS = {False: 2375, True: 2376}  # as dockerd's documentation has them


class Engine(Protocol):
    """name: docker or podman. indexes: whether it takes images of several platforms."""

    name: str
    indexes: bool

    def open(self, size: int) -> AbstractContextManager[Sink]:
        """A context that gives a Sink for a tar of `size` bytes; at its end the engine has it, or OutputFault."""
        ...


def find(environment: Mapping[str, str]) -> Engine:
    """That of $DOCKER_HOST or Docker's context, else the first that answers. Raises OutputFault where none does."""
    given = environment.get("DOCKER_HOST") or engine_of_context(environment)
    if given:
        engine = _at(given, environment)
        try:
            engine.ask()
        except (OSError, http.client.HTTPException) as error:
            raise OutputFault(
                f"Cannot connect to the Docker daemon at {given}: {words(error)}",
                "start it, set DOCKER_HOST right, or write a file: -o type=docker,dest=FILE",
            ) from error
        return engine
    for name, path in _sockets(environment):
        with suppress(OSError, http.client.HTTPException):
            found = SocketEngine(path, name)
            found.ask()
            return found
    if shutil.which("podman", path=environment.get("PATH")):
        return Podman()
    raise OutputFault(
        "there is no Docker or Podman here to load the image into",
        "start one, set DOCKER_HOST, write a file with -o type=docker,dest=FILE, or drop --load",
    )


def _sockets(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Where engines listen if nobody says otherwise, those of the user last."""
    own = environment.get("XDG_RUNTIME_DIR", "")
    yield "docker", "/var/run/docker.sock"
    if own:
        yield "docker", f"{own}/docker.sock"
    if os.geteuid() == 0:
        yield "podman", "/run/podman/podman.sock"
    elif own:
        yield "podman", f"{own}/podman/podman.sock"


def _at(given: str, environment: Mapping[str, str]) -> SocketEngine:
    if given.startswith("unix://"):
        return SocketEngine(given.removeprefix("unix://"), "docker")
    parts = urlsplit(given)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if parts.scheme not in ("tcp", "http", "https") or not host:
        raise OutputFault(
            f"DOCKER_HOST={given} is not supported: want unix://PATH or tcp://HOST:PORT",
            "write an archive instead: lapstrake build -o type=docker,dest=- . | docker load",
        )
    secure = parts.scheme == "https" or bool(environment.get("DOCKER_TLS_VERIFY"))
    trust = _trust(environment) if secure else None
    return SocketEngine((host, port or _PORTS[secure]), "docker", trust)


def _trust(environment: Mapping[str, str]) -> ssl.SSLContext:
    folder = environment.get("DOCKER_CERT_PATH") or os.path.join(environment.get("HOME", "/"), ".docker")
    ca, certificate, key = (os.path.join(folder, name) for name in ("ca.pem", "cert.pem", "key.pem"))
    try:
        context = ssl.create_default_context(cafile=ca if os.path.exists(ca) else None)
        if os.path.exists(certificate):
            context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise OutputFault(f"the certificates in {folder} cannot be used: {words(error)}") from error
    return context
