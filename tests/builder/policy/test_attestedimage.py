from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from builder.errors import ImageFault, MissingLibrary, PolicyFault
from builder.oci.descriptor import OCI_INDEX, OCI_MANIFEST, Descriptor
from builder.oci.platform import Platform
from builder.oci.reference import Reference
from builder.policy.facts import ImageFacts
from builder.policy.needs import ATTESTATIONS, PROVENANCE
from builder.policy.signatures.chain import BUNDLE, Referrer
from builder.policy.signatures.provenance import SLSA1
from builder.policy.signatures.trustroot import TrustRoot
from builder.policy.subjects import ImageSubject
from builder.registry.client import Fetched
from cache.digest import Digest
from tests.builder.policy.signatures.test_chain import AMD, ARM, Place, image, index
from tests.builder.policy.signatures.test_provenance import V1, statement

NEEDS = frozenset({ATTESTATIONS, PROVENANCE})


class Beside:
    """What a registry has: a place, and the document that the image's digest names."""

    def __init__(self, place: Place, raw: bytes, kind: str = OCI_INDEX) -> None:
        self._place, self._top = place, Fetched(raw, Descriptor(kind, Digest.of(raw), len(raw)))

    def top(self) -> Fetched:
        return self._top

    def read(self, descriptor: Descriptor) -> bytes:
        return self._place.read(descriptor)

    def referrers(self, digest: Digest) -> Sequence[Referrer]:
        return self._place.referrers(digest)


def no_trust() -> TrustRoot:
    raise MissingLibrary("no sigstore")


def seen(
    beside: Beside | None, manifest: str, platform: Platform = AMD, needs: frozenset[str] = NEEDS
) -> dict[str, Any]:
    facts = ImageFacts("sha256:" + "1" * 64, b"{}", manifest, None if beside is None else lambda: beside)
    subject = ImageSubject(Reference.parse("x.test/app:1"), platform, lambda: facts, no_trust)
    found: dict[str, Any] = msgspec.to_builtins(subject.input(needs))["image"]
    return found


def test_an_image_of_which_nothing_is_attested() -> None:
    place = Place()
    amd = image(place, AMD)
    for beside in (Beside(place, index(amd)), Beside(place, place.blobs[Digest.parse(amd["digest"])], OCI_MANIFEST)):
        found = seen(beside, amd["digest"])
        assert not {"hasProvenance", "provenance", "signatures"} & found.keys()
        assert found["checksum"] == str(beside.top().descriptor.digest)


def test_materials_are_inputs() -> None:
    place = Place()
    amd = image(place, AMD)
    found = seen(Beside(place, index(amd, place.attestation(amd, (statement(V1, SLSA1), SLSA1)))), amd["digest"])
    assert found["hasProvenance"] is True
    one, two = found["provenance"]["materials"]
    assert (one["env"], one["image"]["tag"], one["image"]["arch"]) == ({"depth": 1}, "3.19", "arm64")
    url = {"url": "https://x.test/a.tar", "schema": "https", "host": "x.test", "path": "/a.tar"}
    assert two == {"env": {"depth": 1}, "http": url}


def test_provenance_that_cannot_be_read_is_there_all_the_same() -> None:
    place = Place()
    amd = image(place, AMD)
    found = seen(Beside(place, index(amd, place.attestation(amd, (b"{}", SLSA1)))), amd["digest"])
    assert found["hasProvenance"] is True and "provenance" not in found


def test_an_image_that_is_in_no_registry() -> None:
    with pytest.raises(PolicyFault, match=r"docker-image://x\.test/app:1: what is attested of it is not known"):
        seen(None, "")


def test_attestations_of_an_image_that_is_not_used() -> None:
    place = Place()
    amd, arm = image(place, AMD), image(place, ARM)
    beside = Beside(place, index(amd, arm, place.attestation(amd, (statement(V1, SLSA1), SLSA1))))
    with pytest.raises(ImageFault, match=f"what is attested is of {amd['digest']}, not of {arm['digest']}"):
        seen(beside, arm["digest"])


def test_a_signature_without_the_library_is_no_missing_signature() -> None:
    place = Place()
    amd = image(place, AMD)
    attestation = place.attestation(amd, (statement(V1, SLSA1), SLSA1))
    subject = {name: amd[name] for name in ("mediaType", "digest", "size")}
    raw = json.loads(place.blobs[Digest.parse(attestation["digest"])]) | {"subject": subject}
    about = place.put(raw)
    signature = place.manifest(place.put(b"{}", BUNDLE), artifactType=BUNDLE, subject=about)
    place.refer(about, signature, BUNDLE)
    beside = Beside(place, index(amd, attestation | about))
    with pytest.raises(MissingLibrary):
        seen(beside, amd["digest"])
    found = seen(beside, amd["digest"], needs=frozenset({PROVENANCE}))
    assert found["hasProvenance"] and found["provenance"] and "signatures" not in found


def test_a_signature_that_cannot_be_read_is_none() -> None:
    place = Place()
    amd = image(place, AMD)
    attestation = place.attestation(amd, (statement(V1, SLSA1), SLSA1))
    place.refer(attestation, place.manifest(artifactType=BUNDLE), BUNDLE)
    told: list[str] = []
    facts = ImageFacts("", b"{}", amd["digest"], lambda: Beside(place, index(amd, attestation)))
    trust = TrustRoot()
    subject = ImageSubject(
        Reference.parse("x.test/app"), AMD, lambda: facts, lambda: trust, lambda level, text: told.append(text)
    )
    shown = subject.input(NEEDS).image
    assert shown is not None and shown.has_provenance and shown.signatures == []
    assert len(told) == 1 and told[0].startswith("failed to parse image signatures: the attestation manifest")
