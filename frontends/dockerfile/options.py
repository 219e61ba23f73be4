"""LowerOptions: what the command line says of one build, as far as it decides the graph."""

from __future__ import annotations

import msgspec

from builder.graph.operation import RemoteSource, Ulimit
from builder.oci.platform import Platform, normalise
from builder.oci.reference import Reference
from cache.errors import Fault

_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
_PREDEFINED = frozenset({
    "BUILDPLATFORM", "BUILDOS", "BUILDOSVERSION", "BUILDARCH", "BUILDVARIANT", "TARGETPLATFORM", "TARGETOS",
    "TARGETOSVERSION", "TARGETARCH", "TARGETVARIANT", "TARGETSTAGE", "SOURCE_DATE_EPOCH",
})  # fmt: skip


class LowerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """build_args: --build-arg with its value. target: --target, "" for the last stage. labels: --label.

    platform: what is built; platform_given: by --platform, so it overrides the base image's. network: default, none
    or host. hosts: names of --add-host. contexts: --build-context by name, "local", "remote" or "image"; a name may end
    in `::PLATFORM`. several: steps are named with their platform. sources: what remote ones are, by name; "context" if
    the build context is one. archive: that one is a tar archive. allow: --allow. ulimits: of every RUN.
    shm_size: bytes of its /dev/shm, 0 for the usual.
    no_cache_filter: names of stages whose steps are to run in any case.
    """

    platform: Platform
    build_platform: Platform
    platform_given: bool = False
    several: bool = False
    build_args: dict[str, str] = {}
    target: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    network: str = "default"
    hosts: tuple[str, ...] = ()
    contexts: dict[str, str] = {}
    sources: dict[str, RemoteSource] = {}
    archive: bool = False
    allow: frozenset[str] = frozenset()
    ulimits: tuple[Ulimit, ...] = ()
    shm_size: int = 0
    no_cache_filter: tuple[str, ...] = ()

    @property
    def hostname(self) -> str:
        return self.build_args.get("BUILDKIT_SANDBOX_HOSTNAME") or "buildkitsandbox"

    def context(self, name: str, platform: Platform | None = None) -> str:
        """The key in contexts that stands for an image or stage name, or ""; one for the platform goes first."""
        if name.lower() in ("scratch", "context"):
            return ""
        wanted, place = _familiar(name), normalise(platform or self.platform).full
        keys = {(_familiar(key.partition("::")[0]), key.partition("::")[2]): key for key in reversed(self.contexts)}
        return keys.get((wanted, place)) or keys.get((wanted, ""), "")


def proxy_env(build_args: dict[str, str]) -> tuple[str, ...]:
    """The proxy settings among the build arguments, in both cases, for every RUN and for no key or history."""
    found: dict[str, str] = {}
    for name in sorted(build_args):
        if name.lower() in _PROXIES:
            found[name.upper()] = found[name.lower()] = build_args[name]
    return tuple(f"{name}={found[name]}" for name in sorted(found))


def is_predefined(name: str) -> bool:
    """Whether a build argument means something without an ARG line."""
    return name in _PREDEFINED or name.lower() in _PROXIES or name.startswith("BUILDKIT_")


def _familiar(name: str) -> str:
    try:
        return Reference.parse(name).familiar.removesuffix(":latest")
    except Fault:
        return name
