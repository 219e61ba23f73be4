from __future__ import annotations

import msgspec
import pytest

from builder.policy.signatures.attestationsignature import AttestationSignature, Timestamp
from builder.policy.signatures.signer import SignerInfo

WORKFLOW = "https://github.com/docker/github-builder/.github/workflows/bake.yml@refs/heads/main"
DOCKER = AttestationSignature(
    type="bundle-v0.3",
    timestamps=[Timestamp("Tlog", "https://rekor.test", "2026-05-01T12:00:00Z")],
    signer=SignerInfo(
        certificate_issuer="CN=sigstore-intermediate,O=sigstore.dev",
        subject_alternative_name=WORKFLOW,
        issuer="https://token.actions.githubusercontent.com",
        build_signer_uri=WORKFLOW,
        runner_environment="github-hosted",
        source_repository_uri="https://github.com/o/r",
    ),
)


def with_signer(**fields: str) -> AttestationSignature:
    assert DOCKER.signer is not None
    return msgspec.structs.replace(DOCKER, signer=msgspec.structs.replace(DOCKER.signer, **fields))


def test_dockers_builder() -> None:
    assert DOCKER.kind == "docker-github-builder"
    trial = WORKFLOW.replace("github-builder", "github-builder-experimental")
    assert with_signer(build_signer_uri=trial, subject_alternative_name=trial).kind == "docker-github-builder"


@pytest.mark.parametrize(
    "fields",
    [
        {"subject_alternative_name": "https://github.com/o/r/.github/workflows/x"},
        {"build_signer_uri": "https://github.com/docker/github-builder-2/.github/workflows/x"},
        {"issuer": "https://token.example.com"},
        {"runner_environment": "self-hosted"},
        {"source_repository_uri": "https://gitlab.com/o/r"},
    ],
)
def test_what_only_looks_like_it(fields: dict[str, str]) -> None:
    assert with_signer(**fields).kind == "self-signed"


def test_signatures_of_another_form() -> None:
    assert msgspec.structs.replace(DOCKER, timestamps=[]).kind == "self-signed"
    assert msgspec.structs.replace(DOCKER, type="simplesigning-v1").kind == "self-signed"


def test_a_repository_that_signs_for_itself() -> None:
    own = "https://github.com/o/r/.github/workflows/x.yml@main"
    assert with_signer(build_signer_uri=own, subject_alternative_name=own).kind == "self-signed-github-repo"
    other = "https://github.com/o/r2/.github/workflows/x.yml@main"
    assert with_signer(build_signer_uri=other, subject_alternative_name=other).kind == "self-signed"
    assert with_signer(build_signer_uri=own).kind == "self-signed"


def test_nobody_that_is_known() -> None:
    assert with_signer(certificate_issuer="CN=sigstore-intermediate,O=example.com").kind == "untrusted"
    assert AttestationSignature(type="bundle-v0.3").kind == "untrusted"


def test_a_hardened_image() -> None:
    made = AttestationSignature(type="simplesigning-v1", docker_reference="dhi.io/x", is_hardened=True)
    assert made.plain() == {
        "kind": "docker-hardened-image",
        "type": "simplesigning-v1",
        "dockerReference": "dhi.io/x",
        "isDHI": True,
    }
    assert msgspec.structs.replace(made, docker_reference="").kind == "untrusted"
