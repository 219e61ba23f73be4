"""An image as `docker image inspect` shows it: the same names in the same order."""

from __future__ import annotations

from typing import Any

from builder.images.image import Image
from builder.images.naming import halves
from builder.images.store import StoredImage
from builder.oci.config import RuntimeConfig
from builder.template.record import Record

# What Docker leaves out of its JSON where it is empty.
_OPTIONAL = frozenset(
    {"ArgsEscaped", "ExposedPorts", "Healthcheck", "OnBuild", "OsVersion", "Shell", "StopSignal", "Variant"}
)


def described(image: Image, stored: StoredImage) -> Record:
    """All fields, for templates."""
    config, platform = image.config, image.config.platform
    repositories = dict.fromkeys(halves(name)[0] for name in stored.names)
    return Record(
        {
            "Id": str(image.id),
            "RepoTags": [name for name in stored.names if halves(name)[1]],
            "RepoDigests": [f"{name}@{stored.descriptor.digest}" for name in repositories],
            "Parent": "",
            "Comment": config.history[-1].comment if config.history else "",
            "Created": config.created,
            "DockerVersion": "",
            "Author": config.author,
            "Config": _runtime(config.runtime),
            "Architecture": platform.architecture,
            "Variant": platform.variant,
            "Os": platform.os,
            "OsVersion": platform.os_version,
            "Size": image.size,
            "GraphDriver": Record({"Data": None, "Name": "overlayfs"}, "storage.DriverData"),
            "RootFS": Record({"Type": "layers", "Layers": [str(d) for d in config.diff_ids]}, "image.RootFS"),
            "Metadata": Record({"LastTagTime": stored.created}, "image.Metadata"),
            "Descriptor": Record(
                {
                    "mediaType": stored.descriptor.media_type,
                    "digest": str(stored.descriptor.digest),
                    "size": stored.descriptor.size,
                },
                "v1.Descriptor",
            ),
        },
        "image.InspectResponse",
    )


def _runtime(runtime: RuntimeConfig) -> Record:
    health = runtime.healthcheck
    return Record(
        {
            "User": runtime.user,
            "ExposedPorts": {port: {} for port in runtime.exposed},
            "Env": list(runtime.env) or None,
            "Cmd": None if runtime.cmd is None else list(runtime.cmd),
            "Healthcheck": None if health is None else _health(
                [("Test", list(health.test)), ("Interval", health.interval), ("Timeout", health.timeout),
                 ("StartPeriod", health.start_period), ("StartInterval", health.start_interval),
                 ("Retries", health.retries)]
            ),
            "ArgsEscaped": runtime.args_escaped,
            "Volumes": {path: {} for path in runtime.volumes} or None,
            "WorkingDir": runtime.workdir,
            "Entrypoint": None if runtime.entrypoint is None else list(runtime.entrypoint),
            "OnBuild": list(runtime.onbuild) or None,
            "Labels": dict(runtime.labels) or None,
            "StopSignal": runtime.stop_signal,
            "Shell": list(runtime.shell) or None,
        },
        "container.Config",
    )  # fmt: skip


def _health(fields: list[tuple[str, Any]]) -> Record:
    return Record({name: value for name, value in fields if value}, "container.HealthConfig", lenient=True)


def pruned(value: Any) -> Any:
    """The same without what Docker's JSON leaves out; plain values."""
    if isinstance(value, dict):
        return {k: pruned(v) for k, v in value.items() if v or k not in _OPTIONAL}
    return value
