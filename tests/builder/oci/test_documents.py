"""Manifests, indexes and configs that others wrote."""

from __future__ import annotations

import json
from typing import Any

import pytest

from builder.oci.config import parse_config
from builder.oci.manifest import encode, read_index, read_manifest
from cache.errors import Fault

HEX = "b" * 64
LAYER = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": f"sha256:{HEX}", "size": 7}
CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": f"sha256:{HEX}", "size": 3}


def manifest(**changes: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "config": CONFIG, "layers": [LAYER], **changes}).encode()


def test_a_manifest() -> None:
    read = read_manifest(manifest(annotations={"a": "b"}, unknownField=[1]))
    assert read.layers[0].size == 7
    assert read.annotations == {"a": "b"}
    assert read_manifest(encode(read)) == read


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"null", b"[]", b"3", b'"x"', b"{}", b"{", b"\xff\xfe", b"[" * 100_000,
        manifest(config=None), manifest(config=[]), manifest(layers={}), manifest(layers=[3]), manifest(layers=[None]),
        manifest(layers=[{**LAYER, "digest": "sha256:../../etc/passwd"}]), manifest(layers=[{**LAYER, "digest": 5}]),
        manifest(layers=[{**LAYER, "digest": f"sha512:{HEX}"}]), manifest(layers=[{**LAYER, "size": -1}]),
        manifest(layers=[{**LAYER, "size": "7"}]), manifest(layers=[{**LAYER, "size": 1e300}]),
        manifest(layers=[{"size": 1}]), manifest(annotations=[1]),
    ],
)  # fmt: skip
def test_what_is_no_manifest(raw: bytes) -> None:
    with pytest.raises(Fault):
        read_manifest(raw)


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"manifests": 1}', b'{"manifests": [{}]}', b'{"manifests": [[]]}'])
def test_what_is_no_index(raw: bytes) -> None:
    with pytest.raises(Fault):
        read_index(raw)


@pytest.mark.parametrize(
    "data",
    [
        None, [], 3, "x", {"rootfs": 3}, {"rootfs": {"diff_ids": ["x"]}}, {"rootfs": {"diff_ids": [3]}},
        {"rootfs": {"diff_ids": f"sha256:{HEX}"}}, {"history": 5}, {"history": [5]}, {"config": [1]},
        {"config": {"Env": 5}}, {"config": {"Env": [5]}}, {"config": {"Labels": ["a"]}},
        {"config": {"Cmd": "sh"}}, {"os": 5},
        {"config": {"Healthcheck": 5}}, {"config": {"ExposedPorts": 5}},
    ],
)  # fmt: skip
def test_what_is_no_config(data: Any) -> None:
    with pytest.raises(Fault):
        parse_config(json.dumps(data).encode())


def test_a_config_with_little_in_it() -> None:
    config = parse_config(b'{"architecture":"amd64","os":"linux","config":null,"history":null,"x.y":[1]}')
    assert str(config.platform) == "linux/amd64"
    assert (config.diff_ids, config.history, config.unknown) == ((), (), {"x.y": [1]})
