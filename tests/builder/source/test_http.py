"""Downloads from a server on loopback that breaks off, changes its mind, or lies."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from builder.errors import Canceled, SourceFault, TransportFault
from builder.graph.operation import HttpSource
from builder.layer.limits import Limits
from builder.source.http import Downloads
from builder.source.httpbody import BREAKS
from builder.transport.settings import Retries
from builder.transport.transport import Transport
from cache.store import Store
from tests.webserver import Exchange, WebServer, serving

BODY = bytes(range(256)) * 64
MTIME = 1000
LIMIT = 1 << 20


def downloads(store: Store, **secrets: bytes) -> Downloads:
    def connect(pause: Callable[[float], None]) -> Transport:
        return Transport(agent="t", sleep=pause, now=lambda: 0.0, retries=Retries(attempts=2, connects=1, first=0.0))

    return Downloads(store, connect, secrets.get, MTIME, LIMIT, Limits())


class Flaky:
    """A file that breaks off after `piece` bytes of each answer. etag: "" for none. seen: ranges asked for."""

    def __init__(self, body: bytes = BODY, piece: int = 1000, etag: str = '"one"') -> None:
        self.body, self.piece, self.etag = body, piece, etag
        self.ranges: list[tuple[str, str]] = []

    def __call__(self, exchange: Exchange) -> None:
        asked, proof = (exchange.seen.headers.get(name, "") for name in ("range", "if-range"))
        self.ranges.append((asked, proof))
        start = int(asked[6:-1]) if asked and proof == self.etag else 0
        headers = {"ETag": self.etag} if self.etag else {}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(self.body) - 1}/{len(self.body)}"
        self.answer(exchange, 206 if start else 200, self.body[start:], headers)

    def answer(self, exchange: Exchange, status: int, rest: bytes, headers: dict[str, str]) -> None:
        exchange.send(status, rest[: self.piece], content_length=str(len(rest)), **headers)
        if len(rest) > self.piece:
            exchange.cut()


@contextmanager
def fetching(answer: Callable[[Exchange], None], store: Store) -> Iterator[tuple[WebServer, Downloads]]:
    with serving(answer) as server:
        opened = downloads(store)
        try:
            yield server, opened
        finally:
            opened.close()
        assert os.listdir(store.path("tmp")) == []


def read(opened: Downloads, source: HttpSource) -> bytes:
    return b"".join(opened.tree(source).content(b"").chunks())


def source(server: WebServer, **more: str) -> HttpSource:
    return HttpSource(url=f"{server.url}/f", name="f", **more)


def test_what_broke_off_is_carried_on(store: Store) -> None:
    flaky = Flaky()
    with fetching(flaky, store) as (server, opened):
        assert read(opened, source(server)) == BODY
    starts = [int(asked[6:-1]) for asked, _ in flaky.ranges[1:]]
    assert starts == list(range(1000, len(BODY), 1000))
    assert {proof for _, proof in flaky.ranges[1:]} == {'"one"'}


def test_it_is_carried_on_so_many_times_and_no_more(store: Store) -> None:
    flaky = Flaky(piece=10)
    with fetching(flaky, store) as (server, opened), pytest.raises(TransportFault, match=r"/f: the connection was cut"):
        opened.get(source(server))
    assert len(flaky.ranges) == 1 + BREAKS
    assert store.blobs.digests() == []


class Changing(Flaky):
    """Another file from the second answer on, which does not break off."""

    def __call__(self, exchange: Exchange) -> None:
        if self.ranges:
            self.body, self.etag, self.piece = BODY[::-1], '"two"', len(BODY)
        super().__call__(exchange)


def test_a_file_that_changes_meanwhile_is_read_from_its_beginning(store: Store) -> None:
    with fetching(Changing(), store) as (server, opened):
        assert read(opened, source(server)) == BODY[::-1]
        assert opened.get(source(server)).etag == '"two"'


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_without_a_strong_etag_all_is_asked_for_again(store: Store, etag: str) -> None:
    flaky = Flaky(etag=etag)
    with fetching(flaky, store) as (server, opened), pytest.raises(SourceFault, match="broke off after 1000 bytes"):
        opened.get(source(server))
    assert flaky.ranges == [("", "")] * 5

    class Once(Flaky):
        def answer(self, exchange: Exchange, status: int, rest: bytes, headers: dict[str, str]) -> None:
            super().answer(exchange, status, rest, headers)
            self.piece = len(BODY)

    with fetching(Once(etag=etag), store) as (server, opened):
        assert read(opened, source(server)) == BODY


class Lying(Flaky):
    """Gives another range than was asked for."""

    def answer(self, exchange: Exchange, status: int, rest: bytes, headers: dict[str, str]) -> None:
        if status == 206:
            headers = {**headers, "Content-Range": f"bytes 0-{len(BODY) - 1}/{len(BODY)}"}
        super().answer(exchange, status, rest, headers)


def test_a_range_that_was_not_asked_for_is_not_taken(store: Store) -> None:
    with fetching(Lying(), store) as (server, opened), pytest.raises(SourceFault, match="changed while it was read"):
        opened.get(source(server))
    assert store.blobs.digests() == []


def test_a_rest_that_is_short_is_not_taken(store: Store) -> None:
    def answer(exchange: Exchange) -> None:
        if "range" in exchange.seen.headers:
            exchange.send(206, BODY[1000:1010], ETag='"e"', Content_Range=f"bytes 1000-1009/{len(BODY)}")
        else:
            exchange.send(200, BODY[:1000], ETag='"e"', content_length=str(len(BODY)))
            exchange.cut()

    with (
        fetching(answer, store) as (server, opened),
        pytest.raises(SourceFault, match="ended after 1010 of 16384 bytes"),
    ):
        opened.get(source(server))


def test_an_etag_saves_the_download_and_a_new_one_does_not(store: Store) -> None:
    def answer(exchange: Exchange) -> None:
        if exchange.seen.headers.get("if-none-match") == etag:
            exchange.send(304)
        else:
            exchange.send(200, body, ETag=etag)

    etag, body = '"one"', b"1"
    with serving(answer) as server:
        first = downloads(store).get(source(server))
        assert downloads(store).get(source(server)) == first
        assert [seen.headers.get("if-none-match") for seen in server.seen] == [None, '"one"']
        store.blobs.delete(first.digest)
        assert downloads(store).get(source(server)) == first  # a known ETag of a file that is lost is not sent
        assert server.seen[-1].headers.get("if-none-match") is None
        etag, body = '"two"', b"2"
        assert read(downloads(store), source(server)) == b"2"


def test_a_wrong_checksum_leaves_nothing(store: Store) -> None:
    wrong = f"sha256:{'0' * 64}"
    with fetching(Flaky(), store) as (server, opened):
        with pytest.raises(SourceFault, match=f"digest mismatch sha256:.*: {wrong}"):
            opened.get(source(server, checksum=wrong))
        assert store.blobs.digests() == []
        right = f"sha256:{hashlib.sha256(BODY).hexdigest()}"
        opened.get(source(server, checksum=right))
        asked = len(server.seen)
        assert downloads(store).identify(source(server, checksum=right)) == opened.identify(source(server))
        assert len(server.seen) == asked
        with pytest.raises(SourceFault, match="digest mismatch"):
            opened.get(source(server, checksum=wrong))  # of what is there, too


def test_names_are_of_content_name_and_date(store: Store) -> None:
    dated = {"/f": {}, "/g": {}, "/d": {"Last-Modified": "Tue, 14 Nov 2023 22:13:20 GMT"}, "/w": {"Last-Modified": "x"}}
    with fetching(lambda e: e.send(200, b"1", **dated[e.path]), store) as (server, opened):
        names = {path: opened.identify(HttpSource(url=server.url + path, name="n")) for path in dated}
        assert names["/f"] == names["/g"] == names["/w"] != names["/d"]
        assert opened.identify(HttpSource(url=f"{server.url}/f", name="m")) != names["/f"]
        entries = [opened.tree(HttpSource(url=server.url + path, name="n")).lookup(b"n") for path in ("/f", "/d")]
        assert [(e.mode, e.mtime, e.size) for e in entries if e] == [(0o600, MTIME, 1), (0o600, 1700000000, 1)]
        assert opened.time(HttpSource(url=f"{server.url}/d", name="n")) == 1700000000
        assert opened.time(HttpSource(url=f"{server.url}/f", name="n")) is None


def test_the_time_of_an_archive_is_that_of_its_newest_file(store: Store) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, mtime, kind in (("a", 5, tarfile.REGTYPE), ("b", 7, tarfile.REGTYPE), ("d", 9, tarfile.DIRTYPE)):
            member = tarfile.TarInfo(name)
            member.mtime, member.type = mtime, kind
            tar.addfile(member)
    with fetching(lambda e: e.send(200, data.getvalue()), store) as (server, opened):
        assert opened.is_archive(source(server))
        assert opened.time(source(server)) == 7
        assert opened.member(source(server), "./a", 10) == b""
        assert opened.member(source(server), "none", 10) is None


@pytest.mark.parametrize("status", [204, 301, 401, 404, 418])
def test_statuses(store: Store, status: int) -> None:
    with fetching(lambda e: e.send(status), store) as (server, opened):
        if status == 204:
            assert read(opened, source(server)) == b""
        else:
            with pytest.raises(SourceFault, match=f"/f: invalid response status {status}"):
                opened.get(source(server))


@pytest.mark.parametrize("url", ["https://[x/f", "https://a]b/f", "https://\u2100/f", "https://a:b/f"])
def test_what_is_no_url(store: Store, url: str) -> None:
    with fetching(lambda e: e.send(200), store) as (_, opened), pytest.raises(TransportFault, match="invalid URL"):
        opened.get(HttpSource(url=url, name="f"))


def test_a_body_above_the_limit(store: Store) -> None:
    with fetching(lambda e: e.send(200, bytes(LIMIT + 1)), store) as (server, opened):
        with pytest.raises(SourceFault, match=f"more than {LIMIT} bytes"):
            opened.get(source(server))
        assert store.blobs.digests() == []


def test_a_secret_is_for_its_host_and_of_one_line(store: Store) -> None:
    def answer(exchange: Exchange) -> None:
        if exchange.path == "/f":
            exchange.send(302, Location=f"http://localhost:{server.server_port}/there")
        else:
            exchange.send(200, b"")

    with serving(answer) as server:
        opened = downloads(store, **{"HTTP_AUTH_HEADER_127.0.0.1": b"Basic abc\n"})
        opened.get(source(server))
        assert [seen.headers.get("authorization") for seen in server.seen] == ["Basic abc", None]
        with pytest.raises(SourceFault, match="more than one line"):
            downloads(store, **{"HTTP_AUTH_TOKEN_127.0.0.1": b"a\nX: y"}).get(source(server))


def test_canceled(store: Store) -> None:
    with fetching(lambda e: opened.cancel() or e.send(200, BODY[:9], content_length="99"), store) as (server, opened):
        with pytest.raises(Canceled):
            opened.get(source(server))
        with pytest.raises(Canceled):
            opened.get(HttpSource(url=f"{server.url}/other", name="f"))
    assert store.blobs.digests() == []
