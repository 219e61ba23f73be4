"""ImageProvenance: how an image was built, as its own attestation says it (`input.image.provenance` of buildx).

in-toto statements with SLSA provenance v0.2 or v1 (https://slsa.dev/provenance), with the fields that BuildKit adds.
It is what somebody wrote beside the image: who that was, only a signature proves.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from builder.policy.signatures.material import Material, ResourceDescriptor, parse_material

T = TypeVar("T")

SLSA02, SLSA1 = "https://slsa.dev/provenance/v0.2", "https://slsa.dev/provenance/v1"
TYPES = (SLSA02, SLSA1)
LIMIT = 64 << 20  # bytes of a statement, which may hold the whole definition of a build
_BUILD_ARG = "build-arg:"


class ConfigSource(msgspec.Struct, frozen=True, omit_defaults=True):
    uri: str = ""
    digest: dict[str, str] = {}
    path: str = ""


class Completeness(msgspec.Struct, frozen=True, omit_defaults=True):
    parameters: bool | None = None
    environment: bool | None = None
    materials: bool | None = None


class ImageProvenance(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """Fields as buildx's policy.ImageProvenance has them, but for the materials.

    started_on, finished_on: RFC 3339 in UTC.
    """

    predicate_type: str
    build_type: str = ""
    builder_id: str = msgspec.field(default="", name="builderID")
    invocation_id: str = msgspec.field(default="", name="invocationID")
    started_on: str = ""
    finished_on: str = ""
    config_source: ConfigSource
    frontend: str = ""
    build_args: dict[str, str] = {}
    raw_args: dict[str, str] = {}
    reproducible: bool | None = None
    hermetic: bool | None = None
    completeness: Completeness | None = None


class ReadProvenance(msgspec.Struct, frozen=True):
    """sources: the materials that can be sources of a build, in their order: named, not yet looked at."""

    shown: ImageProvenance
    sources: tuple[Material, ...]


def parse_provenance(raw: bytes, annotated: str) -> ReadProvenance | None:
    """Read a statement; None where it is no provenance of these two kinds, or malformed, as in buildx.

    annotated: the predicate type that the attestation manifest gives, for a statement that has none.
    """
    if len(raw) > LIMIT or annotated not in TYPES:
        return None
    statement = _decoded(raw, _Statement)
    if statement is None or not bytes(statement.predicate):
        return None
    kind = statement.predicate_type or annotated
    if kind == SLSA1:
        one = _decoded(bytes(statement.predicate), _Predicate1)
        found = None if one is None else _of_slsa1(one)
        return None if one is None or found is None else ReadProvenance(found, _sources1(one))
    if kind == SLSA02:
        old = _decoded(bytes(statement.predicate), _Predicate02)
        found = None if old is None else _of_slsa02(old)
        return None if old is None or found is None else ReadProvenance(found, _sources(old.materials or []))
    return None


# What Go's encoding/json takes for absent is null, too; an unknown field is nothing.
class _Statement(msgspec.Struct, rename="camel"):
    predicate_type: str | None = None
    predicate: msgspec.Raw = msgspec.Raw()


class _Config(msgspec.Struct, rename="camel"):
    uri: str | None = None
    digest: dict[str, str] | None = None
    path: str | None = None
    entry_point: str | None = None

    def public(self, path: str | None) -> ConfigSource:
        return ConfigSource(self.uri or "", self.digest or {}, path or "")


class _Request(msgspec.Struct):
    frontend: str | None = None
    args: dict[str, str] | None = None


class _Builder(msgspec.Struct):
    id: str | None = None


class _External(msgspec.Struct, rename="camel"):
    config_source: _Config | None = None
    request: _Request | None = None


class _Definition(msgspec.Struct, rename="camel"):
    build_type: str | None = None
    external_parameters: _External | None = None
    resolved_dependencies: list[ResourceDescriptor] | None = None


class _Complete1(msgspec.Struct, rename="camel"):
    request: bool | None = None
    resolved_dependencies: bool | None = None


class _Metadata1(msgspec.Struct, rename="camel"):
    invocation_id: str | None = None
    invocation_id_too: str | None = msgspec.field(default=None, name="invocationID")  # to Go's JSON they are the same
    started_on: datetime | None = None
    finished_on: datetime | None = None
    hermetic: bool | None = msgspec.field(default=None, name="buildkit_hermetic")
    reproducible: bool | None = msgspec.field(default=None, name="buildkit_reproducible")
    completeness: _Complete1 | None = msgspec.field(default=None, name="buildkit_completeness")


class _Details(msgspec.Struct):
    builder: _Builder | None = None
    metadata: _Metadata1 | None = None


class _Predicate1(msgspec.Struct, rename="camel"):
    build_definition: _Definition | None = None
    run_details: _Details | None = None


class _Complete02(msgspec.Struct):
    parameters: bool | None = None
    environment: bool | None = None
    materials: bool | None = None


class _Metadata02(msgspec.Struct, rename="camel"):
    build_invocation_id: str | None = msgspec.field(default=None, name="buildInvocationID")
    build_started_on: datetime | None = None
    build_finished_on: datetime | None = None
    completeness: _Complete02 | None = None
    reproducible: bool | None = None
    hermetic: bool | None = msgspec.field(default=None, name="https://mobyproject.org/buildkit@v1#hermetic")


class _Invocation(msgspec.Struct, rename="camel"):
    config_source: _Config | None = None
    parameters: _Request | None = None


class _Predicate02(msgspec.Struct, rename="camel"):
    build_type: str | None = None
    builder: _Builder | None = None
    invocation: _Invocation | None = None
    metadata: _Metadata02 | None = None
    materials: list[ResourceDescriptor] | None = None


def _of_slsa1(predicate: _Predicate1) -> ImageProvenance | None:
    definition = predicate.build_definition or _Definition()
    details = predicate.run_details or _Details()
    builder = (details.builder or _Builder()).id or ""
    if not definition.build_type and not builder:
        return None
    external = definition.external_parameters or _External()
    config, request = external.config_source or _Config(), external.request or _Request()
    found = ImageProvenance(
        predicate_type=SLSA1,
        build_type=definition.build_type or "",
        builder_id=builder,
        config_source=config.public(config.path),
        frontend=request.frontend or "",
        build_args=_build_args(request.args or {}),
        raw_args=request.args or {},
    )
    metadata = details.metadata
    if metadata is None:
        return found
    complete = metadata.completeness or _Complete1()
    return msgspec.structs.replace(
        found,
        invocation_id=metadata.invocation_id or metadata.invocation_id_too or "",
        started_on=_time(metadata.started_on),
        finished_on=_time(metadata.finished_on),
        reproducible=bool(metadata.reproducible),
        hermetic=bool(metadata.hermetic),
        completeness=Completeness(bool(complete.request), None, bool(complete.resolved_dependencies)),
    )


def _of_slsa02(predicate: _Predicate02) -> ImageProvenance | None:
    builder = (predicate.builder or _Builder()).id or ""
    if not predicate.build_type and not builder:
        return None
    invocation = predicate.invocation or _Invocation()
    config, request = invocation.config_source or _Config(), invocation.parameters or _Request()
    found = ImageProvenance(
        predicate_type=SLSA02,
        build_type=predicate.build_type or "",
        builder_id=builder,
        config_source=config.public(config.entry_point),
        frontend=request.frontend or "",
        build_args=_build_args(request.args or {}),
        raw_args=request.args or {},
    )
    metadata = predicate.metadata
    if metadata is None:
        return found
    complete = metadata.completeness or _Complete02()
    return msgspec.structs.replace(
        found,
        invocation_id=metadata.build_invocation_id or "",
        started_on=_time(metadata.build_started_on),
        finished_on=_time(metadata.build_finished_on),
        reproducible=bool(metadata.reproducible),
        hermetic=bool(metadata.hermetic),
        completeness=Completeness(bool(complete.parameters), bool(complete.environment), bool(complete.materials)),
    )


def _decoded(raw: bytes, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _sources1(predicate: _Predicate1) -> tuple[Material, ...]:
    return _sources((predicate.build_definition or _Definition()).resolved_dependencies or [])


def _sources(materials: list[ResourceDescriptor]) -> tuple[Material, ...]:
    found = (parse_material(material) for material in materials)
    return tuple(one for one in found if one is not None)


def _build_args(args: Mapping[str, str]) -> dict[str, str]:
    names = {key: key.removeprefix(_BUILD_ARG) for key in args if key.startswith(_BUILD_ARG)}
    return {name: args[key] for key, name in names.items() if name}


def _time(moment: datetime | None) -> str:
    if moment is None:
        return ""
    try:
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except OverflowError:
        return ""
