"""What a registry has beside an image: taken with limits, and only if it can be read."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from builder.errors import ImageFault, RegistryFault
from builder.oci.descriptor import OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Descriptor
from builder.oci.reference import Reference
from builder.registry.credentials import Credentials
from builder.registry.registries import Registries
from builder.registry.registriesconf import RegistriesConf
from builder.source.attested import Attested
from builder.transport.settings import Retries
from builder.transport.transport import Transport
from cache.digest import Digest
from tests.e2e.test_policy_images import Referring
from tests.memoryregistry import running

ABOUT = Digest.of(b"about")


@pytest.fixture
def there() -> Iterator[tuple[Referring, Attested]]:
    registry = Referring()
    transport = Transport(agent="t", sleep=lambda s: None, now=lambda: 0.0, retries=Retries(attempts=1))
    with running(registry) as host:
        registries = Registries(transport, RegistriesConf(), Credentials("/nonexistent"), lambda: 0.0)
        yield registry, Attested(registries, Reference.parse(f"{host}/app@{ABOUT}"))
    transport.close()


def test_what_refers(there: tuple[Referring, Attested]) -> None:
    registry, attested = there
    subject = {"mediaType": OCI_MANIFEST, "digest": str(ABOUT), "size": 5}
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [], "artifactType": "x/y", "subject": subject}
    made = registry.add_manifest("app", "", document)
    (found,) = attested.referrers(ABOUT)
    assert (str(found.digest), found.size, found.artifact_type) == (made["digest"], made["size"], "x/y")
    assert json.loads(attested.read(found.descriptor)) == document
    asked = len(registry.server.seen)
    assert attested.referrers(ABOUT) == (found,) and json.loads(attested.read(found.descriptor)) == document
    assert len(registry.server.seen) == asked


def test_nothing_refers(there: tuple[Referring, Attested]) -> None:
    assert there[1].referrers(ABOUT) == ()


@pytest.mark.parametrize("entries", [1, [1], [{"mediaType": "x", "digest": "sha256:0", "size": 1}], [{}]])
def test_a_list_that_cannot_be_read(there: tuple[Referring, Attested], entries: object) -> None:
    registry, attested = there
    registry.refer = lambda name, digest: entries  # type: ignore[assignment,method-assign,return-value]
    with pytest.raises(ImageFault, match=f"what refers to {ABOUT} cannot be read"):
        attested.referrers(ABOUT)


def test_blobs(there: tuple[Referring, Attested]) -> None:
    registry, attested = there
    made = registry.add_blob("app", b"data")
    digest = Digest.parse(made["digest"])
    assert attested.read(Descriptor(OCI_LAYER, digest, 4)) == b"data"
    for size, words in ((1 << 40, "too many"), (3, "has more than"), (5, "not 5")):
        with pytest.raises(RegistryFault, match=words):
            attested.read(Descriptor(OCI_LAYER, digest, size))
    with pytest.raises(RegistryFault):
        attested.read(Descriptor(OCI_INDEX, digest, 4))
