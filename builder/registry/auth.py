"""Proving to a registry who asks: challenges (RFC 9110, 11), Basic, and Bearer with the token flow of distribution.

Nothing here sends anything: a flow is a generator of requests that is sent the replies.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from urllib.parse import urlencode, urlsplit

import msgspec

from builder.errors import Denied, RegistryFault
from builder.transport.address import shown
from builder.transport.transport import basic

_CLIENT = "lapstrake"
_LIFETIME = 60  # seconds of a token whose reply names none (distribution spec, token authentication)
_PARAMETER = re.compile(r'\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|\Z|(?=\s))')
_SCHEME = re.compile(r"\s*,?\s*([A-Za-z][A-Za-z0-9_-]*)(?:\s+|\Z)(?!=)")
TOKEN_LIMIT = 1 << 20  # bytes of a reply with a token


class Login(msgspec.Struct, frozen=True):
    """What is known of who asks; "" where it is not. identity: refresh token. token: to be sent as it is."""

    username: str = ""
    password: str = ""
    identity: str = ""
    token: str = ""

    def __repr__(self) -> str:
        return "Login(…)"


class Ask(msgspec.Struct, frozen=True):
    """A request to a token server. form: body of a POST, None for GET."""

    url: str
    headers: dict[str, str]
    form: bytes | None = None


class Reply(msgspec.Struct, frozen=True):
    """A token server's answer: the HTTP status, and as much of the body as TOKEN_LIMIT."""

    status: int
    body: bytes


class Grant(msgspec.Struct, frozen=True):
    """header: value of Authorization. lifetime: seconds, None for as long as we like. identity: a refresh token."""

    header: str
    lifetime: float | None = None
    identity: str = ""

    def __repr__(self) -> str:
        return "Grant(…)"


class Challenge(msgspec.Struct, frozen=True):
    """scheme in lower case; names of parameters in lower case."""

    scheme: str
    parameters: dict[str, str]


def challenges(text: str) -> tuple[Challenge, ...]:
    """What WWW-Authenticate asks for; what cannot be read is left out."""
    found: list[Challenge] = []
    at = 0
    while match := _SCHEME.match(text, at):
        at = match.end()
        parameters: dict[str, str] = {}
        while one := _PARAMETER.match(text, at):
            at = one.end()
            value = re.sub(r"\\(.)", r"\1", one[2]) if one[2] is not None else one[3]
            parameters[one[1].lower()] = value
        found.append(Challenge(match[1].lower(), parameters))
    return tuple(found)


def granted(
    asked: str, login: Login | None, scope: str, secure: bool, offline: bool = False
) -> Generator[Ask, Reply, Grant]:
    """From a challenge to a grant. asked: WWW-Authenticate. scope: what we want to do. secure: the registry has TLS.

    offline: ask for an identity token, too. Raises Denied, RegistryFault.
    """
    known = {challenge.scheme: challenge for challenge in reversed(challenges(asked))}
    if login is not None and login.token:
        return Grant(f"Bearer {login.token}")
    if "bearer" in known:
        return (yield from _bearer(known["bearer"].parameters, login, scope, secure, offline))
    if "basic" in known:
        if login is None or not login.username:
            raise Denied("authentication required")
        return Grant(basic(login.username, login.password))
    raise RegistryFault("the registry wants to know who asks, in no way that we know (Basic, Bearer)")


def _bearer(
    parameters: dict[str, str], login: Login | None, scope: str, secure: bool, offline: bool
) -> Generator[Ask, Reply, Grant]:
    realm = parameters.get("realm", "")
    scheme = urlsplit(realm).scheme if realm.isprintable() else ""
    if scheme not in ("http", "https"):
        raise RegistryFault("the registry names no token server that can be asked")
    if login is not None and secure and scheme == "http":
        raise Denied(f"{shown(realm)}: credentials are not sent to a token server without TLS")
    ask = _ask(realm, parameters.get("service", ""), login, scope or parameters.get("scope", ""), offline)
    reply = yield ask
    if reply.status in (401, 403):
        raise Denied("authentication required" if login is None else "incorrect username or password")
    if reply.status != 200:
        raise RegistryFault(f"{shown(realm)}: the token server answered with status {reply.status}")
    return _grant(reply.body, realm)


def _ask(realm: str, service: str, login: Login | None, scope: str, offline: bool) -> Ask:
    accept = {"accept": "application/json"}
    if login is not None and login.identity:
        form = {"grant_type": "refresh_token", "refresh_token": login.identity, "service": service}
        form |= {"client_id": _CLIENT, "scope": scope}
        return Ask(realm, {**accept, "content-type": "application/x-www-form-urlencoded"}, urlencode(form).encode())
    query = [("service", service)] if service else []
    query += [("scope", one) for one in scope.split(" ") if one]
    headers = accept
    if login is not None and login.username:
        query.append(("account", login.username))
        headers = {**accept, "authorization": basic(login.username, login.password)}
    if offline:
        query += [("offline_token", "true"), ("client_id", _CLIENT)]
    text = urlencode(query)
    return Ask(f"{realm}{'&' if '?' in realm else '?'}{text}" if text else realm, headers)


def _grant(body: bytes, realm: str) -> Grant:
    try:
        data = json.loads(body)
        token = data.get("token") or data.get("access_token")
        lifetime = float(data.get("expires_in") or _LIFETIME)
        identity = data.get("refresh_token") or ""
    except (ValueError, TypeError, AttributeError, RecursionError):
        token, lifetime, identity = None, 0.0, ""
    if not isinstance(token, str) or not token or not token.isprintable() or not isinstance(identity, str):
        raise RegistryFault(f"{shown(realm)}: the token server's answer holds no token")
    return Grant(f"Bearer {token}", max(lifetime, _LIFETIME), identity)
