"""What is known of a source beyond its name: the builder finds it out when a policy looks at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from builder.graph.operation import GitSource, HttpSource
from builder.oci.descriptor import Descriptor
from builder.policy.signatures.chain import Repository


class Named(Protocol):
    """A manifest or index: its bytes, proved, and what they are."""

    @property
    def raw(self) -> bytes: ...

    @property
    def descriptor(self) -> Descriptor: ...


class AttestedLook(Repository, Protocol):
    """What a registry has of an image, and beside it."""

    def top(self) -> Named:
        """What the image's digest names."""


class ImageFacts(msgspec.Struct, frozen=True):
    """digest: of what the name stands for. config: the JSON of the platform's config. manifest: its digest.

    attested: gives what is beside the image, None where it is in no registry.
    """

    digest: str
    config: bytes
    manifest: str = ""
    attested: Callable[[], AttestedLook] | None = None


class GitFacts(msgspec.Struct, frozen=True):
    """ref: in full, "" for a commit. checksum: of the object that it names. commit: of the commit that leads to.

    objects: of these, where they were asked for; tag: of an annotated one.
    """

    ref: str
    checksum: str
    commit: str
    commit_object: bytes = b""
    tag_object: bytes = b""


ImageLook = Callable[[str], ImageFacts]
"""By an image's name. Raises SourceFault."""


class RemoteLook(Protocol):
    """Raises SourceFault, TransportFault."""

    def checksum(self, source: HttpSource) -> str:
        """`sha256:<hex>` of the file."""

    def content(self, source: HttpSource) -> str:
        """Where the file is, as long as the build lasts."""

    def facts(self, source: GitSource, objects: bool) -> GitFacts:
        """objects: whether those are wanted."""
