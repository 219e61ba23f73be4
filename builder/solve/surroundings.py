"""Surroundings: what every step of a build is given, and no key holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import msgspec

from builder.graph.operation import Device
from builder.layer.limits import Limits as UnpackLimits
from builder.sandbox.spec import Given, Limits
from cache.digest import Digest

if TYPE_CHECKING:
    from builder.proxy.recordingproxy import RecordingProxy
    from builder.proxy.requests import Request

Secrets = Callable[[str], bytes | None]
"""The value of a secret by its id, None where there is none."""

Agents = Callable[[str], str | None]
"""The path of an ssh agent's socket by its id, None where there is none."""


def _nothing(name: str) -> None:
    return None


def _nowhere(name: str, path: str) -> bool:
    return False


def _no_devices(wanted: tuple[Device, ...]) -> Given:
    return Given()


class Recording(Protocol):
    """The proxy that steps reach the network by, and who is told what they asked it for."""

    def recorder(self) -> RecordingProxy:
        """The same each time; made when it is first wanted."""
        ...

    def asked(self, step: Digest, requests: tuple[Request, ...]) -> None:
        """Called once a step has ended."""
        ...


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """proxy: `NAME=value` of the predefined proxy arguments. addresses: of the names of --add-host. resolv_conf: text
    of /etc/resolv.conf. mtime: seconds, of every file that the builder itself makes or takes from a client folder.
    secrets: values of --secret. agents: sockets of --ssh. limits: --resource and --cgroup-parent. warn: of limits that
    cannot be kept, and of owners. devices: what those of RUN --device add to a step. unpack: limits of each archive
    that ADD extracts. restore: as for CacheMounts. recording: of --proxy-network, None where steps have the network as
    it is.
    """

    proxy: tuple[str, ...] = ()
    addresses: tuple[tuple[str, str], ...] = ()
    resolv_conf: str = ""
    mtime: int = 0
    secrets: Secrets = _nothing
    agents: Agents = _nothing
    limits: Limits = Limits()
    warn: Callable[[str], None] = _nothing
    devices: Callable[[tuple[Device, ...]], Given] = _no_devices
    unpack: UnpackLimits = UnpackLimits()
    restore: Callable[[str, str], bool] = _nowhere
    recording: Recording | None = None
