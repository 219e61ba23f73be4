"""The values of --cache-from and --cache-to, as docker buildx reads them: CSV of key=value, or an image's name."""

from __future__ import annotations

import re

import msgspec

from builder.errors import OutputFault, SourceFault
from builder.export.attributes import compression, fields_of, level, truth
from builder.oci.reference import Reference
from cache.digest import Digest

_COMPRESSION = ("compression", "compression-level", "force-compression")
_EXPORT = ("mode", "ignore-error", "mounts", "mounts-max-size", *_COMPRESSION)
_FORM = ("image-manifest", "oci-mediatypes")
_S3 = (
    "bucket", "region", "prefix", "name", "blobs_prefix", "manifests_prefix", "endpoint_url", "use_path_style",
    "access_key_id", "secret_access_key", "session_token", "touch_refresh", "upload_parallelism", "retry_mode",
    "retry_max_attempts", "disable_accept_encoding",
)  # fmt: skip
# One list for both directions, since people give the same text to both.
_KEYS = {
    "registry": frozenset({"ref", "registry.insecure", *_FORM, *_EXPORT}),
    "local": frozenset({"src", "dest", "tag", "digest", "reset", *_FORM, *_EXPORT}),
    "inline": frozenset({"mode", "ignore-error"}),
    "s3": frozenset({*_S3, *_EXPORT}),
}
_REFUSED = {
    "gha": "keep the cache in a folder that actions/cache restores (type=local), or in a registry (type=registry)",
    "azblob": "use type=registry, or type=s3 by a gateway that speaks S3",
}
_MOUNTS_LIMIT = 2 << 30  # bytes
_SIZE = re.compile(r"(\d{1,15}) ?([kmgt]?)(?:i?b)?\Z")
_ENDPOINT = re.compile(r"https?://[^/@\s]+(?:/[^@\s]*)?\Z")
_DURATION = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s)?\Z")


class S3Options(msgspec.Struct, frozen=True, kw_only=True):
    """Where in S3. names: of the manifest; the first one is read. touch_refresh: seconds. credentials: id, key, token.

    A bucket and region that are "" come from the environment; so do credentials, or from the user's files.
    """

    bucket: str = ""
    region: str = ""
    prefix: str = ""
    names: tuple[str, ...] = ("buildkit",)
    blobs_prefix: str = "blobs/"
    manifests_prefix: str = "manifests/"
    endpoint_url: str = ""
    path_style: bool = False
    credentials: tuple[str, str, str] = ("", "", "")
    touch_refresh: int = 24 * 3600
    parallelism: int = 4
    retry_mode: str = ""
    retry_attempts: int = 0

    def __repr__(self) -> str:
        return f"S3Options({self.bucket}, {self.prefix}, {self.names})"  # never the credentials


class CacheSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One --cache-from or --cache-to. kind: registry, local, inline or s3.

    path: the folder (local). digest: of the manifest to read instead of the tag's. everything: results of all steps
    with their layers (mode=max), else the layers of the image only. manifest: as an image manifest, else as an index.
    docker_types: the index's media type is Docker's. reset: blobs of the folder that no tag names go.
    mounts: cache mounts are taken or given, too, which BuildKit never does; mounts_limit: bytes of all that are given.
    problem: why nothing can be taken, which is a warning as for any import, and no other field counts.
    """

    kind: str
    reference: Reference | None = None
    insecure: bool = False
    path: str = ""
    tag: str = "latest"
    digest: Digest | None = None
    reset: bool = False
    s3: S3Options | None = None
    everything: bool = False
    manifest: bool = True
    docker_types: bool = False
    compression: str = ""
    level: int | None = None
    ignore_error: bool = False
    mounts: bool = False
    mounts_limit: int = _MOUNTS_LIMIT
    problem: str = ""


def parse_cache_from(texts: tuple[str, ...]) -> tuple[CacheSpec, ...]:
    """--cache-from, each with one place or a list of image names. Raises SourceFault, OutputFault, ImageFault."""
    return tuple(_spec(values, False) for text in texts for values in _entries(text))


def parse_cache_to(texts: tuple[str, ...]) -> tuple[CacheSpec, ...]:
    """--cache-to, the same."""
    return tuple(_spec(values, True) for text in texts for values in _entries(text))


def _entries(text: str) -> list[dict[str, str]]:
    fields = fields_of(text) if text else []
    if "=" not in text:
        return [{"type": "registry", "ref": field} for field in fields]
    values: dict[str, str] = {}
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals:
            raise OutputFault(f"invalid value {field}", "want KEY=VALUE, separated by commas")
        values[key.lower()] = value
    if not values.get("type"):
        raise OutputFault(f'type required for "{text}"', f"want type= one of: {', '.join(_KEYS)}")
    return [values]


def _spec(values: dict[str, str], export: bool) -> CacheSpec:
    kind = values.pop("type")
    way = "exporter" if export else "importer"
    if kind in _REFUSED:
        raise OutputFault(f"cache {way} {kind} is not supported", _REFUSED[kind])
    if not export and (kind not in _KEYS or kind == "inline"):
        hint = ": what it wrote is read by type=registry, with the image's name" if kind == "inline" else ""
        return CacheSpec(kind=kind, problem=f"unknown cache importer: {kind}{hint}")
    if kind not in _KEYS:
        raise OutputFault(f'unknown cache exporter: "{kind}"', f"want type= one of: {', '.join(_KEYS)}")
    for key in values:
        if key not in _KEYS[kind]:
            known = ", ".join(sorted({"type", *_KEYS[kind]}))
            raise OutputFault(f'unknown attribute "{key}" for {kind} cache', f"known: {known}")
    docker_types = not truth(values, "oci-mediatypes", True)
    manifest = truth(values, "image-manifest", not docker_types)
    if manifest and docker_types:
        raise OutputFault(
            "invalid configuration for remote cache, OCI mediatypes are required for image-manifest cache format",
            "drop oci-mediatypes=false, or add image-manifest=false",
        )
    truth(values, "force-compression", False)
    return CacheSpec(
        kind=kind,
        reference=_reference(values, way) if kind == "registry" else None,
        insecure=truth(values, "registry.insecure", False),
        path=_folder(values, export) if kind == "local" else "",
        tag=_tag(values),
        digest=Digest.parse(values["digest"]) if values.get("digest") else None,
        reset=truth(values, "reset", False),
        s3=_s3(values) if kind == "s3" else None,
        everything=_everything(values) and kind != "inline",
        manifest=manifest,
        docker_types=docker_types,
        compression=compression(values.get("compression", "")),
        level=level(values),
        ignore_error=truth(values, "ignore-error", False),
        mounts=truth(values, "mounts", False),
        mounts_limit=_size(values),
    )


def _reference(values: dict[str, str], way: str) -> Reference:
    if not values.get("ref"):
        raise OutputFault(f"registry cache {way} requires ref", "give ref=REGISTRY/NAME:TAG")
    return Reference.parse(values["ref"])


def _folder(values: dict[str, str], export: bool) -> str:
    key, way = ("dest", "exporter") if export else ("src", "importer")
    if not values.get(key):
        raise OutputFault(f"local cache {way} requires {key}", f"give {key}=FOLDER")
    return values[key]


def _tag(values: dict[str, str]) -> str:
    tag = values.get("tag", "latest")
    if not tag:
        raise SourceFault(
            'local cache importer requires either explicit digest, "latest" tag or custom tag on index.json'
        )
    return tag


def _everything(values: dict[str, str]) -> bool:
    mode = values.get("mode", "min")
    if mode not in ("min", "max"):
        raise OutputFault(f"invalid cache export mode {mode!r}", "use mode=min or mode=max")
    return mode == "max"


def _size(values: dict[str, str]) -> int:
    text = values.get("mounts-max-size")
    if text is None:
        return _MOUNTS_LIMIT
    found = _SIZE.match(text.lower())
    if found is None:
        raise OutputFault(f"invalid mounts-max-size {text!r}", "want a number of bytes, or one with k, m or g")
    return int(int(found[1]) * 1024 ** " kmgt".index(found[2] or " "))


def _s3(values: dict[str, str]) -> S3Options:
    key, secret = values.get("access_key_id", ""), values.get("secret_access_key", "")
    if bool(key) != bool(secret):
        raise OutputFault("access_key_id and secret_access_key belong together for s3 cache", "give both or none")
    endpoint = values.get("endpoint_url", "")
    if endpoint and not _ENDPOINT.match(endpoint):  # not shown: there may be a password in it
        raise OutputFault("invalid endpoint_url for s3 cache", "want http[s]://HOST[:PORT], without user and password")
    truth(values, "disable_accept_encoding", False)  # boto3 never signs that header, so it does no harm
    mode = values.get("retry_mode", "")
    if mode not in ("", "standard", "adaptive"):
        raise OutputFault('retry_mode must be "standard" or "adaptive"')
    usual = S3Options()
    return S3Options(
        bucket=values.get("bucket", ""),
        region=values.get("region", ""),
        prefix=values.get("prefix", ""),
        names=tuple(values["name"].split(";")) if values.get("name") else usual.names,
        blobs_prefix=values.get("blobs_prefix", usual.blobs_prefix),
        manifests_prefix=values.get("manifests_prefix", usual.manifests_prefix),
        endpoint_url=endpoint,
        path_style=truth(values, "use_path_style", False),
        credentials=(key, secret, values.get("session_token", "")),
        touch_refresh=_seconds(values["touch_refresh"]) if "touch_refresh" in values else usual.touch_refresh,
        parallelism=_positive(values, "upload_parallelism") or usual.parallelism,
        retry_mode=mode,
        retry_attempts=_positive(values, "retry_max_attempts"),
    )


def _positive(values: dict[str, str], key: str) -> int:
    """0 where it is not given."""
    text = values.get(key)
    if text is None:
        return 0
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 1000:
        raise OutputFault(f"{key} must be a positive integer")
    return int(text)


def _seconds(text: str) -> int:
    found = _DURATION.match(text)
    if not text or found is None:
        raise OutputFault(f"invalid touch_refresh {text!r}", "write it as 24h, 90m or 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds
