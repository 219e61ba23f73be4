"""Requests against servers on loopback: what is followed, repeated, kept secret, and what errors are called."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from builder.errors import BadRedirect, Canceled, Interrupted, TimedOut, TransportFault, Unreachable, Untrusted
from builder.transport.proxies import Proxies
from builder.transport.settings import Retries, Timeouts, Tls
from builder.transport.transport import Transport
from tests.certificates import Authority
from tests.webserver import Exchange, serving


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def now(self) -> float:
        return 1000.0 + sum(self.slept)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def transport(clock: Clock) -> Iterator[Transport]:
    made = Transport(agent="test/1", sleep=clock.sleep, now=clock.now)
    yield made
    made.close()


def get(transport: Transport, url: str, **headers: str) -> tuple[int, bytes]:
    with transport.stream("GET", url, headers) as response:
        return response.status, response.read(1 << 20)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def test_an_answer(transport: Transport) -> None:
    with (
        serving(lambda e: e.send(404, b"none", X_Some="Thing")) as server,
        transport.stream("GET", f"{server.url}/a?b") as response,
    ):
        assert (response.status, response.headers["x-some"], response.url) == (404, "Thing", f"{server.url}/a?b")
        assert response.length == 4
        assert b"".join(response.chunks()) == b"none"
        assert server.seen[0].headers["user-agent"] == "test/1"


def test_a_body_that_says_it_is_compressed_stays_as_it_is(transport: Transport) -> None:
    with serving(lambda e: e.send(200, b"\x1f\x8b", Content_Encoding="gzip")) as server:
        assert get(transport, server.url) == (200, b"\x1f\x8b")
        assert server.seen[0].headers["accept-encoding"] == "identity"


def test_a_body_above_the_limit(transport: Transport) -> None:
    with (
        serving(lambda e: e.send(200, b"x" * 11)) as server,
        transport.stream("GET", server.url) as response,
        pytest.raises(TransportFault, match="larger than 10 bytes"),
    ):
        response.read(10)


def test_bodies_are_sent(transport: Transport) -> None:
    with serving(lambda e: e.send(200, e.seen.body)) as server:
        with transport.stream("PUT", server.url, content=b"abc") as response:
            assert response.read(9) == b"abc"
        with transport.stream("PUT", server.url, {"Content-Length": "4"}, lambda: iter([b"ab", b"cd"])) as response:
            assert response.read(9) == b"abcd"
        assert "transfer-encoding" not in server.seen[1].headers


def test_redirects_are_followed(transport: Transport) -> None:
    def answer(exchange: Exchange) -> None:
        if exchange.path == "/end":
            exchange.send(200, b"here")
        else:
            exchange.send(307, b"moved", Location={"/": "a", "/a": "//" + server.host + "/end"}[exchange.path])

    with serving(answer) as server, transport.stream("GET", f"{server.url}/") as response:
        assert (response.url, response.read(9)) == (f"{server.url}/end", b"here")


def test_a_loop_of_redirects_ends(transport: Transport) -> None:
    with serving(lambda e: e.send(302, Location="/")) as server, pytest.raises(BadRedirect, match="after 10 redirects"):
        get(transport, server.url)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://h/x", "http://[", "http://:0/"])
def test_a_redirect_to_what_is_no_web_address(transport: Transport, location: str) -> None:
    with serving(lambda e: e.send(302, Location=location)) as server, pytest.raises(BadRedirect):
        get(transport, server.url)


def test_credentials_stay_with_their_origin(transport: Transport) -> None:
    with serving(lambda e: e.send(200)) as other:

        def answer(exchange: Exchange) -> None:
            exchange.send(302, Location="/here" if exchange.path == "/" else f"http://evil:word@{other.host}/there")

        with serving(answer) as server:
            get(transport, server.url, Authorization="Bearer secret", Cookie="secret", X_Other="kept")
        assert [s.headers.get("authorization") for s in server.seen] == ["Bearer secret"] * 2
        assert {"authorization", "cookie"} & other.seen[0].headers.keys() == set()
        assert other.seen[0].headers["x_other"] == "kept"


def test_userinfo_is_a_credential_too(transport: Transport) -> None:
    with serving(lambda e: e.send(200)) as other, serving(lambda e: e.send(302, Location=other.url)) as server:
        get(transport, f"http://user:word@{server.host}/")
        assert server.seen[0].headers["authorization"] == "Basic dXNlcjp3b3Jk"
        assert "authorization" not in other.seen[0].headers


def test_a_post_is_not_turned_into_a_get(transport: Transport) -> None:
    with serving(lambda e: e.send(302, Location="/x")) as server:
        with pytest.raises(BadRedirect, match="POST"), transport.stream("POST", server.url):
            pass
        assert len(server.seen) == 1


def test_busy_servers_are_asked_again(transport: Transport, clock: Clock) -> None:
    answers = iter([(503, {}), (429, {"Retry_After": "7"}), (200, {})])

    def answer(exchange: Exchange) -> None:
        status, headers = next(answers)
        exchange.send(status, b"%d" % status, **headers)

    with serving(answer) as server:
        assert get(transport, server.url) == (200, b"200")
    assert clock.slept == [0.5, 7]


def test_the_last_answer_counts(transport: Transport, clock: Clock) -> None:
    with serving(lambda e: e.send(500)) as server:
        assert get(transport, server.url)[0] == 500
        assert len(server.seen) == 5
    with serving(lambda e: e.send(429, Retry_After="3600")) as server:
        assert get(transport, server.url)[0] == 429
        assert len(server.seen) == 1


def test_what_may_have_had_an_effect_is_not_repeated(transport: Transport) -> None:
    with serving(lambda e: e.send(500)) as server, transport.stream("POST", server.url) as response:
        assert (response.status, len(server.seen)) == (500, 1)


def test_a_connection_that_is_cut_before_the_answer_is_made_again(transport: Transport, clock: Clock) -> None:
    def answer(exchange: Exchange) -> None:
        if len(server.seen) < 3:
            exchange.cut()
        else:
            exchange.send(200, exchange.seen.body)

    with serving(answer) as server, transport.stream("PUT", server.url, content=lambda: [b"a", b"b"]) as response:
        assert response.read(9) == b"ab"
    assert len(clock.slept) == 2


def test_a_body_that_is_cut(transport: Transport) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.send(200, b"abc", content_length="10")
        exchange.cut()

    with serving(answer) as server, transport.stream("GET", server.url) as response:
        with pytest.raises(Interrupted, match="cut"):
            response.read(99)
        assert len(server.seen) == 1


def test_nobody_listens(transport: Transport) -> None:
    with pytest.raises(Unreachable, match="no connection") as caught:
        get(transport, f"http://user:secret@127.0.0.1:{free_port()}/x?token=secret")
    assert "secret" not in caught.value.message + caught.value.hint


def test_a_silent_server(clock: Clock) -> None:
    done = threading.Event()
    quick = Transport(
        agent="t", sleep=clock.sleep, now=clock.now, retries=Retries(attempts=1), timeouts=Timeouts(idle=0.05)
    )
    with serving(lambda e: done.wait(20) and None) as server:
        with pytest.raises(TimedOut, match="no answer in time"):
            get(quick, server.url)
        done.set()


def test_no_http_at_all(transport: Transport) -> None:
    with serving(lambda e: e.wfile.write(b"SSH-2.0-x\r\n") and e.cut()) as server, pytest.raises(Interrupted):
        get(transport, server.url)


def test_canceled_while_a_body_is_read(transport: Transport) -> None:
    done = threading.Event()

    def answer(exchange: Exchange) -> None:
        exchange.send(200, b"abc", content_length="10")
        exchange.wfile.flush()
        done.wait(20)

    with serving(answer) as server:
        with pytest.raises(Canceled), transport.stream("GET", server.url) as response:
            chunks = response.chunks()
            assert next(chunks) == b"abc"
            threading.Timer(0.05, transport.cancel).start()
            next(chunks)
        done.set()
        with pytest.raises(Canceled):
            get(transport, server.url)


@contextmanager
def deaf() -> Iterator[str]:
    """A URL whose host takes no more connections, and refuses none either."""
    with socket.socket() as server, ExitStack() as held:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(8):
            one = held.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_canceled_while_there_is_no_connection(transport: Transport) -> None:
    with deaf() as url:
        threading.Timer(0.1, transport.cancel).start()
        with pytest.raises(Canceled):
            get(transport, url)


@pytest.mark.parametrize(
    ("method", "status", "body"), [("POST", 202, b""), ("PUT", 201, b""), ("HEAD", 200, b"x" * 9), ("GET", 204, b"")]
)
def test_a_connection_is_kept_after_an_answer_without_a_body(
    transport: Transport, method: str, status: int, body: bytes
) -> None:
    ports = set()

    def answer(exchange: Exchange) -> None:
        ports.add(exchange.client_address[1])
        exchange.send(status, body)

    with serving(answer) as server:
        for _ in range(3):
            with transport.stream(method, server.url) as response:
                assert response.status == status
    assert len(ports) == 1


def test_canceled_between_two_attempts() -> None:
    transport = Transport(agent="t", now=lambda: 0.0, retries=Retries(first=600.0, longest=600.0))
    with serving(lambda e: e.send(503)) as server:
        threading.Timer(0.1, transport.cancel).start()
        with pytest.raises(Canceled):
            get(transport, server.url)
    transport.close()


def test_canceled_while_a_body_is_sent(transport: Transport) -> None:
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield bytes(1 << 20)

    with socket.create_server(("127.0.0.1", 0)) as server:  # nobody reads
        threading.Timer(0.2, transport.cancel).start()
        with pytest.raises(Canceled), transport.stream("PUT", f"http://127.0.0.1:{server.getsockname()[1]}", {}, body):
            pass
    assert sent < 100


def test_through_a_proxy(clock: Clock) -> None:
    with serving(lambda e: e.send(200, e.path.encode())) as proxy:
        transport = Transport(agent="t", sleep=clock.sleep, now=clock.now, proxies=Proxies(http=proxy.url))
        assert get(transport, "http://example.invalid/x?y") == (200, b"http://example.invalid/x?y")
        transport.close()


def test_a_proxy_that_is_none(clock: Clock) -> None:
    transport = Transport(agent="t", sleep=clock.sleep, now=clock.now, proxies=Proxies(http="gopher://me:secret@h"))
    with pytest.raises(TransportFault) as caught:
        get(transport, "http://example.invalid/")
    assert "secret" not in caught.value.message


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def secure(clock: Clock, tls: Tls) -> Transport:
    return Transport(agent="t", sleep=clock.sleep, now=clock.now, tls=lambda origin: tls)


def test_certificates_are_checked(authority: Authority, clock: Clock) -> None:
    with serving(lambda e: e.send(200, b"ok"), authority.context()) as server:
        with pytest.raises(Untrusted, match="failed to verify certificate"):
            get(secure(clock, Tls()), server.url)
        assert get(secure(clock, Tls(ca_files=(str(authority.ca),))), server.url) == (200, b"ok")
        assert get(secure(clock, Tls(insecure=True)), server.url) == (200, b"ok")
    assert clock.slept == []


def test_a_certificate_for_another_name(authority: Authority, clock: Clock) -> None:
    context = authority.context("other", alternatives="DNS:elsewhere.example")
    with serving(lambda e: e.send(200), context) as server, pytest.raises(Untrusted, match="verify"):
        get(secure(clock, Tls(ca_files=(str(authority.ca),))), server.url)


def test_a_certificate_of_our_own(authority: Authority, clock: Clock) -> None:
    certificate, key = authority.issue("client")
    with serving(lambda e: e.send(200, b"ok"), authority.context("asking", client_ca=authority.ca)) as server:
        tls = Tls(ca_files=(str(authority.ca),), certificate=str(certificate), key=str(key))
        assert get(secure(clock, tls), server.url) == (200, b"ok")
        with pytest.raises(TransportFault):
            get(secure(clock, Tls(ca_files=(str(authority.ca),))), server.url)


def test_files_that_are_no_certificates(clock: Clock, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for path in (empty, tmp_path / "none.pem"):
        with pytest.raises(Untrusted, match=path.name):
            get(secure(clock, Tls(ca_files=(str(path),))), "https://127.0.0.1:1/")


def test_plain_http_where_tls_is_expected(clock: Clock) -> None:
    with serving(lambda e: e.send(200)) as server, pytest.raises(Untrusted, match="HTTP response to HTTPS client"):
        get(secure(clock, Tls()), server.url.replace("http:", "https:"))


def test_httpx_is_imported_by_the_first_request_only() -> None:
    code = "import sys, builder.transport.transport as t; t.Transport(agent='', sleep=print, now=print)"
    code += "; print('builder.transport.transport' in sys.modules, 'httpx' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "True False\n"
