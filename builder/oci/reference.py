"""Reference: the name of an image, `[host[:port]/]path[:tag][@sha256:hex]` (distribution reference grammar)."""

from __future__ import annotations

import re

import msgspec

from builder.errors import ImageFault
from cache.digest import Digest
from cache.errors import Fault

DEFAULT_REGISTRY = "docker.io"
DEFAULT_TAG = "latest"
_PATH = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*\Z")
_TAG = re.compile(r"\w[\w.-]{0,127}\Z", re.ASCII)
_HOST = re.compile(r"(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]+)?\Z")


class Reference(msgspec.Struct, frozen=True):
    """registry and repository are canonical (docker.io, library/busybox); tag is "" when a digest stands alone."""

    registry: str
    repository: str
    tag: str = DEFAULT_TAG
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a familiar or canonical name; raises ImageFault in Docker's words."""
        invalid = ImageFault(f'invalid reference format: "{text}"', "want [HOST[:PORT]/]NAME[:TAG][@sha256:DIGEST]")
        name, at, digest_text = text.partition("@")
        try:
            digest = Digest.parse(digest_text) if at else None
        except Fault:
            raise invalid from None
        head, slash, rest = name.partition("/")
        if slash and ("." in head or ":" in head or head == "localhost" or head != head.lower()):
            registry, path = head, rest
        else:
            registry, path = DEFAULT_REGISTRY, name
        path, colon, tag = path.partition(":")
        if registry in ("index.docker.io", "registry-1.docker.io"):
            registry = DEFAULT_REGISTRY
        if path != path.lower() and _PATH.match(path.lower()):
            raise ImageFault(f'invalid reference format: repository name ({path}) must be lowercase: "{text}"')
        if not _PATH.match(path) or not _HOST.match(registry) or (colon and not _TAG.match(tag)) or len(path) > 255:
            raise invalid
        if registry == DEFAULT_REGISTRY and "/" not in path:
            path = f"library/{path}"
        return cls(registry, path, tag or ("" if digest else DEFAULT_TAG), digest)

    @property
    def familiar_name(self) -> str:
        """The name without tag, as people write it: `busybox`, `user/app`, `ghcr.io/x/y`."""
        if self.registry != DEFAULT_REGISTRY:
            return f"{self.registry}/{self.repository}"
        return self.repository.removeprefix("library/")

    @property
    def familiar(self) -> str:
        """`busybox:latest`, with the digest if there is one."""
        return self.familiar_name + self._suffix()

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}{self._suffix()}"

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")
