"""What is attested of an image, as policies see it: its provenance, and who signed that."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from builder.errors import ImageFault, MissingLibrary, PolicyFault, SignatureFault
from builder.graph.gitref import parse_git_ref
from builder.graph.operation import GitSource, HttpSource
from builder.oci.platform import Platform
from builder.oci.reference import Reference
from builder.policy.facts import ImageFacts
from builder.policy.input import Image, Input, Provenance
from builder.policy.log import DEBUG, Log
from builder.policy.signatures.attestationsignature import AttestationSignature
from builder.policy.signatures.chain import image_provenance, resolve_chain
from builder.policy.signatures.material import Material
from builder.policy.signatures.provenance import ReadProvenance
from cache.errors import Fault

if TYPE_CHECKING:
    from builder.policy.signatures.trustroot import TrustRoot

Named = Callable[[Material, Platform], Input]
"""The input of a material, an empty one where it is no source."""


def with_attestations(
    image: Image, platform: Platform, facts: ImageFacts, trust: Callable[[], TrustRoot] | None, named: Named, log: Log
) -> Image:
    """The image with what its registry has beside it. A signature that does not verify is none; the log says why.

    trust: None where nobody asks for signatures.

    Raises PolicyFault, MissingLibrary, and what the registry raises.
    """
    if facts.attested is None:
        raise PolicyFault(
            f"docker-image://{image.ref}: what is attested of it is not known: it is not from a registry",
            "ask for input.image.checksum, or push the image and name it by its registry",
        )
    beside = facts.attested()
    top = beside.top()
    chain = resolve_chain(top.raw, top.descriptor.media_type, platform, beside)
    image = msgspec.structs.replace(image, checksum=str(top.descriptor.digest))
    if chain is None or chain.attestation is None:
        return image
    if str(chain.image.digest) != facts.manifest:
        raise ImageFault(f"{image.ref}: what is attested is of {chain.image.digest}, not of {facts.manifest}")
    provenance = image_provenance(chain, beside)
    signatures: list[AttestationSignature] = []
    if chain.signature is not None and trust is not None:
        from builder.policy.signatures.imagesignature import image_signature

        try:
            found = image_signature(trust(), chain, beside)
        except MissingLibrary:
            raise
        except (SignatureFault, ImageFault) as error:
            log(DEBUG, f"failed to parse image signatures: {error.message}")
        else:
            signatures = [] if found is None else [found]
    return msgspec.structs.replace(
        image, has_provenance=True, provenance=_shown(provenance, platform, named), signatures=signatures
    )


def _shown(found: ReadProvenance | None, platform: Platform, named: Named) -> Provenance | None:
    if found is None:
        return None
    fields = {name: getattr(found.shown, name) for name in found.shown.__struct_fields__}
    return Provenance(**fields, materials=[named(one, platform) for one in found.sources])


def source_of(material: Material) -> Reference | HttpSource | GitSource | None:
    """What a material would be as a source of a build: of an image, of a file, of a repository; None if none."""
    try:
        if material.kind == "image":
            return Reference.parse(material.source.removeprefix("docker-image://"))
        if material.kind == "http":
            return HttpSource(url=material.source, name="")
        git = parse_git_ref(material.url)
        return None if git is None else git.source()
    except Fault:
        return None
