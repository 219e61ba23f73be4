"""The value of -o/--output, as docker buildx reads it: CSV of key=value, a bare path, or `-`."""

from __future__ import annotations

import msgspec

from builder.errors import OutputFault

_COMPRESSION = ("compression", "compression-level", "force-compression", "name", "oci-mediatypes")
_KEYS = {
    "docker": frozenset({"tar", *_COMPRESSION}),
    "oci": frozenset({"tar", *_COMPRESSION}),
    "image": frozenset({"push", "store", "unpack", *_COMPRESSION}),
    "tar": frozenset[str](),
    "local": frozenset[str](),
    "cacheonly": frozenset[str](),
}
_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")


class OutputSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One output. kind: docker, oci, tar, local, image (the local image store) or cacheonly.

    dest: path, "-" for the standard output, "" where there is none. names: given by name=. compression: "" for as it
    is. level: None for the codec's usual one. force: base layers too. tar: False for a folder (oci).
    """

    kind: str
    dest: str = ""
    names: tuple[str, ...] = ()
    compression: str = ""
    level: int | None = None
    force: bool = False
    tar: bool = True


def parse_output(text: str) -> OutputSpec:
    """Read one -o value; raises OutputFault in buildx's words where it has some."""
    fields = _csv(text)
    if len(fields) == 1 and fields[0] == text and not text.startswith("type="):
        if not text:
            raise OutputFault("type is required for output", "give type=docker,dest=FILE, or a folder")
        return OutputSpec(kind="tar", dest="-") if text == "-" else OutputSpec(kind="local", dest=text)
    values: dict[str, str] = {}
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals:
            raise OutputFault(f"invalid value {field}", "want KEY=VALUE, separated by commas")
        values[key.strip().lower()] = value
    return _spec(values)


def _spec(values: dict[str, str]) -> OutputSpec:
    kind, dest = values.pop("type", ""), values.pop("dest", "")
    if not kind:
        raise OutputFault("type is required for output", f"want type= one of: {', '.join(_KEYS)}")
    if kind == "registry" or _truth(values, "push", False):
        raise OutputFault("pushing to a registry is not supported", "write type=oci,dest=FILE and push that file")
    if kind not in _KEYS:
        raise OutputFault(f'exporter "{kind}" could not be found', f"want type= one of: {', '.join(_KEYS)}")
    for key in values:
        if key not in _KEYS[kind]:
            known = ", ".join(sorted({"type", "dest", *_KEYS[kind]}))
            raise OutputFault(f'unknown attribute "{key}" for {kind} output', f"known: {known}")
    if not _truth(values, "oci-mediatypes", True):
        raise OutputFault("oci-mediatypes=false is not supported", "all readers of Docker images know the OCI types")
    tar = _truth(values, "tar", True)
    if kind == "docker" and not tar:
        raise OutputFault("tar=false is not supported for docker exporter", "use type=oci,tar=false")
    return OutputSpec(
        kind=kind,
        dest=_dest(kind, dest, tar),
        names=tuple(n.strip() for n in values.get("name", "").split(",") if n.strip()),
        compression=_compression(values.get("compression", "")),
        level=_level(values),
        force=_truth(values, "force-compression", False),
        tar=tar,
    )


def _dest(kind: str, dest: str, tar: bool) -> str:
    if kind in ("image", "cacheonly"):
        if dest:
            raise OutputFault(f"dest is not supported for {kind} exporter", "use type=docker or type=oci for a file")
        return ""
    if kind == "local" or not tar:
        if not dest:
            raise OutputFault(f"dest is required for {kind} exporter", "give dest=FOLDER")
        if dest == "-":
            raise OutputFault(f"dest cannot be stdout for {kind} exporter", "give dest=FOLDER")
        return dest
    return dest or "-"


def _compression(name: str) -> str:
    if name not in ("", "uncompressed", "gzip", "zstd"):
        raise OutputFault(f"unsupported layer compression type {name!r}", "use one of: uncompressed, gzip, zstd")
    return name


def _level(values: dict[str, str]) -> int | None:
    """Its range is the codec's to check."""
    text = values.get("compression-level")
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise OutputFault(f"non-integer value {text!r} specified for compression-level") from None


def _truth(values: dict[str, str], key: str, default: bool) -> bool:
    """A boolean in the forms that Go's strconv.ParseBool takes."""
    text = values.get(key)
    if text is None:
        return default
    if text == "" or text in _TRUE:  # `push=` stands for true, as BuildKit has it
        return True
    if text in _FALSE:
        return False
    raise OutputFault(f"non-bool value {text!r} specified for {key}", "use true or false")


def _csv(text: str) -> list[str]:
    if '"' not in text:
        return text.split(",")
    import csv

    try:
        return next(csv.reader([text], strict=True))
    except (csv.Error, StopIteration) as error:
        raise OutputFault(f"invalid value {text}: {error}") from error
