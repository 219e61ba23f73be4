"""What BuildKit attests of an image is read by us."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from builder.oci.descriptor import OCI_INDEX, Descriptor
from builder.oci.manifest import read_index
from builder.oci.platform import host
from builder.policy.signatures.chain import Referrer, image_provenance, resolve_chain
from cache.digest import Digest
from tests.e2e.engine import Engine

pytestmark = [pytest.mark.e2e, pytest.mark.oracle]


class Layout:
    """A folder in OCI layout, in which nothing refers to anything."""

    def __init__(self, folder: Path) -> None:
        self._blobs = folder / "blobs" / "sha256"

    def read(self, descriptor: Descriptor) -> bytes:
        return (self._blobs / descriptor.digest.hex).read_bytes()

    def referrers(self, digest: Digest) -> list[Referrer]:
        return []


@pytest.mark.parametrize("version", ["v0.2", "v1"])
def test_provenance(buildkit: Engine, tmp_path: Path, version: str) -> None:
    context, out = tmp_path / "context", tmp_path / "out"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM base\nARG A=1\nCOPY Dockerfile /\n")
    words = (f"--provenance=mode=max,version={version}", "--build-arg=A=2", f"--output=type=oci,tar=false,dest={out}")
    buildkit.call("buildx", "build", "--network=none", *words, str(context))
    place = Layout(out)
    top = read_index((out / "index.json").read_bytes()).manifests[0]
    chain = resolve_chain(place.read(top), OCI_INDEX, host(), place)
    assert chain is not None and chain.attestation is not None
    found = image_provenance(chain, place)
    assert found is not None
    shown: dict[str, Any] = msgspec.to_builtins(found.shown)
    for moment in (shown.pop("startedOn"), shown.pop("finishedOn")):
        assert msgspec.convert(moment, datetime).tzinfo is not None
    assert shown.pop("invocationID") and shown.pop("buildType")
    assert shown == {
        "predicateType": f"https://slsa.dev/provenance/{version}",
        "configSource": {"path": "Dockerfile"},
        "frontend": "dockerfile.v0",
        "buildArgs": {"A": "2"},
        "rawArgs": {"build-arg:A": "2", "force-network-mode": "none"},
        "reproducible": False,
        "hermetic": False,
        "completeness": {"parameters": True, "materials": False} | ({"environment": True} if version == "v0.2" else {}),
    }
    (source,) = found.sources
    assert (source.kind, source.source.partition("@")[0]) == ("image", "docker-image://docker.io/library/base:latest")
