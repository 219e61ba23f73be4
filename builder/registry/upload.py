"""Uploading to a registry: what it has is skipped, mounted from a neighbour, or sent (distribution-spec, push)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.parse import quote, urljoin

import msgspec

from builder.errors import BuildFault, Denied, Interrupted, RegistryFault, TimedOut, TransportFault, Unreachable
from builder.oci.descriptor import Descriptor
from builder.registry.answers import said_by
from builder.registry.client import Client
from builder.transport.address import origin
from builder.transport.response import Response

CHUNK = 32 << 20  # bytes of one PATCH: what is sent again if a connection breaks
_READ = 1 << 20
_BREAKS = 5
_GONE = frozenset({404, 416, 500, 502, 503, 504})  # an upload that is not, or not where we are; another may do


class _Lost(RegistryFault):
    """The registry does not carry on an upload."""


class Session(msgspec.Struct, frozen=True):
    """A running upload. url: where the next part goes. chunk: bytes that a part should have at least."""

    url: str
    chunk: int


class Upload:
    """Sends to one repository. Safe for many threads."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._scope = f"repository:{client.place.repository}:pull,push"

    def cancel(self) -> None:
        """Whatever is under way fails with Canceled."""
        self._client.cancel()

    def has(self, blob: Descriptor) -> bool:
        """HEAD of a blob."""
        with self._client.request("HEAD", self._path(f"blobs/{blob.digest}"), scope=self._scope) as response:
            if response.status not in (200, 404):
                raise self._fault(response, f"blob {blob.digest}")
            return response.status == 200

    def has_manifest(self, entry: Descriptor) -> bool:
        """HEAD of an image that an index names."""
        path, headers = self._path(f"manifests/{entry.digest}"), {"accept": entry.media_type}
        with self._client.request("HEAD", path, headers, scope=self._scope) as response:
            if response.status not in (200, 404):
                raise self._fault(response, f"manifest {entry.digest}")
            return response.status == 200

    def mount(self, blob: Descriptor, repository: str) -> bool:
        """Take a blob over from another repository of the registry; whether it did."""
        scope = f"{self._scope} repository:{repository}:pull"
        path = self._path(f"blobs/uploads/?mount={blob.digest}&from={quote(repository, safe='')}")
        try:
            with self._client.request("POST", path, {"content-length": "0"}, scope=scope) as response:
                return response.status == 201  # 202 began an upload instead, which the registry forgets by itself
        except Denied:
            return False  # the neighbour may not be read

    def blob(self, blob: Descriptor, path: str, moved: Callable[[int], None]) -> None:
        """Send the file `path`, in one piece if it is small, else in chunks that can be carried on."""

        def send(session: Session) -> None:
            if blob.size <= session.chunk:
                self._finish(session.url, blob, lambda: _part(path, 0, blob.size), blob.size)
            else:
                self._finish(self._chunks(session, blob, path, moved), blob, None, 0)

        self._send(blob, send)
        moved(blob.size)

    def data(self, blob: Descriptor, raw: bytes) -> None:
        """Send bytes that are in memory."""
        self._send(blob, lambda session: self._finish(session.url, blob, lambda: iter((raw,)), len(raw)))

    def manifest(self, raw: bytes, descriptor: Descriptor, reference: str) -> None:
        """Put a manifest under a tag or its own digest; the registry must name it as we do."""
        headers = {"content-type": descriptor.media_type}
        path = self._path(f"manifests/{quote(reference, safe=':')}")
        with self._client.request("PUT", path, headers, raw, self._scope) as response:
            if response.status not in (200, 201, 202):
                raise self._fault(response, f"manifest {descriptor.digest}")
            said = response.headers.get("docker-content-digest", "")
        if said.startswith("sha256:") and said != str(descriptor.digest):
            raise RegistryFault(f"{self._name()}: the registry calls manifest {descriptor.digest} {said:.80}")

    def _send(self, blob: Descriptor, send: Callable[[Session], None]) -> None:
        """In a new upload; in another one from the first byte on if it is lost, as often as requests are made."""
        attempt = 0
        while True:
            attempt += 1
            session = self._begin(blob)
            try:
                send(session)
                return
            except BuildFault as error:
                self._cancel(session)
                if not isinstance(error, Interrupted | TimedOut | Unreachable | _Lost):
                    raise
                if self.has(blob):  # it was whole, and the answer was lost
                    return
                if not self._client.wait(attempt):
                    raise

    def _begin(self, blob: Descriptor) -> Session:
        headers = {"content-length": "0"}
        path = self._path("blobs/uploads/")
        with self._client.request("POST", path, headers, b"", self._scope, repeat=True) as response:
            if response.status != 202:
                raise self._fault(response, f"blob {blob.digest}")
            least = response.headers.get("oci-chunk-min-length", "")
            chunk = int(least) if least.isascii() and least.isdigit() and len(least) < 19 else 0
            return Session(self._location(response, f"{self._client.base()}/v2/{path}"), max(CHUNK, chunk))

    def _cancel(self, session: Session) -> None:
        """Say that nothing more comes; what the registry says to it does not count."""
        with suppress(BuildFault):
            headers = {"content-length": "0"}
            with self._client.request("DELETE", session.url, headers, scope=self._scope, repeat=False):
                pass

    def _chunks(self, session: Session, blob: Descriptor, path: str, moved: Callable[[int], None]) -> str:
        """PATCH after PATCH; when one breaks off, the registry is asked how far it came."""
        at = breaks = 0
        where = session.url
        while at < blob.size:
            size = min(session.chunk, blob.size - at)
            try:
                where = self._patch(where, blob, path, at, size)
                at += size
            except (Interrupted, TimedOut, Unreachable, _Lost):
                breaks += 1
                if breaks > _BREAKS:
                    raise
                where, at = self._status(where, blob)
            moved(at)
        return where

    def _patch(self, where: str, blob: Descriptor, path: str, at: int, size: int) -> str:
        headers = {
            "content-type": "application/octet-stream",
            "content-length": str(size),
            "content-range": f"{at}-{at + size - 1}",
        }
        with self._client.request("PATCH", where, headers, lambda: _part(path, at, size), self._scope) as response:
            if response.status not in (202, 204):
                raise self._fault(response, f"blob {blob.digest}")
            return self._location(response, where)

    def _status(self, where: str, blob: Descriptor) -> tuple[str, int]:
        with self._client.request("GET", where, scope=self._scope) as response:
            if response.status != 204:
                raise self._fault(response, f"blob {blob.digest}")
            last = response.headers.get("range", "").removeprefix("bytes=").partition("-")[2]
            at = int(last) + 1 if last.isascii() and last.isdigit() and last != "0" else 0
            if at > blob.size:
                raise RegistryFault(f"{self._name()}: the registry has more of blob {blob.digest} than there is")
            return self._location(response, where), at

    def _finish(self, where: str, blob: Descriptor, content: Callable[[], Iterator[bytes]] | None, size: int) -> None:
        url = f"{where}{'&' if '?' in where else '?'}digest={quote(str(blob.digest), safe='')}"
        headers = {"content-type": "application/octet-stream", "content-length": str(size)}
        with self._client.request("PUT", url, headers, content, self._scope, repeat=False) as response:
            if response.status not in (201, 204):
                raise self._fault(response, f"blob {blob.digest}")

    def _location(self, response: Response, base: str) -> str:
        location = response.headers.get("location", "")
        if not location:
            raise RegistryFault(f"{self._name()}: the registry does not say where to upload to")
        url = urljoin(base, location)
        try:
            origin(url)
        except TransportFault as error:
            raise RegistryFault(f"{self._name()}: the registry names no place to upload to") from error
        return url

    def _path(self, rest: str) -> str:
        return f"{self._client.place.repository}/{rest}"

    def _fault(self, response: Response, what: str) -> RegistryFault:
        said = said_by(response)
        kind = _Lost if response.status in _GONE else RegistryFault
        return kind(
            f"{self._name()}: cannot push {what}: unexpected status {response.status}" + (f": {said}" if said else "")
        )

    def _name(self) -> str:
        return f"{self._client.place.registry}/{self._client.place.repository}"


def _part(path: str, at: int, size: int) -> Iterator[bytes]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        left = size
        while left:
            data = os.pread(fd, min(left, _READ), at + size - left)
            if not data:
                return  # the registry notices: it is told the size
            left -= len(data)
            yield data
    finally:
        os.close(fd)
