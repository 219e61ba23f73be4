"""The JSON of `manifest inspect`: fields, order and blanks as Docker's command prints them."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from builder.errors import ImageFault
from builder.oci.descriptor import DOCKER_INDEX, OCI_INDEX, OCI_MANIFEST, Descriptor
from builder.oci.manifest import Index
from builder.oci.platform import Platform

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')
_ESCAPED = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}  # by Go's encoder, in all strings
_CONTROLS = {c: f"\\u{c:04x}" for c in range(0x7F, 0xA0)}  # which a terminal might obey
_LIST_UNIT = "   "
_DEPTH = 100


def indented(raw: bytes, unit: str) -> str:
    """A valid document with other blanks between its tokens, which stay as they are (Go's json.Indent).

    Raises ImageFault where it is nested too deep for a manifest.
    """
    out: list[str] = []
    depth = 0
    before = ""
    for match in _TOKEN.finditer(raw.decode("utf-8", "replace").translate(_CONTROLS)):
        part = match[0]
        if part in "}]":
            depth -= 1
            if before not in "{[":
                out.append("\n" + unit * depth)
        elif before and before in "{[,":
            out.append("\n" + unit * depth)
        out.append(": " if part == ":" else part)
        if part in "{[":
            depth += 1
            if depth > _DEPTH:
                raise ImageFault(f"the manifest is nested more than {_DEPTH} deep")
        before = part
    return "".join(out)


def listed(index: Index) -> str:
    """An index by its descriptors alone, without annotations; its type follows from what is in it."""
    oci = bool(index.manifests) and index.manifests[0].media_type == OCI_MANIFEST
    entries = [
        {
            "mediaType": one.media_type,
            "size": one.size,
            "digest": str(one.digest),
            "platform": _platform(one.platform or Platform("", "")),
        }
        for one in index.manifests
    ]
    value = {"schemaVersion": 2, "mediaType": OCI_INDEX if oci else DOCKER_INDEX, "manifests": entries}
    return indented(_encoded(value), _LIST_UNIT)


def detailed(name: str, raw: bytes, descriptor: Descriptor, docker: bool) -> dict[str, Any]:
    """What `--verbose` shows of a manifest; docker: it is of Docker's type."""
    return {
        "Ref": name,
        "Descriptor": {
            "mediaType": descriptor.media_type,
            "digest": str(descriptor.digest),
            "size": descriptor.size,
            "platform": _platform(descriptor.platform or Platform("", "")),
        },
        "Raw": base64.b64encode(raw).decode(),
        "SchemaV2Manifest" if docker else "OCIManifest": _Verbatim(raw.decode("utf-8", "replace")),
    }


def whole(value: Any) -> str:
    """Values of detailed(), as text."""
    return indented(_encoded(value), "\t")


class _Verbatim(str):
    """JSON that is put into other JSON token by token."""


def _encoded(value: Any) -> bytes:
    if isinstance(value, _Verbatim):
        return value.translate(_ESCAPED).encode()
    if isinstance(value, dict):
        return b"{" + b",".join(_encoded(k) + b":" + _encoded(v) for k, v in value.items()) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(_encoded, value)) + b"]"
    return json.dumps(value, ensure_ascii=False).translate(_ESCAPED).encode()


def _platform(platform: Platform) -> dict[str, Any]:
    optional = {
        "os.version": platform.os_version,
        "os.features": list(platform.os_features),
        "variant": platform.variant,
    }
    return {
        "architecture": platform.architecture,
        "os": platform.os,
        **{name: value for name, value in optional.items() if value},
    }
