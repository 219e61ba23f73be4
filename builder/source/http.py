"""Downloads: files of URLs, kept as blobs, asked for again only where the server says that they have changed.

Rules: BuildKit's source/http (revalidation by ETag, secrets of a host, safe names).
"""

from __future__ import annotations

import email.utils
import os
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec

from builder.errors import Canceled, LayerFault, SourceFault
from builder.graph.gitref import redacted
from builder.graph.operation import HttpSource
from builder.layer.entry import Content, Entry, Kind
from builder.layer.limits import Limits
from builder.layer.openarchive import open_archive
from builder.source.archivefile import looks_like_tar, read_member
from builder.source.httpbody import Changed, HttpBody
from builder.source.sourcetree import SourceTree
from builder.transport.address import origin
from cache import record
from cache.blobs import BlobStore
from cache.digest import Digest
from cache.errors import Fault
from cache.store import Store

if TYPE_CHECKING:
    from builder.transport.transport import Transport

_VERSION = "lapstrake-http-1"  # decides keys
_MODE = 0o600
_RESTARTS = 4  # how often all of a file is asked for anew, where the rest alone cannot be had

Secrets = Callable[[str], bytes | None]

Pause = Callable[[float], None]
"""Waits for seconds; raises Canceled."""


class Fetched(msgspec.Struct, frozen=True):
    """What a URL gave: its bytes by digest and size, its ETag or "", its Last-Modified in seconds or None."""

    digest: Digest
    size: int
    etag: str = ""
    modified: int | None = None


class HttpFile(SourceTree):
    """A Tree of one file of this name."""

    def __init__(self, blobs: BlobStore, name: str, fetched: Fetched, mtime: int) -> None:
        self._blobs, self._fetched = blobs, fetched
        self._name = os.fsencode(name)
        self.dated, self.size = mtime, fetched.size
        self._entry = Entry(path=self._name, kind=Kind.FILE, mode=_MODE, mtime=mtime, size=fetched.size)

    def lookup(self, path: bytes) -> Entry | None:
        if not path:
            return Entry(path=b"", kind=Kind.DIR, mode=0o755, mtime=self._entry.mtime)
        return self._entry if path == self._name else None

    def names(self, path: bytes) -> list[bytes]:
        return [self._name]

    def walk(self, path: bytes) -> Iterator[Entry]:
        if not path:
            yield self._entry

    def content(self, path: bytes) -> Content:
        return BlobContent(self._blobs, self._fetched.digest)

    def digest(self, path: bytes) -> str:
        return self._fetched.digest.hex

    def modified(self, path: bytes) -> int:
        return self._entry.mtime


class BlobContent:
    """The bytes of a blob, checked while they are read."""

    def __init__(self, blobs: BlobStore, digest: Digest) -> None:
        self._blobs, self._digest = blobs, digest

    def chunks(self) -> Iterator[bytes]:
        with self._blobs.open(self._digest) as reader:
            while data := reader.read(1 << 20):
                yield data


class Downloads:
    """mtime: seconds, of a file whose server does not date it. limit: bytes of one file. Safe for many threads.

    transport: called when the first URL is to be asked, with what waits between its attempts. unpack: of an archive.
    """

    def __init__(
        self,
        store: Store,
        transport: Callable[[Pause], Transport],
        secrets: Secrets,
        mtime: int,
        limit: int,
        unpack: Limits,
    ) -> None:
        self._unpack = unpack
        self._store, self._connect = store, transport
        self._secrets, self._mtime, self._limit = secrets, mtime, limit
        self._transport: Transport | None = None
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._seen: dict[str, Fetched] = {}

    def cancel(self) -> None:
        with self._lock:
            self._stopped.set()
            if self._transport is not None:
                self._transport.cancel()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def identify(self, source: HttpSource) -> Digest:
        """A name for the file. No server is asked for a file of a given checksum that came from there before."""
        known = self._known(source.url)
        pinned = _checksum(source)
        if pinned is None or known is None or known.digest != pinned:
            known = self.get(source)
        return record.digest((_VERSION, source.name, known.digest, self._dated(known)))

    def tree(self, source: HttpSource) -> HttpFile:
        fetched = self.get(source)
        return HttpFile(self._store.blobs, source.name, fetched, self._dated(fetched))

    def time(self, source: HttpSource) -> int | None:
        """Last-Modified, or the date of an archive's newest file."""
        fetched = self.get(source)
        if fetched.modified is not None:
            return fetched.modified
        newest = None
        try:
            with self._store.blobs.open(fetched.digest) as reader:
                for entry, _ in open_archive(reader, self._unpack, source.url):
                    if entry.kind is Kind.FILE:
                        newest = entry.mtime if newest is None else max(newest, entry.mtime)
        except LayerFault:
            return None
        return newest

    def is_archive(self, source: HttpSource) -> bool:
        """Whether the file is a tar archive, plain or compressed."""
        tree = self.tree(source)
        return looks_like_tar(tree.content(b""), tree.size)

    def member(self, source: HttpSource, name: str, limit: int) -> bytes | None:
        """A file of the archive, None if it is not there."""
        return read_member(self._store.blobs, self.get(source).digest, name, limit, self._unpack)

    def path(self, source: HttpSource) -> str:
        """Where the file is in the store, held until the command ends."""
        return self._store.blobs.path(self.get(source).digest)

    def get(self, source: HttpSource) -> Fetched:
        """The file, in the store. Each URL is asked once a build. SourceFault for a wrong status or checksum."""
        with self._lock:
            lock = self._locks.setdefault(source.url, threading.Lock())
        with lock:
            found = self._seen.get(source.url)
            if found is None or not self._store.blobs.has(found.digest, found.size):
                found = self._fetch(source)
                self._seen[source.url] = found
        pinned = _checksum(source)
        if pinned is not None and found.digest != pinned:
            raise _mismatch(found.digest, pinned)
        return found

    def _fetch(self, source: HttpSource) -> Fetched:
        known = self._known(source.url)
        if known is not None and not self._store.blobs.has(known.digest, known.size):
            known = None
        pinned = _checksum(source)
        if known is not None and known.digest == pinned:
            return known
        headers = self._headers(source.url)
        if known is not None and known.etag:
            headers["If-None-Match"] = known.etag
        for last in (*[False] * _RESTARTS, True):
            try:
                found = self._ask(source, headers, known, pinned)
                break
            except Changed:
                if last:
                    raise
        if found is not known:
            self._store.index.put_memo("download", _memo(source.url), record.encode(found))
        return found

    def _ask(
        self, source: HttpSource, headers: dict[str, str], known: Fetched | None, pinned: Digest | None
    ) -> Fetched:
        shown = redacted(source.url)
        transport = self._open()
        with transport.stream("GET", source.url, headers) as response:
            if response.status == 304 and known is not None:
                return known
            if not 200 <= response.status < 300:
                raise SourceFault(f"{shown}: invalid response status {response.status}", _hint(response.status))
            body = HttpBody(response, lambda more: transport.stream("GET", source.url, {**headers, **more}), shown)
            digest, size = self._receive(body, shown, pinned)
            fields = response.headers
        return Fetched(digest, size, fields.get("etag", ""), _modified(fields.get("last-modified", "")))

    def _receive(self, body: HttpBody, shown: str, pinned: Digest | None) -> tuple[Digest, int]:
        with self._store.blobs.writer() as sink:
            size = 0
            for data in body.chunks():
                size += len(data)
                if size > self._limit:
                    hint = "raise LAPSTRAKE_DOWNLOAD_LIMIT, in bytes, if it is meant to be that large"
                    raise SourceFault(f"{shown}: more than {self._limit} bytes", hint)
                sink.write(data)
            if pinned is not None and sink.digest != pinned:
                raise _mismatch(sink.digest, pinned)
            return sink.commit()

    def _known(self, url: str) -> Fetched | None:
        return record.recall(self._store.index.memo("download", _memo(url)), Fetched)

    def _dated(self, fetched: Fetched) -> int:
        return self._mtime if fetched.modified is None else fetched.modified

    def _headers(self, url: str) -> dict[str, str]:
        host = origin(url).host
        found: dict[str, str] = {}
        for name, prefix in ((f"HTTP_AUTH_HEADER_{host}", ""), (f"HTTP_AUTH_TOKEN_{host}", "Bearer ")):
            value = self._secrets(name)
            if value is not None:
                text = value.strip()
                if any(byte < 32 for byte in text):
                    raise SourceFault(f"secret {name} has more than one line, which no header can")
                found["Authorization"] = prefix + text.decode("latin-1")
        return found

    def _pause(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise Canceled("canceled")

    def _open(self) -> Transport:
        with self._lock:
            if self._transport is None:
                self._transport = self._connect(self._pause)
                if self._stopped.is_set():
                    self._transport.cancel()
            return self._transport


def _checksum(source: HttpSource) -> Digest | None:
    return Digest.parse(source.checksum) if source.checksum else None


def _mismatch(found: Digest, wanted: Digest) -> Fault:
    return SourceFault(f"digest mismatch {found}: {wanted}", "the file is not the one that --checksum names")


def _memo(url: str) -> Digest:
    return Digest.of(url.encode("utf-8", "surrogateescape"))


def _modified(text: str) -> int | None:
    """Last-Modified in seconds (RFC 9110, 8.8.2); None where it is no date."""
    try:
        seconds = int(email.utils.parsedate_to_datetime(text).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None
    return seconds if 0 <= seconds < 1 << 33 else None


def _hint(status: int) -> str:
    if status in (401, 403):
        return "give --secret id=HTTP_AUTH_TOKEN_<host> or id=HTTP_AUTH_HEADER_<host>"
    return "check the URL" if status in (404, 410) else ""
