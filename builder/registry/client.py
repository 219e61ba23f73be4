"""Client: one registry's API (OCI distribution-spec 1.1, Docker registry v2)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, urljoin

import msgspec

from builder.errors import RegistryFault
from builder.oci.descriptor import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    INDEXES,
    MANIFESTS,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
)
from builder.registry.answers import expect, named
from builder.registry.connection import Connection
from builder.transport.address import origin
from builder.transport.response import Response
from cache.digest import Digest
from cache.errors import Fault

ACCEPT = ", ".join((OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST))
MANIFEST_LIMIT = 4 << 20  # bytes; the distribution spec asks registries to take as much
_PAGE_LIMIT = 8 << 20  # bytes of one page of a list
_PAGES = 1000
_PAGE = 1000  # names to ask for at once
_NEXT = re.compile(r'<([^>]*)>\s*;\s*rel="?next"?')


class Fetched(msgspec.Struct, frozen=True):
    """A manifest or index: its bytes, and what they are."""

    raw: bytes
    descriptor: Descriptor


class Client(Connection):
    """What is read of a registry; upload.py writes. Methods raise NotThere, Denied, RegistryFault, TransportFault."""

    def manifest(self, reference: str) -> Fetched:
        """By tag or digest; what a digest names is checked. Raises NotThere, Denied, RegistryFault."""
        path = f"{self.place.repository}/manifests/{_safe(reference)}"
        with self.request("GET", path, {"accept": ACCEPT}) as response:
            expect(response, (200,), self.place, reference)
            raw = response.read(MANIFEST_LIMIT)
            kind = response.headers.get("content-type", "").partition(";")[0].strip()
            said = response.headers.get("docker-content-digest", "")
        digest = Digest.of(raw)
        wanted = reference if ":" in reference else said if said.startswith("sha256:") else str(digest)
        if wanted != str(digest):
            raise RegistryFault(f"{named(self.place, reference)}: the manifest is {digest}, not {wanted:.80}")
        try:
            return Fetched(raw, Descriptor(_media_type(raw, kind), digest, len(raw)))
        except RegistryFault as error:
            raise RegistryFault(f"{named(self.place, reference)}: {error.message}", error.hint) from error

    def head(self, reference: str) -> Descriptor | None:
        """What a manifest is, without its bytes; None if it is not there, or the registry does not say."""
        path = f"{self.place.repository}/manifests/{_safe(reference)}"
        with self.request("HEAD", path, {"accept": ACCEPT}) as response:
            if response.status == 404:
                return None
            expect(response, (200,), self.place, reference)
            kind = response.headers.get("content-type", "").partition(";")[0].strip()
            try:
                digest = Digest.parse(response.headers.get("docker-content-digest", ""))
            except Fault:
                return None
            if kind not in INDEXES | MANIFESTS or response.length is None:
                return None
            return Descriptor(kind, digest, response.length)

    @contextmanager
    def blob(self, digest: Digest, start: int = 0) -> Iterator[Response]:
        """A blob from byte `start` on; the answer's status is 206, or 200 where it begins at the first byte."""
        headers = {"range": f"bytes={start}-"} if start else {}
        with self.request("GET", f"{self.place.repository}/blobs/{digest}", headers) as response:
            expect(response, (200, 206), self.place, str(digest))
            if response.status == 206 and not response.headers.get("content-range", "").startswith(f"bytes {start}-"):
                raise RegistryFault(f"{named(self.place, str(digest))}: the registry sent another range than asked for")
            yield response

    def tags(self) -> list[str]:
        """All tags of the repository, as the registry lists them."""
        return list(self._listed(f"{self.place.repository}/tags/list", "tags"))

    def referrers(self, digest: Digest) -> tuple[bytes, ...]:
        """The indexes of what refers to a manifest (distribution-spec, listing referrers).

        A registry that does not know the question may have a tag for it. Raises NotThere where it has not.
        """
        url = f"{self.base()}/v2/{self.place.repository}/referrers/{digest}"
        found: list[bytes] = []
        asked: set[str] = set()
        for _ in range(_PAGES):
            if url in asked:
                raise RegistryFault(f"{named(self.place)}: its list begins again")
            if sum(map(len, found)) > _PAGE_LIMIT:
                raise RegistryFault(f"{named(self.place)}: its list is too long")
            asked.add(url)
            with self.request("GET", url, {"accept": OCI_INDEX}) as response:
                kind = response.headers.get("content-type", "").partition(";")[0].strip()
                if response.status != 200 or kind != OCI_INDEX:
                    return tuple(found) or (self.manifest(f"{digest.algorithm}-{digest.hex}").raw,)
                found.append(response.read(_PAGE_LIMIT))
                more = _NEXT.search(response.headers.get("link", ""))
            if more is None:
                return tuple(found)
            url = urljoin(url, more[1])
            if origin(url) != origin(self.base()):
                raise RegistryFault(f"{named(self.place)}: its list goes on at another host")
        raise RegistryFault(f"{named(self.place)}: its list has more than {_PAGES} pages")

    def catalog(self) -> Iterator[str]:
        """All repositories of the registry, where it tells; a page is asked for when it is wanted."""
        return self._listed("_catalog", "repositories", "registry:catalog:*")

    def _listed(self, path: str, field: str, scope: str = "") -> Iterator[str]:
        plain = f"{self.base()}/v2/{path}"
        url = f"{plain}?n={_PAGE}"
        asked: set[str] = set()
        for number in range(_PAGES):
            if url in asked:
                raise RegistryFault(f"{named(self.place)}: its list begins again")
            asked.add(url)
            with self.request("GET", url, {"accept": "application/json"}, scope=scope) as response:
                if response.status == 400 and number == 0:
                    url = plain  # some registries refuse pages that are larger than theirs
                    continue
                expect(response, (200,), self.place)
                raw = response.read(_PAGE_LIMIT)
                more = _NEXT.search(response.headers.get("link", ""))
            yield from _names(raw, field)
            if more is None:
                return
            url = urljoin(url, more[1])
            if origin(url) != origin(self.base()):
                raise RegistryFault(f"{named(self.place)}: its list goes on at another host")
        raise RegistryFault(f"{named(self.place)}: its list has more than {_PAGES} pages")


def _names(raw: bytes, field: str) -> list[str]:
    try:
        names = json.loads(raw).get(field) or []
        if not isinstance(names, list):
            raise ValueError(field)
    except (ValueError, AttributeError, RecursionError) as error:
        raise RegistryFault("the registry's list is malformed") from error
    return [name for name in names if isinstance(name, str)]


def _media_type(raw: bytes, said: str) -> str:
    """What a document is; one that the server calls otherwise, or that could be read as either kind, is refused."""
    try:
        data = json.loads(raw)
        kind = data.get("mediaType") or said
        if kind not in INDEXES | MANIFESTS:
            kind = OCI_INDEX if "manifests" in data else OCI_MANIFEST if "layers" in data else kind
    except (ValueError, AttributeError, RecursionError) as error:
        raise RegistryFault("the manifest is no JSON document") from error
    if "manifests" in data and "layers" in data:
        raise RegistryFault("the manifest has both layers and manifests, so that it is neither an image nor an index")
    if said in INDEXES | MANIFESTS and said != kind:
        raise RegistryFault(f"the manifest says that it is {kind!r:.100}, the registry that it is {said}")
    if kind not in INDEXES | MANIFESTS:
        hint = "schema 1 manifests are not supported" if data.get("schemaVersion") == 1 else ""
        raise RegistryFault(f"a manifest of type {kind!r:.100} is not supported", hint)
    return str(kind)


def _safe(reference: str) -> str:
    return quote(reference, safe=":")
