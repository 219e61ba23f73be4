"""BuildRequest: one `lapstrake build`, as the command line says it, checked for shape and nothing else."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from builder.cli.devices import Grants
from builder.cli.secret import SecretSource
from builder.cli.ssh import SshSource
from builder.errors import SourceFault
from builder.export.annotations import Annotation
from builder.export.options import LOCAL_DELETE
from builder.graph.gitref import parse_git_ref
from builder.graph.operation import HttpSource, RemoteSource, Ulimit
from builder.oci.boolean import parse_bool
from builder.oci.platform import Platform
from builder.oci.reference import Reference
from builder.sandbox.spec import Limits
from builder.source.base import NamedImage
from cache.errors import Fault

if TYPE_CHECKING:
    from builder.policy.options import PolicyOption
    from builder.remotecache.options import CacheSpec

_ENTITLEMENTS = frozenset({"network.host", "security.insecure", LOCAL_DELETE})
_ULIMITS = (
    "as", "core", "cpu", "data", "fsize", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
    "rttime", "sigpending", "stack",
)  # fmt: skip


class BuildRequest(msgspec.Struct, frozen=True, kw_only=True):
    """context: folder, or "-" for the standard input. file: Dockerfile's path, "-", or None for the default one.

    platforms: --platform, each once; empty for this machine's. joined: the result is an index.
    epoch: SOURCE_DATE_EPOCH, or None. shm_size: bytes of /dev/shm, 0 for the usual. limits: of RUN steps.
    metadata_warnings: lint findings in --metadata-file too. verify: build once more, and compare.
    reproducible: there is an epoch in any case, and files are no younger.
    cache_from, cache_to: caches that are elsewhere.
    exact_modes: of context files. policies: --policy. proxy_network: RUN steps have no network but a proxy of ours.
    """

    context: str
    file: str | None = None
    tags: tuple[Reference, ...] = ()
    build_args: tuple[tuple[str, str], ...] = ()
    target: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    platforms: tuple[Platform, ...] = ()
    joined: bool = False
    no_cache: bool = False
    pull: bool = False
    network: str = "default"
    hosts: tuple[tuple[str, str], ...] = ()
    named_folders: tuple[tuple[str, str], ...] = ()
    named_images: tuple[tuple[str, NamedImage], ...] = ()
    named_sources: tuple[tuple[str, RemoteSource], ...] = ()
    outputs: tuple[str, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    iidfile: str = ""
    metadata_file: str = ""
    secrets: tuple[SecretSource, ...] = ()
    ssh: tuple[SshSource, ...] = ()
    allow: frozenset[str] = frozenset()
    devices: Grants = Grants()
    ulimits: tuple[Ulimit, ...] = ()
    no_cache_filter: tuple[str, ...] = ()
    shm_size: int = 0
    limits: Limits = Limits()
    metadata_warnings: bool = False
    epoch: int | None = None
    verify: bool = False
    reproducible: bool = False
    cache_from: tuple[CacheSpec, ...] = ()
    cache_to: tuple[CacheSpec, ...] = ()
    exact_modes: bool = False
    policies: tuple[PolicyOption, ...] = ()
    proxy_network: bool = False


def pairs(option: str, values: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """`k=v` words; a later one of the same name wins."""
    found: dict[str, str] = {}
    for value in values:
        name, _, text = value.partition("=")
        if not name:
            raise Fault(f"invalid {option} {value!r}: want NAME=VALUE")
        found[name] = text
    return tuple(found.items())


def build_args(values: Iterable[str], environment: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """--build-arg words; a name alone takes its value from the environment, or is left out where that has none."""
    found: dict[str, str] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not name:
            raise Fault(f"invalid --build-arg {value!r}: want NAME=VALUE or NAME")
        if equals:
            found[name] = text
        elif name in environment:
            found[name] = environment[name]
    if "SOURCE_DATE_EPOCH" in environment:
        found.setdefault("SOURCE_DATE_EPOCH", environment["SOURCE_DATE_EPOCH"])
    return tuple(found.items())


def epoch(text: str) -> int | None:
    """SOURCE_DATE_EPOCH in seconds; None where it is "" or names a source, which only the Dockerfile knows."""
    if not text.isascii() or not text.isdigit():
        return None
    if len(text) > 12:
        raise Fault(f"invalid SOURCE_DATE_EPOCH: {text}", "give whole seconds since 1970-01-01 UTC")
    return int(text)


def joined(platforms: int, args: Iterable[tuple[str, str]]) -> bool:
    """Whether the result is an index: of several platforms, or as the build argument BUILDKIT_MULTI_PLATFORM says."""
    text = dict(args).get("BUILDKIT_MULTI_PLATFORM", "")
    wanted = parse_bool(text)
    if text and wanted is None:
        raise Fault(f"invalid boolean value for multi-platform: {text}", "use true or false")
    if wanted is False and platforms > 1:
        raise Fault("conflicting config: returning multiple target platforms is not allowed")
    return wanted is True or platforms > 1


def words(values: Iterable[str]) -> tuple[str, ...]:
    """Repeated options whose values may be lists with commas."""
    return tuple(word.strip() for value in values for word in value.split(",") if word.strip())


def entitlements(values: Iterable[str]) -> frozenset[str]:
    """--allow"""
    given = frozenset(words(values))
    if any(word.startswith(f"{LOCAL_DELETE}=") for word in given):
        raise Fault(f"{LOCAL_DELETE} does not accept a value", f"give --allow {LOCAL_DELETE}")
    for word in sorted(given - _ENTITLEMENTS):
        raise Fault(
            f"invalid entitlement {word!r} in --allow", f"known: {', '.join(sorted(_ENTITLEMENTS | {'device'}))}"
        )
    return given


def byte_count(option: str, text: str) -> int:
    """`64m`, `1g`, `1024`: bytes with a unit of 1024s, as Docker reads them (go-units RAMInBytes)."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?", text.strip().lower())
    if match is None:
        raise Fault(f"invalid {option} {text!r}", "want a number of bytes, or one with k, m or g")
    return int(float(match[1]) * 1024 ** " kmgtp".index(match[2] or " "))


def ulimit(value: str) -> Ulimit:
    """--ulimit `name=soft[:hard]`; -1 and unlimited mean no limit."""
    name, equals, text = value.partition("=")
    soft, colon, hard = text.partition(":")
    numbers = [-1 if part == "unlimited" else part for part in (soft, hard if colon else soft)]
    if name not in _ULIMITS or not equals or not all(re.fullmatch(r"-1|\d{1,18}", str(n)) for n in numbers):
        raise Fault(f"invalid --ulimit {value!r}", f"want NAME=SOFT[:HARD], NAME one of {', '.join(_ULIMITS)}")
    low, high = int(numbers[0]), int(numbers[1])
    if high != -1 and not 0 <= low <= high:
        raise Fault(f"invalid --ulimit {value!r}: the soft limit is above the hard one")
    return Ulimit(name, low, high)


def host_entry(value: str) -> tuple[str, str]:
    """--add-host `name:address` or `name=address`, the address of an IPv6 host possibly in brackets."""
    import ipaddress

    cut = "=" if "=" in value else ":"
    name, _, address = value.partition(cut)
    address = address.removeprefix("[").removesuffix("]")
    if address == "host-gateway":
        address = "127.0.0.1"  # steps share the machine's network
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise Fault(f"invalid --add-host {value!r}", "want NAME:ADDRESS") from None
    if not name or any(c.isspace() for c in name):
        raise Fault(f"invalid --add-host {value!r}", "want NAME:ADDRESS")
    return name, address


def named_context(value: str) -> tuple[str, str | NamedImage | RemoteSource]:
    """--build-context `name=source`: a folder, files from elsewhere, or an image."""
    name, equals, source = value.partition("=")
    if not name or not equals or not source:
        raise Fault(f"invalid --build-context {value!r}: want NAME=SOURCE")
    _check_context_name(name)
    for kind in ("oci-layout", "docker-archive"):
        if source.startswith(f"{kind}://"):
            path, selector = _selector(source.removeprefix(f"{kind}://"))
            return name, NamedImage(kind, os.path.abspath(path), selector)
    if source.startswith("docker-image://"):
        return name, NamedImage("docker-image", source.removeprefix("docker-image://"))
    remote = remote_context(source)
    if remote is not None:
        return name, remote
    if source.startswith("target:"):
        raise SourceFault(
            f"failed to find target {source.removeprefix('target:')} for context {name}", "only bake has targets"
        )
    if "://" in source:
        raise SourceFault(
            f"unsupported context source {source.partition('://')[0]} for {name}",
            "give a folder, a URL, a git repository, docker-image://, oci-layout:// or docker-archive://",
        )
    return name, os.path.abspath(source)


def _check_context_name(name: str) -> None:
    """It stands for an image or a stage: what is no name of either would never be asked for."""
    if name == "context":
        raise Fault("invalid context name context: it is the build context itself", "choose another name")
    try:
        Reference.parse(name.partition("::")[0])
    except Fault as error:
        raise Fault(f"invalid context name {name}: {error.message}", error.hint) from None


def remote_context(source: str, keep_git_dir: bool = False) -> RemoteSource | None:
    """A context that is a git repository or a URL, None for any other. Raises SourceFault."""
    found = parse_git_ref(source)
    if found is not None and not (found.like_a_path and os.path.exists(source)):
        remote = f"https://{found.remote}" if "://" not in found.remote and found.like_a_path else found.remote
        return replace(found, remote=remote, keep_git_dir=keep_git_dir or found.keep_git_dir).source()
    if source.startswith(("http://", "https://")):
        return HttpSource(url=source, name="context")
    return None


def _selector(text: str) -> tuple[str, str]:
    path, at, digest = text.partition("@")
    if at:
        return path, digest
    head, colon, tag = text.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (text, "")
