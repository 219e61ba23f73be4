from __future__ import annotations

import base64
import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cramjam
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import MissingLibrary, NotVerified, SignatureFault
from builder.policy.signatures.artifact import (
    Answer,
    artifact_attestation,
    first_attestation,
    github_answer,
    github_bundle,
    github_url,
)
from builder.policy.signatures.provenance import SLSA02, SLSA1
from builder.policy.signatures.trustroot import LIMIT, TrustRoot
from cache.digest import Digest
from tests.sigstorepeer import GITHUB, Clock, Leaf, Sigstore, b64

FILE = Digest.of(b"x")
PUBLISHED = Path(__file__).parent / "published" / "pypi_attestations-0.0.19.sigstore.json"
PUBLISHED_FILE = Digest("9bb1add04b1b4e182be6b0b80931593f7a291eb49d69b4fd728a5d4cbcdc4bd3")


@pytest.fixture(scope="module")
def sigstore() -> Sigstore:
    return Sigstore()


@pytest.fixture(scope="module")
def trust(sigstore: Sigstore, tmp_path_factory: pytest.TempPathFactory) -> TrustRoot:
    return trusting(sigstore, tmp_path_factory.mktemp("root"))


def trusting(sigstore: Sigstore, folder: Path, *clocks: bytes) -> TrustRoot:
    path = folder / "trusted_root.json"
    path.write_text(json.dumps(sigstore.trusted_root(*clocks)))
    return TrustRoot(str(path))


def statement(digest: Digest = FILE, kind: str = SLSA1) -> dict[str, Any]:
    subject = [{"name": "other", "digest": {"sha256": "0" * 64}}, {"name": "x", "digest": {"sha256": digest.hex}}]
    return {"_type": "https://in-toto.io/Statement/v1", "subject": subject, "predicateType": kind, "predicate": {}}


def verified(trust: TrustRoot, bundle: dict[str, Any], digest: Digest = FILE) -> dict[str, Any]:
    return artifact_attestation(trust, digest, json.dumps(bundle).encode()).plain()


def test_what_the_public_instance_signed() -> None:
    """By the trust root of the package sigstore, without network."""
    trust = TrustRoot()
    raw = PUBLISHED.read_bytes()
    found = artifact_attestation(trust, PUBLISHED_FILE, raw).plain()
    assert found["kind"] == "self-signed-github-repo"
    assert found["type"] == "bundle-v0.3"
    assert found["timestamps"] == [
        {"type": "Tlog", "uri": "https://rekor.sigstore.dev", "timestamp": "2024-12-04T23:13:46Z"}
    ]
    who = "https://github.com/trailofbits/pypi-attestations/.github/workflows/release.yml@refs/tags/v0.0.19"
    assert found["signer"]["subjectAlternativeName"] == found["signer"]["buildSignerURI"] == who
    assert found["signer"]["certificateIssuer"] == "CN=sigstore-intermediate,O=sigstore.dev"
    assert found["signer"]["runInvocationURI"].endswith("/actions/runs/12169989787/attempts/1")
    assert len(found["signer"]) == 17
    with pytest.raises(NotVerified, match="is of something else: its statement does not name sha256:"):
        artifact_attestation(trust, FILE, raw)


def test_nothing_is_asked_for_or_written(tmp_path: Path) -> None:
    program = (
        "import socket, sys\n"
        "def none(*_, **__): raise AssertionError('network')\n"
        "socket.socket.connect = socket.getaddrinfo = none\n"
        "from builder.policy.signatures.artifact import artifact_attestation\n"
        "from builder.policy.signatures.trustroot import TrustRoot\n"
        "from cache.digest import Digest\n"
        "artifact_attestation(TrustRoot(), Digest(sys.argv[2]), open(sys.argv[1], 'rb').read())\n"
    )
    words = [sys.executable, "-c", program, PUBLISHED, PUBLISHED_FILE.hex]
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    done = subprocess.run(words, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr, list(tmp_path.iterdir())) == (0, b"", b"", [])


def test_who_signed(sigstore: Sigstore, trust: TrustRoot) -> None:
    for kind in (SLSA1, SLSA02):
        found = verified(trust, sigstore.bundle(sigstore.leaf(), statement(kind=kind)))
        assert found == {
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


def test_somebody_with_an_address(sigstore: Sigstore, trust: TrustRoot) -> None:
    leaf = sigstore.leaf("ann@example.com", {1: "https://accounts.google.com"}, email=True)
    found = verified(trust, sigstore.bundle(leaf, statement()))
    assert found["kind"] == "self-signed"
    assert (found["signer"]["subjectAlternativeName"], found["signer"]["issuer"]) == (
        "ann@example.com",
        "https://accounts.google.com",
    )


def stamped(bundle: dict[str, Any], clock: Clock) -> dict[str, Any]:
    """The bundle, with the clock's word that its signature was there."""
    made = copy.deepcopy(bundle)
    signature = base64.b64decode(made["dsseEnvelope"]["signatures"][0]["sig"])
    made["verificationMaterial"]["timestampVerificationData"] = {
        "rfc3161Timestamps": [{"signedTimestamp": b64(clock.sign(signature))}]
    }
    return made


def test_a_clock(tmp_path: Path) -> None:
    now = Sigstore(at=datetime.now(UTC).replace(microsecond=0))
    clock = Clock(tmp_path / "clock")
    trust = trusting(now, tmp_path, *clock.chain)
    bundle = stamped(now.bundle(now.leaf(), statement()), clock)
    timestamps = verified(trust, bundle)["timestamps"]
    assert [(one["type"], one["uri"]) for one in timestamps] == [
        ("Tlog", "https://rekor.test"),
        ("TimestampAuthority", "https://clock.test"),
    ]
    entry = bundle["verificationMaterial"]["tlogEntries"][0]
    entry["inclusionPromise"] = entry["integratedTime"] = None
    assert [one["type"] for one in verified(trust, bundle)["timestamps"]] == ["TimestampAuthority"]
    bundle["verificationMaterial"]["timestampVerificationData"] = None
    with pytest.raises(SignatureFault):
        verified(trust, bundle)


def test_a_clock_that_is_unknown_or_disagrees(sigstore: Sigstore, tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock")
    trust = trusting(sigstore, tmp_path, *clock.chain)
    bundle = sigstore.bundle(sigstore.leaf(), statement())
    found = verified(trust, stamped(bundle, Clock(tmp_path / "other")))
    assert [one["type"] for one in found["timestamps"]] == ["Tlog"]
    with pytest.raises(NotVerified, match="certificate chain"):
        verified(trust, stamped(bundle, clock))  # the certificate is of another time than this machine's


Change = Callable[[dict[str, Any]], None]


def _set(path: str, value: object) -> Change:
    def change(bundle: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        place: Any = bundle
        for name in parents:
            place = place[int(name) if name.isdigit() else name]
        place[last] = value

    return change


ENTRY = "verificationMaterial.tlogEntries.0"


@pytest.mark.parametrize(
    "change",
    [
        _set("dsseEnvelope.payload", b64(json.dumps(statement(kind=SLSA02)).encode())),
        _set("dsseEnvelope.payloadType", "text/plain"),
        _set("dsseEnvelope.signatures", [{"sig": b64(b"x" * 70)}]),
        _set("dsseEnvelope.signatures", []),
        _set(f"{ENTRY}.integratedTime", "1777636801"),
        _set(f"{ENTRY}.logIndex", "8"),
        _set(f"{ENTRY}.inclusionPromise.signedEntryTimestamp", b64(b"x" * 70)),
        _set(f"{ENTRY}.inclusionPromise", None),
        _set(f"{ENTRY}.inclusionProof", None),
        _set(f"{ENTRY}.inclusionProof.rootHash", b64(b"x" * 32)),
        _set(f"{ENTRY}.inclusionProof.checkpoint.envelope", "rekor.test - 1\n1\nAAAA\n\n\u2014 rekor.test AAAAAAAA\n"),
        _set(f"{ENTRY}.canonicalizedBody", b64(b"{}")),
        _set("verificationMaterial.tlogEntries", []),
        _set("verificationMaterial.certificate.rawBytes", b64(b"x")),
        _set("mediaType", "application/vnd.dev.sigstore.bundle.v9+json"),
        _set("dsseEnvelope", None),
    ],
)
def test_a_bundle_that_was_altered(sigstore: Sigstore, trust: TrustRoot, change: Change) -> None:
    bundle = sigstore.bundle(sigstore.leaf(), statement())
    verified(trust, bundle)
    change(bundle)
    with pytest.raises(SignatureFault):
        verified(trust, bundle)


def test_parts_of_two_bundles(sigstore: Sigstore, trust: TrustRoot) -> None:
    one, two = (sigstore.bundle(sigstore.leaf(), statement(kind=kind)) for kind in (SLSA1, SLSA02))
    for part in ("dsseEnvelope", "verificationMaterial"):
        with pytest.raises(NotVerified):
            verified(trust, {**one, part: two[part]})
    for part in ("certificate", "tlogEntries"):
        mixed = copy.deepcopy(one)
        mixed["verificationMaterial"][part] = two["verificationMaterial"][part]
        with pytest.raises(NotVerified):
            verified(trust, mixed)


def test_a_certificate_that_is_not_good_enough(sigstore: Sigstore, trust: TrustRoot) -> None:
    leaves: dict[str, Leaf] = {
        "signed certificate timestamp": sigstore.leaf(sct=False),
        "code signing": sigstore.leaf(purpose=ExtendedKeyUsageOID.CLIENT_AUTH),
        "chain": Sigstore().leaf(),
    }
    for words, leaf in leaves.items():
        with pytest.raises(NotVerified, match=f"(?i){words}"):
            verified(trust, sigstore.bundle(leaf, statement()))


def test_another_instance(trust: TrustRoot) -> None:
    other = Sigstore()
    with pytest.raises(NotVerified):
        verified(trust, other.bundle(other.leaf(), statement()))


def test_an_instance_that_is_not_the_public_one(tmp_path: Path) -> None:
    own = Sigstore("own", "example.com")
    found = verified(trusting(own, tmp_path), own.bundle(own.leaf(), statement()))
    assert (found["kind"], found["signer"]["certificateIssuer"]) == ("untrusted", "CN=own,O=example.com")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (statement(kind="https://spdx.dev/Document"), "is no SLSA provenance: its predicate type is 'https://spdx"),
        (statement(Digest.of(b"y")), "is of something else"),
        ({**statement(), "subject": None}, "is of something else"),
        ({**statement(), "_type": "x"}, "is of something else"),
        ({"subject": 1}, "signs no in-toto statement"),
    ],
)
def test_a_statement_of_something_else(sigstore: Sigstore, trust: TrustRoot, said: dict[str, Any], words: str) -> None:
    with pytest.raises(NotVerified, match=words):
        verified(trust, sigstore.bundle(sigstore.leaf(), said))


def test_other_things_that_are_signed(sigstore: Sigstore, trust: TrustRoot) -> None:
    with pytest.raises(NotVerified, match="signs something of another type: 'text/plain'"):
        verified(trust, sigstore.bundle(sigstore.leaf(), statement(), "text/plain"))
    with pytest.raises(NotVerified, match="without a DSSE envelope"):
        verified(trust, sigstore.message_bundle(sigstore.leaf(), b"x"))


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b"{}", b"\xff", b"[" * 100_000, b"x" * 10_000_000])
def test_what_is_no_bundle(trust: TrustRoot, raw: bytes) -> None:
    with pytest.raises(SignatureFault):
        artifact_attestation(trust, FILE, raw)


def test_roots_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "root.json"
    for text in ("", "{}", "[]", '{"mediaType": "x"}'):
        path.write_text(text)
        with pytest.raises(SignatureFault, match=f"the trust root {path} cannot be read"):
            TrustRoot(str(path))
    with pytest.raises(SignatureFault, match="the trust root /none cannot be read"):
        TrustRoot("/none")


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.policy.signatures.trustroot.find_spec", lambda name: None)
    with pytest.raises(MissingLibrary, match="need sigstore, which is not installed") as caught:
        TrustRoot()
    assert caught.value.hint == "pip install 'lapstrake[sigstore]'"


def test_where_github_has_them() -> None:
    assert github_url("docker/buildx", FILE) == (
        f"https://api.github.com/repos/docker/buildx/attestations/{FILE}"
        "?predicate_type=https%3A%2F%2Fslsa.dev%2Fprovenance%2Fv1"
    )
    for bad in ("", "x", "/x", "x/", "x/..", "../x", "a/b/c", "a b/c", "x/y?z", "x/y\n", "x/é"):
        with pytest.raises(SignatureFault, match="invalid GitHub repository"):
            github_url(bad, FILE)


def test_what_github_answers() -> None:
    found = github_answer(b'{"attestations": [{"bundle": {"a": 1}, "bundle_url": "u"}, {"bundle": null}, {}]}')
    assert found == Answer((b'{"a": 1}',), ("u",))
    for raw in (b"", b"{}", b"[]", b'{"attestations": null}', b'{"attestations": [1]}', b"\xff"):
        assert github_answer(raw) == Answer((), ())


def test_a_bundle_behind_a_url() -> None:
    packed = bytes(cramjam.snappy.compress_raw(b'{"a": 1}'))
    assert github_bundle("https://x.test/a.json.sn?sig=1", packed) == b'{"a": 1}'
    assert github_bundle("https://x.test/a.json?b=.json.sn", b' {"a": 1}\n') == b'{"a": 1}'
    for bad in (b"", b"\xff" * 20, packed[:-3], bytes(cramjam.snappy.compress_raw(b"0" * (LIMIT + 1)))):
        with pytest.raises(SignatureFault):
            github_bundle("https://x.test/a.json.sn", bad)


def test_the_first_that_verifies(sigstore: Sigstore, trust: TrustRoot) -> None:
    good = json.dumps(sigstore.bundle(sigstore.leaf(), statement())).encode()
    told: list[str] = []
    found = first_attestation(trust, FILE, (b"{}", good), told.append)
    assert found is not None and found.kind == "self-signed-github-repo"
    assert len(told) == 1 and told[0].startswith("the Sigstore bundle cannot be read")
    assert first_attestation(trust, Digest.of(b"y"), (good,), told.append) is None
    assert first_attestation(trust, FILE, (), told.append) is None


@given(st.data())
def test_any_byte_of_a_published_bundle(data: st.DataObject) -> None:
    if not _PUBLIC:
        _PUBLIC.append(TrustRoot())
    raw = bytearray(PUBLISHED.read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255))
    try:
        artifact_attestation(_PUBLIC[0], PUBLISHED_FILE, bytes(raw))
    except SignatureFault:
        pass


_PUBLIC: list[TrustRoot] = []
