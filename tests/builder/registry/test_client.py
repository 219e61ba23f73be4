"""The client of one registry: who learns our credentials, what counts as a manifest, lists that go on for ever."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from builder.errors import BuildFault, Denied, NotThere, RegistryFault, TransportFault
from builder.oci.descriptor import DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from builder.registry.auth import Login
from builder.registry.client import Client
from builder.registry.places import Place
from builder.transport.settings import Retries
from builder.transport.transport import Transport
from cache.digest import Digest
from tests.memoryregistry import MemoryRegistry, running
from tests.webserver import Exchange, WebServer, serving

SECRET = "very-secret"
SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
Answer = Callable[[Exchange], None]


@contextmanager
def client(answer: Answer, login: Login | None = None) -> Iterator[tuple[Client, WebServer]]:
    login = login or Login("me", SECRET)
    transport = Transport(agent="t", sleep=lambda s: None, now=lambda: 0.0, retries=Retries(attempts=2))
    with serving(answer) as server:
        yield Client(transport, Place(server.host, "app", insecure=True), lambda: login, lambda: 0.0), server
    transport.close()


def secrets(server: WebServer) -> list[str]:
    """Requests that a password or identity token came with, in any form."""
    coded = base64.b64encode(f"me:{SECRET}".encode()).decode()
    return [s.path for s in server.seen if coded in str(s.headers) or SECRET in str(s)]


def asks_for(kind: str, realm: str) -> dict[str, str]:
    return {"WWW_Authenticate": f'{kind} realm="{realm}",service="s"'}


@pytest.mark.parametrize("kind", ["Bearer", "Basic"])
@pytest.mark.parametrize("login", [Login("me", SECRET), Login(identity=SECRET), Login(token=SECRET)])
def test_a_redirect_leads_no_credential_to_another_host(kind: str, login: Login) -> None:
    """Nor does what that host asks for: a challenge counts only if the registry itself gave it."""
    with (
        serving(lambda e: e.send(401, **asks_for(kind, f"{evil.url}/token"))) as evil,
        client(lambda e: e.send(307, Location=f"{evil.url}{e.path}"), login) as (one, _),
        pytest.raises(BuildFault),
    ):
        one.manifest("1")
    assert evil.seen and secrets(evil) == []


def test_a_login_is_not_told_to_where_the_registry_redirects() -> None:
    with (
        serving(lambda e: e.send(401, **asks_for("Bearer", f"{evil.url}/token"))) as evil,
        client(lambda e: e.send(307, Location=f"{evil.url}{e.path}")) as (one, _),
        pytest.raises(Denied),
    ):
        one.check()
    assert evil.seen and secrets(evil) == []


def test_a_login_to_what_is_no_registry() -> None:
    with client(lambda e: e.send(404)) as (one, server), pytest.raises(RegistryFault) as caught:
        one.check()
    assert caught.value.message == f"login attempt to {server.url}/v2/ failed with status: 404"


def test_a_token_servers_redirect_leads_no_identity_token_to_another_host() -> None:
    def answer(exchange: Exchange) -> None:
        if exchange.path.startswith("/token"):
            exchange.send(307, Location=f"{evil.url}/token")
        else:
            exchange.send(401, **asks_for("Bearer", f"http://{exchange.headers['host']}/token"))

    with (
        serving(lambda e: e.send(200, b'{"token":"x"}')) as evil,
        client(answer, Login(identity=SECRET)) as (one, server),
        pytest.raises(BuildFault),
    ):
        one.manifest("1")
    assert secrets(server) and secrets(evil) == []


def test_an_upload_elsewhere_gets_no_credential() -> None:
    from builder.oci.descriptor import Descriptor
    from builder.registry.upload import Upload
    from cache.digest import Digest

    def answer(exchange: Exchange) -> None:
        if "authorization" not in exchange.seen.headers:
            exchange.send(401, WWW_Authenticate='Basic realm="x"')
        else:
            exchange.send(202, Location=f"{other.url}/put")

    with serving(lambda e: e.send(201)) as other, client(answer) as (one, server):
        Upload(one).data(Descriptor("x", Digest.of(b"data"), 4), b"data")
    assert secrets(server) and secrets(other) == [] and other.seen[0].body == b"data"


def test_a_token_that_stops_counting_is_asked_for_anew() -> None:
    given: list[str] = []

    def answer(exchange: Exchange) -> None:
        if exchange.path.startswith("/token"):
            given.append(f"token{len(given)}")
            exchange.send(200, json.dumps({"token": given[-1], "expires_in": 3600}).encode())
        elif exchange.seen.headers.get("authorization") == f"Bearer token{len(server.seen) // 5}":
            exchange.send(200, b'{"layers":[]}', Content_Type=OCI_MANIFEST)
        else:
            exchange.send(401, **asks_for("Bearer", f"{server.url}/token"))

    with client(answer) as (one, server):
        for _ in range(9):
            one.manifest("1")
    assert len(given) > 1


def test_a_token_is_used_until_shortly_before_its_end() -> None:
    now = [0.0]

    def answer(exchange: Exchange) -> None:
        if exchange.path.startswith("/token"):
            exchange.send(200, json.dumps({"token": f"t{now[0]:.0f}", "expires_in": 300}).encode())
        elif "authorization" in exchange.seen.headers:
            exchange.send(200, b'{"layers":[]}', Content_Type=OCI_MANIFEST)
        else:
            exchange.send(401, **asks_for("Bearer", f"{server.url}/token"))

    transport = Transport(agent="t", sleep=lambda s: None, now=lambda: 0.0)
    with serving(answer) as server:
        one = Client(transport, Place(server.host, "app", insecure=True), lambda: None, lambda: now[0])
        for now[0] in (0.0, 289.0, 291.0):
            one.manifest("1")
    transport.close()
    used = [seen.headers["authorization"] for seen in server.seen if "authorization" in seen.headers]
    assert used == ["Bearer t0", "Bearer t0", "Bearer t291"]


@pytest.mark.parametrize("kind", ["Bearer", "Basic"])
def test_a_registry_that_asks_for_ever(kind: str) -> None:
    def answer(exchange: Exchange) -> None:
        if exchange.path.startswith("/token"):
            exchange.send(200, b'{"token":"x"}')
        else:
            exchange.send(401, **asks_for(kind, f"{server.url}/token"))

    with client(answer) as (one, server), pytest.raises(Denied, match="authentication required"):
        one.manifest("1")
    assert sum("/manifests/" in seen.path for seen in server.seen) == 2


DOCUMENTS = {
    "a type that is not the header's": (
        OCI_MANIFEST,
        {"mediaType": DOCKER_MANIFEST, "config": {}, "layers": []},
        f"the manifest says that it is '{DOCKER_MANIFEST}', the registry that it is {OCI_MANIFEST}",
    ),
    "an index and an image at once": (OCI_INDEX, {"mediaType": OCI_INDEX, "manifests": [], "layers": []}, "has both"),
    "an image with a list of images": (OCI_MANIFEST, {"config": {}, "layers": [], "manifests": []}, "has both"),
    "schema 1": (SCHEMA_1, {"schemaVersion": 1, "fsLayers": []}, f"a manifest of type '{SCHEMA_1}' is not supported"),
    "an unknown type": ("application/json", {"x": 1}, "a manifest of type 'application/json' is not supported"),
    "a list": (OCI_MANIFEST, [1], "the manifest is no JSON document"),
}


@pytest.mark.parametrize("what", DOCUMENTS)
def test_documents_that_are_refused(what: str) -> None:
    kind, document, words = DOCUMENTS[what]
    with client(lambda e: e.send(200, json.dumps(document).encode(), Content_Type=kind)) as (one, server):
        with pytest.raises(RegistryFault) as caught:
            one.manifest("1")
        assert caught.value.message.startswith(f"{server.host}/app:1: ")
    assert words in caught.value.message


def test_what_the_header_adds_to_a_type_does_not_count() -> None:
    raw = json.dumps({"mediaType": OCI_MANIFEST, "layers": []}).encode()
    with client(lambda e: e.send(200, raw, Content_Type=f"{OCI_MANIFEST}; charset=utf-8")) as (one, server):
        assert one.manifest("1").descriptor.media_type == OCI_MANIFEST
    accepted = server.seen[-1].headers["accept"].split(", ")
    assert accepted == [OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST]


def listed(link: str, body: bytes = b'{"tags":["a"]}') -> Answer:
    return lambda e: e.send(200, body, Link=link.replace("PATH", e.path))


LISTS: dict[str, Answer] = {
    "to itself": listed('<PATH>; rel="next"'),
    "to another host": listed('<http://localhost:1/v2/app/tags/list>; rel="next"'),
    "to a file": listed('<file:///etc/passwd>; rel="next"'),
    "to the host's namesake": listed('<//evil.example/v2/>; rel="next"'),
    "no list": listed("", b'{"tags":{"a":1}}'),
    "no JSON": listed("", b"<html>"),
    "nested": listed("", b"[" * 100_000),
    "huge": listed("", b'{"tags":["' + b"a" * (9 << 20) + b'"]}'),
}


@pytest.mark.parametrize("what", LISTS)
def test_lists_that_lead_nowhere(what: str) -> None:
    with client(LISTS[what]) as (one, server), pytest.raises((RegistryFault, TransportFault)):
        one.tags()
    assert len(server.seen) <= 4


def test_a_list_in_pages() -> None:
    registry = MemoryRegistry()
    for number in range(7):
        registry.tags["app", f"t{number}"] = ""
    registry.page = 3
    with running(registry) as host:
        transport = Transport(agent="t", sleep=lambda s: None, now=lambda: 0.0)
        one = Client(transport, Place(host, "app", insecure=True), lambda: None, lambda: 0.0)
        assert one.tags() == [f"t{number}" for number in range(7)]
        assert [seen.path for seen in registry.server.seen][-1] == "/v2/app/tags/list?last=t5"
        transport.close()


def test_what_a_registry_warns_of_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    from builder.cli.registries import opened_registries

    warning = '299 - "This image is \x07deprecated", 299 - "And \\"old\\"", 199 - "not ours"'
    raw = json.dumps({"mediaType": OCI_MANIFEST, "layers": []}).encode()
    with (
        serving(lambda e: e.send(200, raw, Content_Type=OCI_MANIFEST, Warning=warning)) as server,
        opened_registries({"HOME": "/nonexistent"}) as registries,
    ):
        for _ in range(3):
            registries.client(Place(server.host, "app", insecure=True)).manifest("1")
    told = [line.partition(": ")[2].partition(": ")[2] for line in capsys.readouterr().err.splitlines()]
    assert told == ["This image is ?deprecated", 'And \\"old\\"']


def referring(pages: dict[str, tuple[int, bytes, dict[str, str]]]) -> Answer:
    def answer(exchange: Exchange) -> None:
        status, body, headers = pages.get(exchange.path, (404, b"", {}))
        exchange.send(status, body, **headers)

    return answer


ABOUT = Digest.of(b"about")
LIST = f"/v2/app/referrers/{ABOUT}"
TAGGED = f"/v2/app/manifests/sha256-{ABOUT.hex}"
PAGE = b'{"schemaVersion": 2, "mediaType": "%b", "manifests": []}' % OCI_INDEX.encode()
AS_INDEX = {"Content_Type": OCI_INDEX}


def test_what_refers_to_a_manifest() -> None:
    more = AS_INDEX | {"Link": f'<{LIST}?n=2>; rel="next"'}
    with client(referring({LIST: (200, PAGE, more), f"{LIST}?n=2": (200, PAGE + b" ", AS_INDEX)})) as (one, _):
        assert one.referrers(ABOUT) == (PAGE, PAGE + b" ")


@pytest.mark.parametrize("first", [(404, b"", {}), (400, b"", {}), (200, b"<html>", {"Content_Type": "text/html"})])
def test_a_registry_that_does_not_know_the_question(first: tuple[int, bytes, dict[str, str]]) -> None:
    with client(referring({LIST: first, TAGGED: (200, PAGE, AS_INDEX)})) as (one, _):
        assert one.referrers(ABOUT) == (PAGE,)
    with client(referring({LIST: first})) as (one, _), pytest.raises(NotThere):
        one.referrers(ABOUT)


def test_a_list_that_goes_on_elsewhere() -> None:
    for link in ("http://127.0.0.1:1/x", LIST):
        pages = {LIST: (200, PAGE, AS_INDEX | {"Link": f'<{link}>; rel="next"'})}
        with client(referring(pages)) as (one, _), pytest.raises(RegistryFault, match=r"another host|begins again"):
            one.referrers(ABOUT)
