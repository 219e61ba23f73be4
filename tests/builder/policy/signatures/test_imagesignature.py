from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from builder.errors import NotVerified
from builder.oci.descriptor import OCI_INDEX
from builder.policy.signatures import simplesigning
from builder.policy.signatures.chain import BUNDLE, COSIGN, IN_TOTO, SignatureChain, resolve_chain
from builder.policy.signatures.imagesignature import image_signature
from builder.policy.signatures.provenance import SLSA1
from builder.policy.signatures.trustroot import TrustRoot
from cache.digest import Digest
from tests.builder.policy.signatures.test_chain import AMD, Place, image, index
from tests.builder.policy.signatures.test_provenance import V1, statement
from tests.sigstorepeer import GITHUB, Leaf, Sigstore, b64

SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
COSIGN_SIGN = "https://sigstore.dev/cosign/sign/v1"
Made = dict[str, Any]


@pytest.fixture(scope="module")
def sigstore() -> Sigstore:
    return Sigstore()


@pytest.fixture(scope="module")
def trust(sigstore: Sigstore, tmp_path_factory: pytest.TempPathFactory) -> TrustRoot:
    path = tmp_path_factory.mktemp("root") / "trusted_root.json"
    path.write_text(json.dumps(sigstore.trusted_root()))
    return TrustRoot(str(path))


class Signed:
    """An image with an attestation, whose manifests may be changed before they are signed."""

    def __init__(self, *, hardened: bool = False, kind: str = SLSA1) -> None:
        self.place = Place()
        self.hardened = hardened
        self.image = image(self.place, AMD, **({"com.docker.dhi.build.id": "1"} if hardened else {}))
        layer = self.place.put(statement(V1, kind), IN_TOTO, annotations={"in-toto.io/predicate-type": kind})
        self.attestation = self.place.manifest(layer, subject=self.subject(self.image))
        if hardened:
            self.place.refer(self.image, self.attestation, IN_TOTO, **{"in-toto.io/predicate-type": kind})

    @staticmethod
    def subject(about: Made) -> Made:
        return {"mediaType": about["mediaType"], "digest": about["digest"], "size": about["size"]}

    @property
    def digest(self) -> Digest:
        return Digest.parse(self.attestation["digest"])

    def bundle(self, bundle: Made, subject: Made | None = None, **more: Any) -> None:
        layer = self.place.put(bundle, BUNDLE)
        fields = {"artifactType": BUNDLE, "subject": subject or self.subject(self.attestation), **more}
        self.place.refer(self.attestation, self.place.manifest(layer, **fields), BUNDLE)

    def simple(self, annotations: dict[str, str], payload: bytes) -> None:
        layer = self.place.put(payload, SIMPLE, annotations=annotations)
        self.place.refer(self.attestation, self.place.manifest(layer, subject=self.subject(self.attestation)), COSIGN)

    def payload(self, **critical: Any) -> bytes:
        said = {
            "identity": {"docker-reference": "dhi.io/x"},
            "image": {"docker-manifest-digest": self.attestation["digest"]},
            "type": "cosign container image signature",
        }
        return json.dumps({"critical": {**said, **critical}, "optional": None}).encode()

    def chain(self) -> SignatureChain:
        about = {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": self.image["digest"],
        }
        beside = {**self.attestation, "annotations": about, "platform": {"os": "unknown", "architecture": "unknown"}}
        title = {"org.opencontainers.image.title": "dhi/x"} if self.hardened else {}
        whole = index(self.image, **title) if self.hardened else index(self.image, beside)
        chain = resolve_chain(whole, OCI_INDEX, AMD, self.place)
        assert chain is not None
        return chain

    def verify(self, trust: TrustRoot) -> dict[str, Any]:
        found = image_signature(trust, self.chain(), self.place)
        assert found is not None
        return found.plain()


def names(digest: Digest, kind: str = COSIGN_SIGN) -> Made:
    subject = [{"name": "", "digest": {"sha256": digest.hex}}]
    return {"_type": "https://in-toto.io/Statement/v1", "subject": subject, "predicateType": kind, "predicate": {}}


def test_a_bundle(sigstore: Sigstore, trust: TrustRoot) -> None:
    signed = Signed()
    assert image_signature(trust, signed.chain(), signed.place) is None
    signed.bundle(sigstore.bundle(sigstore.leaf(), names(signed.digest)))
    assert signed.verify(trust) == {
        "kind": "self-signed-github-repo",
        "type": "bundle-v0.3",
        "timestamps": [{"type": "Tlog", "uri": "https://rekor.test", "timestamp": "2026-05-01T12:00:00Z"}],
        "signer": {
            "certificateIssuer": "CN=sigstore-intermediate,O=sigstore.dev",
            "subjectAlternativeName": GITHUB[9],
            "issuer": GITHUB[8],
            "buildSignerURI": GITHUB[9],
            "runnerEnvironment": "github-hosted",
            "sourceRepositoryURI": "https://github.com/o/r",
            "sourceRepositoryRef": "refs/tags/v1",
        },
    }


def test_a_bundle_that_signs_the_bytes(sigstore: Sigstore, trust: TrustRoot) -> None:
    signed = Signed()
    signed.bundle(sigstore.message_bundle(sigstore.leaf(), signed.place.blobs[signed.digest]))
    assert signed.verify(trust)["kind"] == "self-signed-github-repo"
    other = Signed()
    other.bundle(sigstore.message_bundle(sigstore.leaf(), b"other"))
    with pytest.raises(NotVerified):
        other.verify(trust)


def test_a_bundle_of_something_else(sigstore: Sigstore, trust: TrustRoot) -> None:
    signed = Signed()
    signed.bundle(sigstore.bundle(sigstore.leaf(), names(Digest.parse(signed.image["digest"]))))
    with pytest.raises(NotVerified, match="its statement does not name"):
        signed.verify(trust)


def test_manifests_that_do_not_belong_together(sigstore: Sigstore, trust: TrustRoot) -> None:
    signed = Signed()
    bundle = sigstore.bundle(sigstore.leaf(), names(signed.digest))
    own = Signed.subject(signed.attestation)
    for subject, words in (
        (Signed.subject(signed.image), "is of sha256:.*, not of sha256:"),
        ({**own, "size": own["size"] + 1}, "is of sha256:.*, not of sha256:"),
        ({**own, "mediaType": "x/y"}, "is of no image: 'x/y'"),
    ):
        other = Signed()
        other.bundle(bundle, subject)
        with pytest.raises(NotVerified, match=words):
            other.verify(trust)
    bare = Signed()
    manifest = bare.place.manifest(bare.place.put(bundle, BUNDLE), artifactType=BUNDLE)
    bare.place.refer(bare.attestation, manifest, BUNDLE)
    with pytest.raises(NotVerified, match="has no subject"):
        bare.verify(trust)
    untyped = Signed()
    untyped.bundle(bundle, artifactType="x/y")
    with pytest.raises(NotVerified, match="is of a kind that is not verified"):
        untyped.verify(trust)
    empty = Signed()
    manifest = empty.place.manifest(artifactType=BUNDLE, subject=Signed.subject(empty.attestation))
    empty.place.refer(empty.attestation, manifest, BUNDLE)
    with pytest.raises(NotVerified, match="is empty"):
        empty.verify(trust)


def test_attestations_without_provenance(sigstore: Sigstore, trust: TrustRoot) -> None:
    signed = Signed(kind="https://spdx.dev/Document")
    signed.bundle(sigstore.bundle(sigstore.leaf(), names(signed.digest)))
    with pytest.raises(NotVerified, match="has no SLSA provenance"):
        signed.verify(trust)


def annotated(sigstore: Sigstore, leaf: Leaf, payload: bytes) -> dict[str, str]:
    signature = leaf.sign(payload)
    record = sigstore.record(Digest.of(payload).hex, signature, leaf.pem)
    return {
        "dev.cosignproject.cosign/signature": b64(signature),
        "dev.sigstore.cosign/certificate": leaf.pem.decode(),
        "dev.sigstore.cosign/bundle": json.dumps(sigstore.cosign_bundle(record)),
    }


def test_simple_signing(sigstore: Sigstore, trust: TrustRoot) -> None:
    signed = Signed()
    payload = signed.payload()
    signed.simple(annotated(sigstore, sigstore.leaf(), payload), payload)
    found = signed.verify(trust)
    assert (found["kind"], found["type"], found["dockerReference"]) == (
        "self-signed-github-repo",
        "simplesigning-v1",
        "dhi.io/x",
    )
    assert found["timestamps"] == [{"type": "Tlog", "uri": "https://rekor.test", "timestamp": "2026-05-01T12:00:00Z"}]
    assert found["signer"]["sourceRepositoryRef"] == "refs/tags/v1"


@pytest.mark.parametrize(
    ("critical", "words"),
    [
        ({"type": "other"}, "is of another type: 'other'"),
        ({"image": {"docker-manifest-digest": "sha256:0"}}, "is of 'sha256:0', not of sha256:"),
        ({"image": 1}, "has a malformed payload"),
    ],
)
def test_a_payload_of_something_else(
    sigstore: Sigstore, trust: TrustRoot, critical: dict[str, Any], words: str
) -> None:
    signed = Signed()
    payload = signed.payload(**critical)
    signed.simple(annotated(sigstore, sigstore.leaf(), payload), payload)
    with pytest.raises(NotVerified, match=words):
        signed.verify(trust)


def test_annotations_that_do_not_belong_together(sigstore: Sigstore, trust: TrustRoot) -> None:
    payload = Signed().payload()
    good = annotated(sigstore, sigstore.leaf(), payload)
    other = annotated(sigstore, sigstore.leaf(), payload)
    foreign = Sigstore()
    elsewhere = annotated(foreign, foreign.leaf(), payload)
    unlogged = annotated(sigstore, sigstore.leaf(sct=False), payload)
    moved = json.loads(good["dev.sigstore.cosign/bundle"])
    moved["Payload"]["logIndex"] = 8
    later = sigstore.leaf()
    late_signature = later.sign(payload)
    record = sigstore.record(Digest.of(payload).hex, late_signature, later.pem)
    late = {
        "dev.cosignproject.cosign/signature": b64(late_signature),
        "dev.sigstore.cosign/certificate": later.pem.decode(),
        "dev.sigstore.cosign/bundle": json.dumps(sigstore.cosign_bundle(record, datetime(2026, 6, 1, tzinfo=UTC))),
    }
    for said, words in (
        (good | {"dev.cosignproject.cosign/signature": other["dev.cosignproject.cosign/signature"]}, "does not verify"),
        (good | {"dev.cosignproject.cosign/signature": "!"}, "is not base64"),
        (good | {"dev.sigstore.cosign/certificate": ""}, "has no certificate"),
        (good | {"dev.sigstore.cosign/bundle": ""}, "is in no transparency log"),
        (good | {"dev.sigstore.cosign/bundle": "{}"}, "malformed entry"),
        (
            good | {"dev.sigstore.cosign/bundle": other["dev.sigstore.cosign/bundle"]},
            "is not what the transparency log has",
        ),
        (good | {"dev.sigstore.cosign/bundle": json.dumps(moved)}, "invalid signature"),
        (elsewhere, "its transparency log is not one of the trust root"),
        (unlogged, "does not contain a signed certificate timestamp"),
        (late, "was not valid when it signed"),
    ):
        signed = Signed()
        signed.simple(said, payload)
        with pytest.raises(NotVerified, match=words):
            signed.verify(trust)


def test_a_log_entry_of_another_key(sigstore: Sigstore, trust: TrustRoot) -> None:
    signed = Signed()
    payload = signed.payload()
    leaf = sigstore.leaf()
    signature = leaf.sign(payload)
    for maker in (sigstore.leaf().pem, b"x"):
        record = sigstore.record(Digest.of(payload).hex, signature, maker)
        annotations = {
            "dev.cosignproject.cosign/signature": b64(signature),
            "dev.sigstore.cosign/certificate": leaf.pem.decode(),
            "dev.sigstore.cosign/bundle": json.dumps(sigstore.cosign_bundle(record)),
        }
        other = Signed()
        other.simple(annotations, payload)
        with pytest.raises(NotVerified, match="is in the log by another key"):
            other.verify(trust)


def test_a_hardened_image(sigstore: Sigstore, trust: TrustRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a key of ours in the place of Docker's."""
    key = generate_private_key(SECP256R1())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = Signed(hardened=True)
    payload = signed.payload()
    signature = key.sign(payload, ECDSA(SHA256()))
    plain = {"dev.cosignproject.cosign/signature": b64(signature)}
    signed.simple(plain, payload)
    with pytest.raises(NotVerified, match="does not verify"):
        signed.verify(trust)
    monkeypatch.setattr(simplesigning, "HARDENED_KEY", public)
    expected = {
        "kind": "docker-hardened-image",
        "type": "simplesigning-v1",
        "dockerReference": "dhi.io/x",
        "isDHI": True,
    }
    assert signed.verify(trust) == expected
    record = sigstore.record(Digest.of(payload).hex, signature, public)
    logged = Signed(hardened=True)
    logged.simple(plain | {"dev.sigstore.cosign/bundle": json.dumps(sigstore.cosign_bundle(record))}, payload)
    assert logged.verify(trust) == expected | {
        "timestamps": [{"type": "Tlog", "uri": "https://rekor.test", "timestamp": "2026-05-01T12:00:00Z"}]
    }
    early = Signed(hardened=True)
    before = json.dumps(sigstore.cosign_bundle(record, datetime(2025, 4, 1, tzinfo=UTC)))
    early.simple(plain | {"dev.sigstore.cosign/bundle": before}, payload)
    with pytest.raises(NotVerified, match="is older than its key: 2025-04-01T00:00:00Z"):
        early.verify(trust)
    usual = Signed()
    usual.simple(plain, usual.payload())
    with pytest.raises(NotVerified, match="has no certificate"):
        usual.verify(trust)
