"""The value of -o/--output, as docker buildx reads it: CSV of key=value, a bare path, or `-`."""

from __future__ import annotations

import msgspec

from builder.errors import OutputFault
from builder.export.annotations import Annotation, from_attribute
from builder.export.attributes import compression, fields_of, level, truth

_COMPRESSION = (
    "compression", "compression-level", "force-compression", "name", "oci-mediatypes", "oci-artifact",
    "rewrite-timestamp", "source-date-epoch", "prefer-nondist-layers", "attestation-inline",
)  # fmt: skip
_PUSH = ("push", "push-by-digest", "registry.insecure")
_FILES = frozenset({"mode", "platform-split", "attestation-prefix", "source-date-epoch"})
# What an output may be told not to do, which it does not do anyway, and why it cannot do it.
_REFUSED = {
    "prefer-nondist-layers": "layers of other origin are always kept with the image",
    "name-canonical": "an image of the local store is found by its digest without a name",
}
_KEYS = {
    "docker": frozenset({"tar", *_COMPRESSION}),
    "oci": frozenset({"tar", *_COMPRESSION}),
    "image": frozenset({*_PUSH, "store", "unpack", "name-canonical", "dangling-name-prefix", *_COMPRESSION}),
    "registry": frozenset({*_PUSH, "store", "unpack", "dangling-name-prefix", *_COMPRESSION}),
    "tar": _FILES,
    "local": _FILES,
    "cacheonly": frozenset[str](),
}
LOCAL_DELETE = "buildx.local.delete"
"""What --allow is given for mode=delete where the folder is not below the working directory."""

IMAGES = ("docker", "oci", "image", "registry")  # the outputs that are an image


class OutputSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One output. kind: docker, oci, tar, local, image (the local image store),
    registry or cacheonly. push: to a registry, too; by_digest: without its tag; insecure: without TLS.

    dest: path, "-" for the standard output, "" where there is none: docker is then for an engine that runs here. names:
    given by name=. compression: "" for as it is. level: None for the codec's usual one. force: base layers too. tar:
    False for a folder (oci). docker_types: Docker's media types instead of OCI's. rewrite: no member of the build's own
    layers is younger than the epoch. epoch: source-date-epoch, None for that of the build. split: a folder for each
    platform (local, tar), None for where there are several. delete: what the result has not goes from the folder.
    prefix: the image is named by its digest, too: `prefix@sha256:…`.
    """

    kind: str
    dest: str = ""
    names: tuple[str, ...] = ()
    compression: str = ""
    level: int | None = None
    force: bool = False
    tar: bool = True
    docker_types: bool = False
    rewrite: bool = False
    epoch: int | None = None
    annotations: tuple[Annotation, ...] = ()
    push: bool = False
    by_digest: bool = False
    insecure: bool = False
    split: bool | None = None
    delete: bool = False
    prefix: str = ""


def parse_output(text: str) -> OutputSpec:
    """Read one -o value; raises OutputFault in buildx's words where it has some."""
    if not text:
        raise OutputFault("type is required for output", "give type=docker,dest=FILE, or a folder")
    fields = fields_of(text)
    if len(fields) == 1 and fields[0] == text and not text.startswith("type="):
        return OutputSpec(kind="tar", dest="-") if text == "-" else OutputSpec(kind="local", dest=text)
    values: dict[str, str] = {}
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals:
            raise OutputFault(f"invalid value {field}", "want KEY=VALUE, separated by commas")
        key = key.strip()
        values[key if key.lower().startswith("annotation") else key.lower()] = value
    return _spec(values)


def with_shorthands(given: tuple[str, ...], push: bool, load: bool) -> tuple[str, ...]:
    """The values of -o with those that --push and --load stand for (buildx's commands/build.go)."""
    specs = [parse_output(text) for text in given] if push or load else []
    if push:
        given = tuple(f"{text},push=true" if s.kind == "image" else text for s, text in zip(specs, given, strict=True))
        if not any(spec.kind in ("image", "registry") for spec in specs):
            given = (*given, "type=registry")
    if load and not any(spec.kind == "docker" and not spec.dest for spec in specs):
        given = (*given, "type=docker")
    return given


def _spec(values: dict[str, str]) -> OutputSpec:
    kind, dest = values.pop("type", ""), values.pop("dest", "")
    if not kind:
        raise OutputFault("type is required for output", f"want type= one of: {', '.join(_KEYS)}")
    if kind not in _KEYS:
        raise OutputFault(f'exporter "{kind}" could not be found', f"want type= one of: {', '.join(_KEYS)}")
    annotations = _annotations(kind, values)
    for key in values:
        if key not in _KEYS[kind]:
            known = ", ".join(sorted({"type", "dest", *_KEYS[kind]}))
            raise OutputFault(f'unknown attribute "{key}" for {kind} output', f"known: {known}")
    docker_types = not truth(values, "oci-mediatypes", True)
    _check(values, docker_types)
    tar = truth(values, "tar", True)
    if kind == "docker" and not tar:
        raise OutputFault("tar=false is not supported for docker exporter", "use type=oci,tar=false")
    return OutputSpec(
        kind=kind,
        dest=_dest(kind, dest, tar),
        names=tuple(n.strip() for n in values.get("name", "").split(",") if n.strip()),
        compression=compression(values.get("compression", "")),
        level=level(values),
        force=truth(values, "force-compression", False),
        tar=tar,
        docker_types=docker_types,
        rewrite=truth(values, "rewrite-timestamp", False),
        epoch=_epoch(values.get("source-date-epoch", "")),
        annotations=annotations,
        push=kind == "registry" or truth(values, "push", False),
        by_digest=truth(values, "push-by-digest", False),
        insecure=truth(values, "registry.insecure", False),
        split=truth(values, "platform-split", True) if "platform-split" in values else None,
        delete=kind == "local" and _mode(values) == "delete",
        prefix=values.get("dangling-name-prefix", ""),
    )


def _annotations(kind: str, values: dict[str, str]) -> tuple[Annotation, ...]:
    """Those among an output's attributes, which they leave."""
    found = []
    for name in [key for key in values if key.startswith("annotation")] if kind in IMAGES else []:
        annotation = from_attribute(name, values[name])
        if annotation is not None:
            found.append(annotation)
            del values[name]
    return tuple(found)


def _check(values: dict[str, str], docker_types: bool) -> None:
    for key, reason in _REFUSED.items():
        if truth(values, key, False):
            raise OutputFault(f"{key}=true is not supported", reason)
    if docker_types and values.get("compression") == "zstd":
        raise OutputFault('exporter option "compression=zstd" conflicts with "oci-mediatypes=false"')
    if truth(values, "oci-artifact", False) and docker_types:
        raise OutputFault('exporter option "oci-artifact=true" conflicts with "oci-mediatypes=false"')
    for key in ("platform-split", "attestation-inline", "unpack", "store"):
        truth(values, key, False)
    if _mode(values) not in ("copy", "delete"):
        raise OutputFault(f'invalid local exporter mode "{values["mode"]}"', "want copy or delete")


def _mode(values: dict[str, str]) -> str:
    return values.get("mode", "").strip().lower() or "copy"


def _epoch(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise OutputFault(f"invalid source-date-epoch: {text}", "give whole seconds since 1970-01-01 UTC")
    return int(text)


def _dest(kind: str, dest: str, tar: bool) -> str:
    if kind in ("image", "registry", "cacheonly"):
        if dest:
            raise OutputFault(f"dest is not supported for {kind} exporter", "use type=docker or type=oci for a file")
        return ""
    if kind == "local" or not tar:
        if not dest:
            raise OutputFault(f"dest is required for {kind} exporter", "give dest=FOLDER")
        if dest == "-":
            raise OutputFault(f"dest cannot be stdout for {kind} exporter", "give dest=FOLDER")
        return dest
    return dest or ("" if kind == "docker" else "-")
