from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from builder.errors import ImageFault
from builder.oci.descriptor import DOCKER_INDEX, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, Descriptor
from builder.oci.platform import Platform
from builder.policy.signatures.chain import (
    BUNDLE,
    COSIGN,
    IN_TOTO,
    Referrer,
    image_provenance,
    read_manifest_of,
    resolve_chain,
)
from builder.policy.signatures.provenance import SLSA02, SLSA1
from cache.digest import Digest
from tests.builder.policy.signatures.test_provenance import V02, V1, statement

AMD, ARM = Platform("amd64", "linux"), Platform("arm64", "linux")


class Place:
    """A repository in memory."""

    def __init__(self) -> None:
        self.blobs: dict[Digest, bytes] = {}
        self.refers: dict[Digest, list[Referrer]] = {}

    def read(self, descriptor: Descriptor) -> bytes:
        return self.blobs[descriptor.digest]

    def referrers(self, digest: Digest) -> Sequence[Referrer]:
        return self.refers.get(digest, [])

    def put(self, value: object, kind: str = OCI_MANIFEST, **more: Any) -> dict[str, Any]:
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        digest = Digest.of(raw)
        self.blobs[digest] = raw
        return {"mediaType": kind, "digest": str(digest), "size": len(raw), **more}

    def manifest(self, *layers: dict[str, Any], **more: Any) -> dict[str, Any]:
        config = self.put({}, OCI_CONFIG)
        return self.put({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers, **more})

    def refer(self, about: dict[str, Any], one: dict[str, Any], kind: str, **annotations: str) -> None:
        digest = Digest.parse(one["digest"])
        found = Referrer(OCI_MANIFEST, digest, one["size"], kind, annotations)
        self.refers.setdefault(Digest.parse(about["digest"]), []).append(found)

    def attestation(self, image: dict[str, Any], *statements: tuple[bytes, str]) -> dict[str, Any]:
        layers = [self.put(raw, IN_TOTO, annotations={"in-toto.io/predicate-type": kind}) for raw, kind in statements]
        about = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image["digest"]}
        made = self.manifest(*layers)
        return {**made, "annotations": about, "platform": {"os": "unknown", "architecture": "unknown"}}


def image(place: Place, platform: Platform, **annotations: str) -> dict[str, Any]:
    layer = place.put(str(platform).encode(), "x/y")
    shown = {"os": platform.os, "architecture": platform.architecture}
    return {**place.manifest(layer), "platform": shown, "annotations": annotations}


def index(*entries: dict[str, Any], **annotations: str) -> bytes:
    fields = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries, "annotations": annotations}
    return json.dumps(fields).encode()


def test_the_attestation_is_that_of_the_platform() -> None:
    place = Place()
    amd, arm = image(place, AMD), image(place, ARM)
    of_amd = place.attestation(amd, (statement(V1, SLSA1), SLSA1))
    of_arm = place.attestation(
        arm, (b"{}", "https://spdx.dev/Document"), (b"{}", SLSA1), (statement(V02, SLSA02), SLSA02)
    )
    for platform, named, attested, kind in ((AMD, amd, of_amd, SLSA1), (ARM, arm, of_arm, SLSA02)):
        chain = resolve_chain(index(amd, arm, of_arm, of_amd), OCI_INDEX, platform, place)
        assert chain is not None and chain.attestation is not None
        assert (str(chain.image.digest), str(chain.attestation.digest)) == (named["digest"], attested["digest"])
        assert (chain.signature, chain.hardened) == (None, False)
        found = image_provenance(chain, place)
        assert found is not None and found.shown.predicate_type == kind


def test_images_of_which_nothing_is_attested() -> None:
    place = Place()
    amd = image(place, AMD)
    chain = resolve_chain(index(amd, image(place, ARM)), OCI_INDEX, AMD, place)
    assert chain is not None
    assert (chain.attestation, chain.signature, image_provenance(chain, place)) == (None, None, None)
    assert resolve_chain(index(amd), DOCKER_INDEX, AMD, place) is None
    assert resolve_chain(place.blobs[Digest.parse(amd["digest"])], OCI_MANIFEST, AMD, place) is None
    with pytest.raises(ImageFault, match="no manifest for platform linux/arm64"):
        resolve_chain(index(amd), OCI_INDEX, ARM, place)


def test_a_bundle_comes_first() -> None:
    place = Place()
    amd = image(place, AMD)
    attestation = place.attestation(amd)
    old, new, other = (place.manifest(place.put(kind.encode(), "x/y")) for kind in (COSIGN, BUNDLE, "other"))
    place.refer(attestation, other, "application/spdx+json")
    whole = index(amd, attestation)
    assert resolve_chain(whole, OCI_INDEX, AMD, place).signature is None  # type: ignore[union-attr]
    for one, kind in ((old, COSIGN), (new, BUNDLE)):
        place.refer(attestation, one, kind)
        chain = resolve_chain(whole, OCI_INDEX, AMD, place)
        assert chain is not None and chain.signature is not None
        assert str(chain.signature.digest) == one["digest"]


def test_a_hardened_image() -> None:
    place = Place()
    amd = image(place, AMD, **{"com.docker.dhi.build.id": "1"})
    whole = index(amd, **{"org.opencontainers.image.title": "dhi/x"})
    with pytest.raises(ImageFault, match="no attestation refers to the hardened image"):
        resolve_chain(whole, OCI_INDEX, AMD, place)
    attestation = place.manifest(
        place.put(statement(V1, SLSA1), IN_TOTO, annotations={"in-toto.io/predicate-type": SLSA1})
    )
    place.refer(amd, attestation, IN_TOTO, **{"in-toto.io/predicate-type": "https://spdx.dev/Document"})
    place.refer(amd, attestation, IN_TOTO, **{"in-toto.io/predicate-type": SLSA1})
    chain = resolve_chain(whole, OCI_INDEX, AMD, place)
    assert chain is not None and chain.hardened and chain.attestation is not None
    assert image_provenance(chain, place) is not None
    untitled = resolve_chain(index(amd), OCI_INDEX, AMD, place)
    assert untitled is not None and not untitled.hardened


def test_what_is_not_what_it_is_called() -> None:
    place = Place()
    amd = image(place, AMD)
    attestation = place.attestation(amd, (statement(V1, SLSA1), SLSA1))
    chain = resolve_chain(index(amd, attestation), OCI_INDEX, AMD, place)
    assert chain is not None and chain.attestation is not None
    for digest, raw in list(place.blobs.items()):
        if raw == statement(V1, SLSA1) or digest == chain.attestation.digest:
            place.blobs[digest] = raw.replace(b"https", b"httpx", 1)
            with pytest.raises(ImageFault, match=f"digest mismatch for blob {digest}"):
                image_provenance(chain, place)
            place.blobs[digest] = raw
    large = Descriptor(OCI_MANIFEST, chain.attestation.digest, 1 << 30)
    with pytest.raises(ImageFault, match="too large"):
        read_manifest_of(large, place)
    bad = place.put(b'{"layers": 1}')
    with pytest.raises(ImageFault, match="malformed manifest"):
        read_manifest_of(Descriptor(OCI_MANIFEST, Digest.parse(bad["digest"]), bad["size"]), place)
