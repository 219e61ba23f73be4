"""Archives from before images had configs: `repositories`, and a folder `<id>` with `json` and `layer.tar` for each
layer (Docker's image spec v1). A config and manifest are made of them, the same ones whoever does it.
"""

from __future__ import annotations

import json
import re
from typing import Any

from builder.errors import ImageFault, SourceFault
from builder.images.files import Files, read_document
from builder.images.image import assemble
from builder.images.intake import take_layer
from builder.layer.layer import Layer
from builder.oci.config import History, ImageConfig, parse_config
from builder.oci.descriptor import Descriptor
from builder.oci.platform import host
from cache.blobs import BlobStore

_LAYERS = 1000
_ID = re.compile(r"[0-9a-f]{64}\Z")


def import_repositories(files: Files, blobs: BlobStore) -> list[tuple[Descriptor, tuple[str, ...]]]:
    """Every image that `repositories` names. Raises SourceFault, ImageFault."""
    names: dict[str, list[str]] = {}
    for repository, tags in _object(files, "repositories").items():
        if not isinstance(tags, dict):
            raise SourceFault(f"{files.where}: repositories is malformed")
        for tag, id in tags.items():
            names.setdefault(str(id), []).append(f"{repository}:{tag}")
    if not names:
        raise SourceFault(f"{files.where} does not hold any image")
    layers: dict[str, Layer] = {}
    return [(_image(files, id, blobs, layers), tuple(named)) for id, named in names.items()]


def _image(files: Files, id: str, blobs: BlobStore, layers: dict[str, Layer]) -> Descriptor:
    chain = _chain(files, id)
    for one in chain:
        if one["id"] not in layers:
            layers[one["id"]] = take_layer(files, f"{one['id']}/layer.tar", blobs)
    config = _config(chain)
    image = assemble(config, tuple(layers[one["id"]] for one in chain))
    blobs.put(image.config_raw)
    blobs.put(image.manifest_raw)
    return image.descriptor


def _chain(files: Files, id: str) -> list[dict[str, Any]]:
    """The documents of a layer and all below it, bottom first."""
    chain: list[dict[str, Any]] = []
    seen: set[str] = set()
    while id:
        if not _ID.match(id) or id in seen or len(seen) >= _LAYERS:
            raise ImageFault(f"{files.where}: the layers below {id:.80} do not end, or are not named by their ids")
        seen.add(id)
        document = _object(files, f"{id}/json")
        chain.append({**document, "id": id})
        id = str(document.get("parent") or "")
    return chain[::-1]


def _config(chain: list[dict[str, Any]]) -> ImageConfig:
    top = chain[-1]
    wanted = ("architecture", "os", "variant", "created", "author", "config")
    usual = {"architecture": host().architecture, "os": "linux"}
    history = tuple(_history(one) for one in chain)
    config = parse_config(json.dumps(usual | {k: top[k] for k in wanted if top.get(k)}).encode())
    return ImageConfig(
        platform=config.platform, runtime=config.runtime, created=config.created, author=config.author, history=history
    )


def _history(one: dict[str, Any]) -> History:
    ran = one.get("container_config")
    command = ran.get("Cmd") if isinstance(ran, dict) else None
    words = [str(word) for word in command] if isinstance(command, list) else []
    return History(
        created_by=" ".join(words),
        created=str(one.get("created") or ""),
        comment=str(one.get("comment") or ""),
        author=str(one.get("author") or ""),
    )


def _object(files: Files, name: str) -> dict[str, Any]:
    raw = read_document(files, name)
    if raw is None:
        raise SourceFault(f"{files.where}: {name} is missing")
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise SourceFault(f"{files.where}: {name} is malformed: {error}") from error
    if not isinstance(data, dict):
        raise SourceFault(f"{files.where}: {name} is malformed")
    return data
