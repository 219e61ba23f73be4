"""The registry client as the environment has it: files of the user and the system, proxies, clock."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from builder.registry.credentials import Credentials
    from builder.registry.registries import Registries
    from builder.transport.transport import Transport

_SYSTEM = "/etc/containers"
_CERTS = ("/etc/docker/certs.d", "/etc/containers/certs.d")


@contextmanager
def opened_registries(
    environment: Mapping[str, str], insecure: bool = False, warn: Callable[[str], None] | None = None
) -> Iterator[Registries]:
    """insecure: neither certificates nor TLS are asked for. warn: told what they and files warn of; None: stderr."""
    from builder.registry import registriesconf
    from builder.registry.registries import Registries

    strict, lax = make_transport(environment, insecure), make_transport(environment, insecure=True)
    paths, folders = _conf_places(environment)
    told = warn or (lambda text: click.echo(f"WARNING: {text}", err=True))
    registries = Registries(
        strict,
        registriesconf.load(paths, folders),
        credentials(environment, told),
        time.monotonic,
        insecure,
        lax,
        told,
    )
    try:
        yield registries
    except KeyboardInterrupt:
        registries.cancel()
        raise
    finally:
        strict.close()
        lax.close()


def make_transport(environment: Mapping[str, str], insecure: bool = False) -> Transport:
    """Requests with the trust of certs.d, and through the proxies of the environment."""
    from builder.registry.certsd import tls
    from builder.registry.names import is_local
    from builder.transport.proxies import Proxies
    from builder.transport.transport import Transport

    home = environment.get("HOME", "")
    folders = (*((f"{home}/.config/containers/certs.d", f"{home}/.docker/certs.d") if home else ()), *_CERTS)
    return Transport(
        agent="lapstrake",
        now=time.time,
        tls=lambda origin: tls(folders, origin.name, insecure or is_local(origin.name)),
        proxies=Proxies.of(environment),
    )


def credentials(environment: Mapping[str, str], warn: Callable[[str], None] = lambda text: None) -> Credentials:
    """config.json of Docker, then auth.json of containers, at their places (containers-auth.json(5))."""
    from builder.registry.credentials import Credentials

    home = environment.get("HOME", "") or "/"
    docker = environment.get("DOCKER_CONFIG") or os.path.join(home, ".docker")
    runtime = environment.get("XDG_RUNTIME_DIR") or f"/run/containers/{os.geteuid()}"
    own = environment.get("REGISTRY_AUTH_FILE")
    config = environment.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    others = (
        (own,)
        if own
        else (
            os.path.join(runtime, "containers" if environment.get("XDG_RUNTIME_DIR") else "", "auth.json"),
            os.path.join(config, "containers", "auth.json"),
        )
    )
    return Credentials(os.path.join(docker, "config.json"), others, warn=warn)


def _conf_places(environment: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    given = environment.get("CONTAINERS_REGISTRIES_CONF")
    if given:
        return (given,), ()
    home = environment.get("HOME", "")
    config = environment.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else "")
    own = (
        ((f"{config}/containers/registries.conf",), (f"{config}/containers/registries.conf.d",)) if config else ((), ())
    )
    return (*own[0], f"{_SYSTEM}/registries.conf"), (f"{_SYSTEM}/registries.conf.d", *own[1])
