"""The context that `docker context use`, or $DOCKER_CONTEXT, has chosen: where its engine is."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from builder.errors import OutputFault

_LIMIT = 1 << 20


def engine_of_context(environment: Mapping[str, str]) -> str:
    """A URL as in $DOCKER_HOST, "" for the default context. Raises OutputFault where the chosen one is not there."""
    folder = environment.get("DOCKER_CONFIG") or os.path.join(environment.get("HOME") or "/", ".docker")
    name = environment.get("DOCKER_CONTEXT") or _current(folder)
    if name in ("", "default"):
        return ""
    place = os.path.join(folder, "contexts", "meta", hashlib.sha256(name.encode()).hexdigest(), "meta.json")
    try:
        host = _read(place)["Endpoints"]["docker"]["Host"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise OutputFault(
            f'docker context "{name}" cannot be read: {place}: {getattr(error, "strerror", None) or "malformed"}',
            "docker context ls lists those that there are; DOCKER_HOST goes before them",
        ) from error
    return host if isinstance(host, str) else ""


def _current(folder: str) -> str:
    try:
        name = _read(os.path.join(folder, "config.json"))["currentContext"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""
    return name if isinstance(name, str) else ""


def _read(path: str) -> Any:
    with open(path, "rb") as file:
        return json.loads(file.read(_LIMIT))
