"""Challenges and the token flow, without a network."""

from __future__ import annotations

import base64
import json

import pytest

from builder.errors import Denied, RegistryFault
from builder.registry.auth import Ask, Challenge, Grant, Login, Reply, challenges, granted

BEARER = 'Bearer realm="https://auth.example/token",service="reg.example",scope="repository:a:pull"'
ME = Login("me", "secret")


def flow(asked: str, login: Login | None, reply: Reply | None = None, secure: bool = True) -> tuple[list[Ask], Grant]:
    asks: list[Ask] = []
    steps = granted(asked, login, "repository:a/b:pull,push", secure)
    try:
        asks.append(next(steps))
        while True:
            assert reply is not None
            asks.append(steps.send(reply))
    except StopIteration as end:
        return asks, end.value


def test_challenges_are_read() -> None:
    assert challenges(BEARER)[0].parameters["realm"] == "https://auth.example/token"
    assert challenges('Basic realm="a \\"b\\", c", Bearer realm=x,service="y"') == (
        Challenge("basic", {"realm": 'a "b", c'}),
        Challenge("bearer", {"realm": "x", "service": "y"}),
    )
    assert challenges("Negotiate") == (Challenge("negotiate", {}),)
    assert challenges("") == challenges("===") == ()


def test_basic() -> None:
    _, grant = flow('Basic realm="r"', ME)
    assert grant.header == "Basic " + base64.b64encode(b"me:secret").decode()
    with pytest.raises(Denied, match="authentication required"):
        flow("Basic", None)


def test_a_token_is_asked_for() -> None:
    body = json.dumps({"token": "T", "expires_in": 300}).encode()
    asks, grant = flow(BEARER, ME, Reply(200, body))
    assert asks[0].url == (
        "https://auth.example/token?service=reg.example&scope=repository%3Aa%2Fb%3Apull%2Cpush&account=me"
    )
    assert asks[0].headers["authorization"].startswith("Basic ")
    assert (grant.header, grant.lifetime) == ("Bearer T", 300)


def test_without_a_login_the_token_is_asked_for_as_nobody() -> None:
    asks, grant = flow(BEARER, None, Reply(200, b'{"access_token":"T"}'))
    assert "authorization" not in asks[0].headers
    assert (grant.header, grant.lifetime) == ("Bearer T", 60)


def test_an_identity_token_is_exchanged() -> None:
    asks, _ = flow(BEARER, Login(identity="I"), Reply(200, b'{"access_token":"T"}'))
    assert asks[0].form is not None and b"refresh_token=I" in asks[0].form and b"secret" not in asks[0].form


def test_a_registry_token_is_sent_as_it_is() -> None:
    assert flow(BEARER, Login(token="R")) == ([], Grant("Bearer R"))


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_password(status: int) -> None:
    with pytest.raises(Denied, match="incorrect username or password"):
        flow(BEARER, ME, Reply(status, b""))


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"token":7}', b'{"token":"a\\nb"}', b"[" * 100_000])
def test_what_is_no_token(body: bytes) -> None:
    with pytest.raises(RegistryFault, match="no token"):
        flow(BEARER, ME, Reply(200, body))


def test_credentials_do_not_leave_tls() -> None:
    asked = BEARER.replace("https:", "http:")
    with pytest.raises(Denied, match="without TLS"):
        flow(asked, ME)
    assert flow(asked, ME, Reply(200, b'{"token":"T"}'), secure=False)[1].header == "Bearer T"


@pytest.mark.parametrize("asked", ["", "Strange", "Bearer", 'Bearer realm="file:///etc/passwd"'])
def test_what_cannot_be_answered(asked: str) -> None:
    with pytest.raises(RegistryFault):
        flow(asked, ME)


def test_secrets_are_not_shown() -> None:
    assert "secret" not in repr(ME) and "T" not in repr(Grant("T")).replace("Grant", "")
