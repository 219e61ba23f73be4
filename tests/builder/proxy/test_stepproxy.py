"""The proxy of a step with real clients and servers on loopback, and with bytes that no client sends."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.proxy.waits import Waits
from builder.transport.proxies import Proxies
from tests.builder.proxy.conftest import denied
from tests.relay import relaying
from tests.webserver import serving

BIG = 40 << 20
METHODS = [b"GET", b"HEAD", b"POST", b"CONNECT", b"OPTIONS", b"get", b"\xff", b""]
TARGETS = [
    b"http://h:1/", b"http://[::1]:1", b"http://u:p@h:1/%", b"http://\xff/", b"https://h:1/", b"http:///", b"http://h:0/",
    b"http://" + b"a" * 300, b"http://[", b"h:443", b"[::1]:443", b"[fe80::1%25e]:443", b"\xff:443", b"h:99999", b"/",
    b"*", b"", b"127.0.0.1:1", b"a.." + b"b" * 70 + b":1", b"xn--a:1", b"-:1",
]  # fmt: skip
HEADERS = [
    b"Host: h", b"Host: \xff", b"Host:", b"Content-Length: 3", b"Content-Length: x", b"Transfer-Encoding: chunked",
    b"Connection: close, host", b"Connection: upgrade", b"Upgrade: \xff", b"Expect: 100-continue", b"Cookie: \xff",
    b": a",
]  # fmt: skip


def hello(exchange):
    exchange.send(200, b"hello " + exchange.seen.path.encode() + b" " + exchange.seen.body)


def client(proxy, **options):
    context = ssl.create_default_context(cadata=proxy.pem.decode())
    return httpx.Client(proxy=proxy.url, verify=context, trust_env=False, timeout=30, **options)


def until(stream, text):
    """What a connection gives up to a text, which must come."""
    data = b""
    while text not in data:
        more = stream.recv(65536)
        assert more, data
        data += more
    return data


def test_plain_requests_are_passed_and_recorded(behind):
    with serving(hello) as server, behind() as proxy, client(proxy) as web:
        assert web.get(server.url + "/a?b=1").text == "hello /a?b=1 "
        assert web.post(server.url + "/c", content=b"body").text == "hello /c body"
        assert web.head(server.url + "/h").status_code == 200
        seen = server.seen[0]
        assert seen.headers["host"] == server.host
        assert not {"proxy-connection", "accept-encoding"} & seen.headers.keys()
        assert proxy.records() == [
            ("GET", server.url + "/a?…", 200),
            ("POST", server.url + "/c", 200),
            ("HEAD", server.url + "/h", 200),
        ]
        get, post, _ = proxy.step.requests
        body = b"hello /a?b=1 "
        assert (get.size, get.digest) == (len(body), "sha256:" + hashlib.sha256(body).hexdigest())
        assert (post.digest, post.incomplete) == ("", "method_not_materializable")
        assert list(proxy.step.lines())[:2] == ["proxy network requests:", f"- GET {server.url}/a?… -> 200"]


def test_https_is_opened_proved_and_passed(behind, authority, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    with serving(hello, authority.context()) as server, behind() as proxy, client(proxy) as web:
        assert web.get(server.url + "/a").text == "hello /a "
        assert web.get(f"https://localhost:{server.server_port}/b", headers={"X": "y"}).text == "hello /b "
        assert web.post(server.url + "/c", content=iter([b"in ", b"parts"])).text == "hello /c in parts"
        assert server.seen[-1].headers["transfer-encoding"] == "chunked"
        assert [record[2] for record in proxy.records()] == [200, 200, 200]


def test_a_server_that_is_not_trusted_is_a_502(behind, authority):
    with serving(hello, authority.context()) as server, behind() as proxy, client(proxy) as web:
        answer = web.get(server.url + "/a")
        assert answer.status_code == 502
        assert "certificate verify failed" in answer.text
        assert "certificate verify failed" in proxy.said[0]
        assert server.seen == []
        assert proxy.records() == [("GET", server.url + "/a", 502)]


def test_large_bodies_stream_both_ways(behind):
    def swallow(exchange):
        exchange.send(200, hashlib.sha256(exchange.seen.body).hexdigest().encode() + b"x" * BIG)

    block = b"y" * 65536
    with serving(swallow) as server, behind() as proxy, client(proxy) as web:
        answer = web.put(server.url + "/", content=(block for _ in range(BIG // len(block))))
        assert answer.content[:64].decode() == hashlib.sha256(b"y" * BIG).hexdigest()
        assert len(answer.content) == BIG + 64


def test_a_body_without_a_length_and_one_that_breaks_off(behind):
    def chunked(exchange):
        exchange.send_response(200)
        if exchange.seen.path == "/chunked":
            exchange.send_header("Transfer-Encoding", "chunked")
            exchange.end_headers()
            exchange.wfile.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        else:
            exchange.send_header("Content-Length", "10")
            exchange.end_headers()
            exchange.wfile.write(b"abc")
            exchange.cut()

    with serving(chunked) as server, behind() as proxy, client(proxy) as web:
        assert web.get(server.url + "/chunked").content == b"abcde"
        with pytest.raises(httpx.RemoteProtocolError):
            web.get(server.url + "/cut")
        proxy.records()
        whole, cut = proxy.step.requests
        assert whole.digest and not whole.incomplete
        assert (cut.digest, cut.incomplete, cut.size) == ("", "upstream_error", 3)


def test_half_an_answer_never_looks_like_a_whole_one(behind):
    """A client of HTTP/1.0 has nothing but the end of the connection to go by."""

    def half(exchange):
        exchange.send_response(200)
        exchange.send_header("Transfer-Encoding", "chunked")
        exchange.end_headers()
        exchange.wfile.write(b"3\r\nabc\r\n")
        exchange.cut()

    with serving(half) as server, behind() as proxy, pytest.raises(ConnectionResetError):
        proxy.raw(f"GET {server.url}/ HTTP/1.0\r\n\r\n".encode())


def test_a_policy_that_converts_to_no_url(behind):
    with behind(judge=lambda method, url: "http://h/é") as proxy:
        assert proxy.raw(b"GET http://h.test/ HTTP/1.1\r\nHost: h\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_a_client_that_waits_to_be_told_to_go_on(behind):
    with serving(hello) as server, behind() as proxy, proxy.connection() as stream:
        head = (
            f"POST {server.url}/ HTTP/1.1\r\nHost: {server.host}\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        stream.sendall(head.encode())
        assert stream.recv(65536).startswith(b"HTTP/1.1 100 ")
        stream.sendall(b"ab")
        until(stream, b"hello / ab")
        assert "expect" not in server.seen[0].headers


def test_many_connections_at_once(behind):
    here = threading.Barrier(40)

    def meet(exchange):
        here.wait(30)
        exchange.send(200, b"met")

    with serving(meet) as server, behind() as proxy, ThreadPoolExecutor(40) as pool:
        answers = pool.map(lambda n: httpx.get(f"{server.url}/{n}", proxy=proxy.url, timeout=30).text, range(40))
        assert set(answers) == {"met"}
        assert len(proxy.records()) == 40


def test_more_connections_than_allowed_wait(behind):
    waits = Waits(connections=1, kept=0.2)
    with serving(hello) as server, behind(waits=waits) as proxy, proxy.connection() as first:
        request = f"GET {server.url}/ HTTP/1.1\r\nHost: {server.host}\r\n\r\n".encode()
        first.sendall(request)
        until(first, b"hello")
        with proxy.connection() as second:
            second.sendall(request)
            until(second, b"hello")  # once the first one was idle too long


def test_policy_denies_and_says_why(behind):
    with serving(hello) as server, behind(judge=denied) as proxy, client(proxy) as web:
        answer = web.get(server.url + "/a?secret=1")
        assert answer.status_code == 403
        assert "denied by policy" in answer.text
        assert server.seen == []
        assert proxy.records() == [("GET", server.url + "/a?…", 403)]
        assert "denied by policy" in proxy.said[0]
        assert "secret=1" not in proxy.said[0]


def test_policy_sends_a_get_elsewhere(behind):
    def elsewhere(method, url):
        return url.replace(one.url, other.url)

    with (
        serving(hello) as one,
        serving(hello) as other,
        behind(judge=elsewhere) as proxy,
        client(proxy) as web,
    ):
        answer = web.get(one.url + "/a?b=c", headers={"Authorization": "x", "Cookie": "y", "Z": "z"})
        assert answer.text == "hello /a?b=c "
        assert one.seen == []
        headers = other.seen[0].headers
        assert headers["host"] == other.host
        assert headers["z"] == "z"
        assert not {"authorization", "cookie"} & headers.keys()


def test_secrets_are_masked_and_userinfo_is_sent_but_not_shown(behind):
    with serving(hello) as server, behind(mask=lambda text: text.replace("hunter2", "***")) as proxy:
        url = f"http://me:pw@{server.host}/hunter2"
        proxy.raw(f"GET {url} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert server.seen[0].headers["authorization"] == "Basic bWU6cHc="
        assert server.seen[0].headers["host"] == server.host
        assert proxy.records() == [("GET", server.url + "/***", 200)]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "0.0.0.0", "127.1", "2130706433", "0x7f000001", "[::1]", "[::]", "[::ffff:127.0.0.1]",
     "169.254.169.254", "[fe80::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fd00:ec2::254]", "100.100.100.200"],
)  # fmt: skip
def test_the_machine_itself_is_out_of_reach(behind, host):
    with serving(hello) as server, behind(host=False) as proxy:
        answer = proxy.raw(f"GET http://{host}:{server.server_port}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 403 "), answer
        assert b"--network=host" in answer
        assert server.seen == []
        assert proxy.said


def test_a_name_with_one_forbidden_address_is_refused(behind, monkeypatch):
    real = socket.getaddrinfo

    def rebinding(host, port, *args, **options):
        if host != "rebind.test":
            return real(host, port, *args, **options)
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, ("192.0.2.1", port)), (*kind, ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with serving(hello) as server, behind(host=False) as proxy:
        answer = proxy.raw(f"GET http://rebind.test:{server.server_port}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert b"rebind.test (127.0.0.1) is the build machine itself" in answer
        assert server.seen == []


def test_names_of_add_host_come_before_the_resolver(behind):
    with serving(hello) as server, behind(names={"svc.test": "127.0.0.1"}) as proxy, client(proxy) as web:
        assert web.get(f"http://svc.test:{server.server_port}/").text == "hello / "
        assert server.seen[0].headers["host"] == f"svc.test:{server.server_port}"


def test_the_machine_s_own_proxy_is_used(behind):
    with serving(hello) as server, relaying(server.host, proxy=True) as relay:
        proxies = Proxies(https=f"http://{relay.host}")
        with behind(proxies=proxies) as proxy, client(proxy) as web:
            answer = web.get("https://far.test/a")
            assert answer.status_code == 502  # the far end speaks no TLS; it was asked by way of the relay
            assert relay.asked == ["far.test:443"]


def test_the_machine_s_own_proxy_is_asked_for_http_too_but_for_names_that_are_given(behind):
    with serving(hello) as corporate, serving(hello) as server:
        proxies = Proxies(http=f"http://me:pw@{corporate.host}")
        names = {"near.test": "127.0.0.1"}
        with behind(host=True, proxies=proxies, names=names) as proxy, client(proxy) as web:
            assert web.get("http://far.test/a").text == "hello http://far.test/a "
            assert corporate.seen[0].headers["proxy-authorization"] == "Basic bWU6cHc="
            assert web.get(f"http://near.test:{server.server_port}/b").text == "hello /b "
        with behind(host=False, proxies=proxies) as proxy:
            for host in ("localhost.", "169.254.169.254", "[::ffff:127.0.0.1]"):
                assert proxy.raw(f"GET http://{host}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())[9:12] == b"403"
            assert len(corporate.seen) == 1


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (
            b"POST http://{} HTTP/1.1\r\nHost: {}\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"POST http://{} HTTP/1.1\r\nHost: {}\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400),
        (b"POST http://{} HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST http://{} HTTP/1.1\r\nHost: {}\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET http://{}/ HTTP/1.1\r\nHost: {}\r\nX: a\x00b\r\n\r\n", 400),
        (b"GET http://{}/ HTTP/1.1\r\nHost: {}\r\nX : a\r\n\r\n", 400),
        (b"GET http://{}/\x7f HTTP/1.1\r\nHost: {}\r\n\r\n", 400),
        (b"GET http://{}/ a HTTP/1.1\r\nHost: {}\r\n\r\n", 400),
        (b"GET http://{}/ HTTP/1.1\r\nHost: {}\r\nHost: other\r\n\r\n", 400),
        (b"GET http://{}/ HTTP/1.1\r\n\r\n", 400),
        (b"GET ftp://{}/ HTTP/1.1\r\nHost: {}\r\n\r\n", 400),
        (b"GET http://{}:99999/ HTTP/1.1\r\nHost: {}\r\n\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\nHost: {}\r\n\r\n", 400),
        (b"TRACE http://{}/ HTTP/1.1\r\nHost: {}\r\n\r\n", 501),
        (b"FROB http://{}/ HTTP/1.1\r\nHost: {}\r\n\r\n", 501),
        (b"GET http://{}/ HTTP/1.1\r\nHost: {}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", 501),
        (b"CONNECT {}/x HTTP/1.1\r\nHost: {}\r\n\r\n", 400),
        (b"CONNECT u:p@{} HTTP/1.1\r\nHost: {}\r\n\r\n", 400),
        (b"CONNECT nowhere HTTP/1.1\r\nHost: {}\r\n\r\n", 400),
        (b"CONNECT {} HTTP/1.1\r\nHost: {}\r\n\r\nGET / HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT {} HTTP/1.1\r\nHost: {}\r\nContent-Length: 5\r\n\r\n", 400),
        (b"GET http://{}/ HTTP/1.1\r\nHost: {}\r\nX: " + b"a" * (1 << 18) + b"\r\n\r\n", 431),
        (b"\x16\x03\x01\x00\x01\x00\r\n\r\n", 400),
        (b"CONNECT x" + b"a" * 300 + b":443 HTTP/1.1\r\nHost: {}\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 501),
    ],
)
def test_what_no_client_should_send_is_answered_and_reaches_nobody(behind, head, status):
    with serving(hello) as server, behind() as proxy:
        answer = proxy.raw(head.replace(b"{}", server.host.encode()))
        assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:200]
        assert b"connection: close" in answer.lower()
        assert server.seen == []
        assert proxy.raw(f"GET {server.url}/ HTTP/1.0\r\n\r\n".encode()).endswith(b"hello / ")  # it still serves


def test_a_body_that_turns_out_to_be_malformed(behind):
    with serving(hello) as server, behind() as proxy:
        head = f"POST {server.url}/ HTTP/1.1\r\nHost: {server.host}\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = proxy.raw(head.encode() + b"3\r\nabc\r\nzz\r\n")
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert server.seen == []


def test_what_comes_after_a_smuggled_head_is_not_looked_at(behind):
    inner = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    with serving(hello) as server, behind() as proxy:
        head = f"POST {server.url}/ HTTP/1.1\r\nHost: {server.host}\r\nContent-Length: {len(inner)}\r\n"
        answer = proxy.raw(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner)
        assert answer.count(b"HTTP/1.1 ") == 1
        assert server.seen == []


def test_headers_of_the_connection_go_no_further(behind):
    with serving(hello) as server, behind() as proxy:
        lines = "Connection: close, X-Hop\r\nX-Hop: a\r\nProxy-Authorization: b\r\nTE: trailers\r\nUpgrade: h2c\r\nY: c"
        proxy.raw(f"GET {server.url}/ HTTP/1.1\r\nHost: {server.host}\r\n{lines}\r\n\r\n".encode())
        headers = server.seen[0].headers
        assert headers["y"] == "c"
        assert not {"x-hop", "proxy-authorization", "te", "upgrade", "connection"} & headers.keys()


def test_a_host_header_does_not_lead_elsewhere(behind, authority, monkeypatch):
    """Domain fronting: what the policy was asked for is what the server is asked for."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    with serving(hello, authority.context()) as server, behind() as proxy, client(proxy) as web:
        answer = web.get(server.url + "/", headers={"Host": "other.test"})
        assert answer.status_code == 421
        assert server.seen == []


def test_plain_http_in_a_tunnel(behind):
    """As Node's own fetch asks for all URLs."""
    with serving(hello) as server, behind() as proxy, proxy.connection() as stream:
        stream.sendall(f"CONNECT {server.host} HTTP/1.1\r\nHost: {server.host}\r\n\r\n".encode())
        assert stream.recv(65536).startswith(b"HTTP/1.1 200 ")
        stream.sendall(f"GET /a HTTP/1.1\r\nHost: {server.host}\r\n\r\n".encode())
        until(stream, b"hello /a")
        assert proxy.records() == [("GET", server.url + "/a", 200)]


def test_a_tunnel_is_for_http_alone(behind):
    with serving(hello) as server, behind() as proxy:
        with proxy.connection() as stream:
            stream.sendall(f"CONNECT {server.host} HTTP/1.1\r\nHost: {server.host}\r\n\r\n".encode())
            assert stream.recv(65536).startswith(b"HTTP/1.1 200 ")
            stream.sendall(b"SSH-2.0-x\r\n\r\n")
            assert stream.recv(65536).startswith(b"HTTP/1.1 400 ")
        assert proxy.records() == [("CONNECT", server.host, 0)]
        assert "nothing but HTTP" in proxy.said[0]


def test_a_client_without_our_authority_is_told_of_in_the_log(behind):
    with behind() as proxy, httpx.Client(proxy=proxy.url, trust_env=False) as web:
        with pytest.raises(httpx.ConnectError):
            web.get("https://server.test/")
        assert proxy.records() == [("CONNECT", "server.test:443", 0)]
        assert "certificate authority" in proxy.said[0]


def test_a_tunnel_that_nothing_comes_by_is_told_of_in_the_log(behind):
    """As of GnuTLS, which proves the other side after the handshake."""
    with behind() as proxy:
        with proxy.connection() as stream:
            stream.sendall(b"CONNECT server.test:443 HTTP/1.1\r\nHost: server.test:443\r\n\r\n")
            until(stream, b"\r\n\r\n")
            context = ssl.create_default_context(cadata=proxy.pem.decode())
            context.wrap_socket(stream, server_hostname="server.test").close()
        assert proxy.records() == [("CONNECT", "server.test:443", 0)]
        assert "certificate authority" in proxy.said[0]


def test_slow_heads_and_idle_connections_end(behind):
    with behind(waits=Waits(head=0.3, kept=0.3)) as proxy:
        with proxy.connection() as stream:
            stream.sendall(b"GET / HT")
            assert stream.recv(1) == b""
        with proxy.connection() as stream:
            assert stream.recv(1) == b""


def test_the_end_of_the_step_cuts_what_still_runs(behind):
    asked, go = threading.Event(), threading.Event()

    def hang(exchange):
        asked.set()
        go.wait(30)
        exchange.send(200)

    with serving(hang) as server, behind() as proxy, proxy.connection() as stream:
        stream.sendall(f"GET {server.url}/ HTTP/1.1\r\nHost: {server.host}\r\n\r\n".encode())
        assert asked.wait(30)
        proxy.step.close()
        assert stream.recv(1) == b""
        go.set()
        assert proxy.records() == [("GET", server.url + "/", 0)]
        assert proxy.step.requests[0].incomplete == "body_read_failed"
        with pytest.raises(OSError):
            proxy.connection().close()


def test_a_server_that_breaks_the_protocol_is_a_502(behind):
    def nonsense(exchange):
        exchange.wfile.write(b"HTTP/1.1 200 OK\r\nX\x00: y\r\n\r\n")
        exchange.cut()

    with serving(nonsense) as server, behind() as proxy, client(proxy) as web:
        assert web.get(server.url + "/").status_code == 502


def test_requests_one_after_the_other_on_one_connection(behind):
    with serving(hello) as server, behind() as proxy, proxy.connection() as stream:
        request = f"GET {server.url}/{{}} HTTP/1.1\r\nHost: {server.host}\r\n\r\n"
        stream.sendall(request.format("1").encode() + request.format("2").encode())  # pipelined
        assert b"hello /1" in until(stream, b"hello /2")


@pytest.mark.parametrize(
    "path", ["/private/x", "/public/../private/x", "/./private/x", "/%70riv%61te/x", "/a/%2e%2E/private/x"]
)
def test_no_spelling_of_a_path_gets_past_a_policy(behind, path):
    def judge(method, url):
        return denied(method, url) if "/private/" in url else url

    with serving(hello) as server, behind(judge=judge) as proxy:
        answer = proxy.raw(f"GET {server.url}{path} HTTP/1.1\r\nHost: {server.host}\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert server.seen == []


def test_a_long_path_is_passed(behind):
    path = "/" + "a" * 20_000
    with serving(hello) as server, behind() as proxy:
        url = server.url.replace("://", "://me:pw@")
        answer = proxy.raw(f"GET {url}{path} HTTP/1.1\r\nHost: {server.host}\r\nConnection: close\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert server.seen[0].path == path
        assert server.seen[0].headers["authorization"] == "Basic bWU6cHc="


def test_a_path_is_sent_as_it_was_written(behind):
    asked = []

    def judge(method, url):
        asked.append(url)
        return url

    path = "/a/./%62/..//%2f?x=%62/../"
    with serving(hello) as server, behind(judge=judge) as proxy:
        proxy.raw(f"GET {server.url}{path} HTTP/1.0\r\n\r\n".encode())
        assert server.seen[0].path == path
        assert asked == [server.url + "/a//%2F?x=%62/../"]


def test_answers_without_a_body(behind):
    def short(exchange):
        status = int(exchange.seen.path[1:])
        exchange.send_response(status)
        exchange.send_header("ETag", '"a"')
        exchange.end_headers()

    with serving(short) as server, behind() as proxy, client(proxy) as web:
        for status in (204, 304, 204):
            answer = web.get(f"{server.url}/{status}")
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (status, b"", '"a"')


def test_a_server_that_answers_before_it_has_all(behind):
    with socket.create_server(("127.0.0.1", 0)) as listener, behind() as proxy:
        port = listener.getsockname()[1]

        def serve():
            stream, _ = listener.accept()
            with stream:
                stream.recv(100)
                stream.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")

        thread = threading.Thread(target=serve)
        thread.start()
        head = f"PUT http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n"
        with proxy.connection() as stream:
            stream.sendall(head.encode())
            with suppress(OSError):
                for _ in range(1000):
                    stream.sendall(bytes(100_000))
        thread.join()
        assert proxy.records() == [("PUT", f"http://127.0.0.1:{port}/", 413)]


@given(
    st.sampled_from(METHODS),
    st.sampled_from(TARGETS),
    st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/9", b""]),
    st.lists(st.sampled_from(HEADERS), max_size=4),
    st.sampled_from([b"", b"abc", b"3\r\nabc\r\n0\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"GET / HTTP/1.1\r\n\r\n"]),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_comes_is_answered_or_ended(behind, method, target, version, headers, body):
    head = b" ".join((method, target, version)) + b"\r\n" + b"".join(line + b"\r\n" for line in headers)
    with behind(host=False, waits=Waits(head=0.2, kept=0.2), names={"h": "127.0.0.1"}) as proxy:
        proxy.raw(head + b"\r\n" + body, end=True)
