"""AttestationSignature: who signed what is attested, in the words of buildx's input (`input.image.signatures`)."""

from __future__ import annotations

from typing import Any

import msgspec

from builder.policy.signatures.signer import SignerInfo

BUNDLE_V03, SIMPLE_SIGNING_V1 = "bundle-v0.3", "simplesigning-v1"
_GITHUB = "https://github.com/"
_BUILDERS = tuple(
    f"{_GITHUB}docker/{name}/.github/workflows/" for name in ("github-builder", "github-builder-experimental")
)
_GITHUB_ISSUER = "https://token.actions.githubusercontent.com"
_SIGSTORE = "CN=sigstore-intermediate,O=sigstore.dev"
_HOSTED = "github-hosted"


class Timestamp(msgspec.Struct, frozen=True):
    """When a signature was there at the latest. type: Tlog or TimestampAuthority; uri: of that; timestamp: RFC 3339."""

    type: str
    uri: str
    timestamp: str


class AttestationSignature(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A signature that was verified. type: its form. signer: None where a key signed, not a certificate.

    kind: what the signer is worth, as moby/policy-helpers sorts them. It follows from the rest.
    """

    kind: str = ""
    type: str
    timestamps: list[Timestamp] = []
    docker_reference: str = msgspec.field(default="", name="dockerReference")
    is_hardened: bool = msgspec.field(default=False, name="isDHI")
    signer: SignerInfo | None = None

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "kind", self._sorted())

    def plain(self) -> dict[str, Any]:
        """The JSON object; what is empty is left out."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found

    def _sorted(self) -> str:
        if self.is_hardened and self.docker_reference:
            return "docker-hardened-image"
        signer = self.signer
        if signer is None or signer.certificate_issuer != _SIGSTORE:
            return "untrusted"
        if self._by_docker(signer):
            return "docker-github-builder"
        return "self-signed-github-repo" if _by_own_repository(signer) else "self-signed"

    def _by_docker(self, signer: SignerInfo) -> bool:
        return (
            signer.build_signer_uri.startswith(_BUILDERS)
            and signer.subject_alternative_name.startswith(_BUILDERS)
            and signer.issuer == _GITHUB_ISSUER
            and signer.source_repository_uri.startswith(_GITHUB)
            and signer.runner_environment == _HOSTED
            and bool(self.timestamps)
            and self.type == BUNDLE_V03
        )


def _by_own_repository(signer: SignerInfo) -> bool:
    workflows = f"{signer.source_repository_uri}/.github/workflows/"
    return (
        signer.issuer == _GITHUB_ISSUER
        and signer.source_repository_uri.startswith(_GITHUB)
        and signer.build_signer_uri.startswith(workflows)
        and signer.subject_alternative_name.startswith(workflows)
        and signer.runner_environment == _HOSTED
    )
