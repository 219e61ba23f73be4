"""The image config (OCI image-spec config.md, with Docker's extra fields), read and written without losing a field."""

import json
from typing import Any

import msgspec

from builder.errors import ImageFault
from builder.oci.platform import Platform
from cache.digest import Digest

# No clock decides a byte of an image: what we make ourselves carries the date of SOURCE_DATE_EPOCH or of the base
# image, else this one. It is the first whole day that a zip archive can hold in every time zone.
DEFAULT_EPOCH = 315619200  # 1980-01-02T00:00:00Z

Json = dict[str, Any]


class HealthCheck(msgspec.Struct, frozen=True):
    """test: ["NONE"], ["CMD", …] or ["CMD-SHELL", text]; times in nanoseconds, 0 means the runtime's default."""

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class RuntimeConfig(msgspec.Struct, frozen=True):
    """The `config` object. cmd and entrypoint: None is unset, () is an empty list. unknown: fields we do not know."""

    user: str = ""
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    workdir: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    exposed: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    stop_signal: str = ""
    shell: tuple[str, ...] = ()
    onbuild: tuple[str, ...] = ()
    healthcheck: HealthCheck | None = None
    args_escaped: bool = False
    unknown: Json = {}


class History(msgspec.Struct, frozen=True):
    """One history entry. own: made by this build; its `created` is filled in when the image is assembled."""

    created_by: str = ""
    empty_layer: bool = False
    created: str = ""
    comment: str = ""
    author: str = ""
    own: bool = False


class ImageConfig(msgspec.Struct, frozen=True):
    """created: RFC 3339 or "". unknown: top-level fields we do not know, kept as they were."""

    platform: Platform
    runtime: RuntimeConfig = RuntimeConfig()
    created: str = ""
    author: str = ""
    diff_ids: tuple[Digest, ...] = ()
    history: tuple[History, ...] = ()
    unknown: Json = {}


_TOP = {
    "architecture",
    "os",
    "variant",
    "os.version",
    "os.features",
    "config",
    "created",
    "author",
    "rootfs",
    "history",
}
_RUNTIME = {
    "User", "Env", "Entrypoint", "Cmd", "WorkingDir", "Labels", "ExposedPorts", "Volumes", "StopSignal", "Shell",
    "OnBuild", "Healthcheck", "ArgsEscaped",
}  # fmt: skip


def parse_config(raw: bytes) -> ImageConfig:
    """Read a config blob; raises ImageFault where its shape is not that of a config."""
    try:
        data = json.loads(raw)
        return _image(data)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ImageFault(f"image config is malformed: {type(error).__name__}: {error}") from error


def _image(data: Json) -> ImageConfig:
    rootfs = data.get("rootfs") or {}
    return ImageConfig(
        platform=Platform(
            architecture=_text(data.get("architecture")),
            os=_text(data.get("os")),
            variant=_text(data.get("variant")),
            os_version=_text(data.get("os.version")),
            os_features=_texts(data.get("os.features")) or (),
        ),
        runtime=_runtime(data.get("config") or {}),
        created=_text(data.get("created")),
        author=_text(data.get("author")),
        diff_ids=tuple(Digest.parse(d) for d in rootfs.get("diff_ids") or ()),
        history=tuple(_history(h) for h in data.get("history") or ()),
        unknown={k: v for k, v in data.items() if k not in _TOP},
    )


def _text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(f"want a string, not {value!r:.60}")
    return value


def _texts(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise TypeError(f"want a list of strings, not {value!r:.60}")
    return tuple(_text(v) for v in value)


def _runtime(data: Json) -> RuntimeConfig:
    health = data.get("Healthcheck")
    return RuntimeConfig(
        user=_text(data.get("User")),
        env=_texts(data.get("Env")) or (),
        entrypoint=_texts(data.get("Entrypoint")),
        cmd=_texts(data.get("Cmd")),
        workdir=_text(data.get("WorkingDir")),
        labels=tuple((k, _text(v)) for k, v in (data.get("Labels") or {}).items()),
        exposed=tuple(data.get("ExposedPorts") or ()),
        volumes=tuple(data.get("Volumes") or ()),
        stop_signal=_text(data.get("StopSignal")),
        shell=_texts(data.get("Shell")) or (),
        onbuild=_texts(data.get("OnBuild")) or (),
        healthcheck=_health(health) if health else None,
        args_escaped=bool(data.get("ArgsEscaped")),
        unknown={k: v for k, v in data.items() if k not in _RUNTIME},
    )


def _health(data: Json) -> HealthCheck:
    times = [int(data.get(k) or 0) for k in ("Interval", "Timeout", "StartPeriod", "StartInterval", "Retries")]
    return HealthCheck(_texts(data.get("Test")) or (), *times)


def _history(data: Json) -> History:
    return History(
        created_by=_text(data.get("created_by")),
        empty_layer=bool(data.get("empty_layer")),
        created=_text(data.get("created")),
        comment=_text(data.get("comment")),
        author=_text(data.get("author")),
    )


def encode_config(config: ImageConfig) -> bytes:
    """The config blob's bytes: keys in sorted order, empty fields left out."""
    data: Json = dict(config.unknown)
    platform = config.platform
    data |= {"architecture": platform.architecture, "os": platform.os}
    optional = {
        "variant": platform.variant,
        "os.version": platform.os_version,
        "os.features": platform.os_features,
    }
    optional |= {"created": config.created, "author": config.author}
    data |= {k: v for k, v in optional.items() if v}
    data["config"] = _runtime_json(config.runtime)
    data["rootfs"] = {"type": "layers", "diff_ids": [str(d) for d in config.diff_ids]}
    data["history"] = [_history_json(h) for h in config.history]
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _runtime_json(runtime: RuntimeConfig) -> Json:
    fields: Json = {
        "User": runtime.user,
        "Env": runtime.env,
        "WorkingDir": runtime.workdir,
        "Labels": dict(runtime.labels),
        "ExposedPorts": {p: {} for p in runtime.exposed},
        "Volumes": {v: {} for v in runtime.volumes},
        "StopSignal": runtime.stop_signal,
        "Shell": runtime.shell,
        "OnBuild": runtime.onbuild,
        "ArgsEscaped": runtime.args_escaped,
    }
    data = {**runtime.unknown, **{k: v for k, v in fields.items() if v}}
    if runtime.entrypoint is not None:
        data["Entrypoint"] = runtime.entrypoint
    if runtime.cmd is not None:
        data["Cmd"] = runtime.cmd
    if runtime.healthcheck is not None:
        data["Healthcheck"] = _health_json(runtime.healthcheck)
    return data


def _health_json(health: HealthCheck) -> Json:
    fields: Json = {
        "Test": health.test,
        "Interval": health.interval,
        "Timeout": health.timeout,
        "StartPeriod": health.start_period,
        "StartInterval": health.start_interval,
        "Retries": health.retries,
    }
    return {k: v for k, v in fields.items() if v}


def _history_json(entry: History) -> Json:
    fields: Json = {
        "created": entry.created,
        "created_by": entry.created_by,
        "comment": entry.comment,
        "author": entry.author,
        "empty_layer": entry.empty_layer,
    }
    return {k: v for k, v in fields.items() if v}
