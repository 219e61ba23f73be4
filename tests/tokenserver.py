"""A token server as distribution's token authentication has it, with tokens that a real registry checks.

Tokens are JWTs signed with ES256 by openssl(1). Their certificate is in the header (x5c), its authority in the
registry's configuration.
"""

from __future__ import annotations

import base64
import json
import re
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.certificates import Authority
from tests.webserver import Exchange, WebServer, serving

ISSUER, SERVICE = "test issuer", "test registry"


class TokenServer:
    """users: password by name. rights: actions by (user, repository), the user "" being everybody.

    identities: user by refresh token. until: seconds that a token really lives. said: what replies say of that.
    """

    server: WebServer

    def __init__(self, authority: Authority) -> None:
        certificate, self._key = authority.issue("token")
        pem = re.search(r"-----BEGIN CERTIFICATE-----(.*?)-----END", certificate.read_text(), re.DOTALL)
        assert pem is not None
        self._x5c = ["".join(pem[1].split())]
        self.bundle: Path = authority.ca
        self.users: dict[str, str] = {}
        self.rights: dict[tuple[str, str], set[str]] = {}
        self.identities: dict[str, str] = {}
        self.until = 300.0
        self.said: int | None = 300
        self.scopes: list[tuple[str, str, list[str]]] = []

    def answer(self, exchange: Exchange) -> None:
        if exchange.command == "POST":
            form = {name: values[0] for name, values in parse_qs(exchange.seen.body.decode()).items()}
            user = self.identities.get(form.get("refresh_token", ""))
            known = form.get("grant_type") == "refresh_token" and user is not None
            scopes, offline = form.get("scope", "").split(), False
        else:
            query = parse_qs(urlsplit(exchange.path).query)
            user = self._named(exchange.seen.headers.get("authorization", ""))
            known = user is not None
            scopes, offline = query.get("scope", []), query.get("offline_token") == ["true"]
        if not known or user is None:
            exchange.send(401, b'{"errors":[{"code":"UNAUTHORIZED","message":"who?"}]}')
            return
        self.scopes.append((exchange.command, user, scopes))
        reply: dict[str, Any] = {"token": self.token(user, scopes)}
        reply |= {"expires_in": self.said} if self.said is not None else {}
        if offline:
            reply["refresh_token"] = f"identity of {user}"
            self.identities[reply["refresh_token"]] = user
        exchange.send(200, json.dumps(reply).encode(), Content_Type="application/json")

    def token(self, user: str, scopes: list[str]) -> str:
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            may = self.rights.get((user, name), set()) | self.rights.get(("", name), set())
            access.append({"type": kind, "name": name, "actions": sorted(may & set(actions.split(",")))})
        now = time.time()
        claims = {"iss": ISSUER, "aud": SERVICE, "sub": user, "exp": now + self.until, "nbf": now - 600, "iat": now}
        times = {name: int(value) for name, value in claims.items() if isinstance(value, float)}
        head = {"typ": "JWT", "alg": "ES256", "x5c": self._x5c}
        signed = (
            f"{_coded(json.dumps(head).encode())}.{_coded(json.dumps({**claims, **times, 'access': access}).encode())}"
        )
        made = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", str(self._key)],
            input=signed.encode(),
            capture_output=True,
            check=True,
        )
        return f"{signed}.{_coded(_plain_signature(made.stdout))}"

    def _named(self, header: str) -> str | None:
        """Who asks; "" for nobody, None for a wrong password."""
        if not header:
            return ""
        name, _, word = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        return name if self.users.get(name) == word else None


def _coded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _plain_signature(der: bytes) -> bytes:
    """r and s of 32 bytes each (RFC 7518, 3.4) from the DER that openssl writes: a sequence of two integers."""
    parts, at = b"", 2
    for _ in range(2):
        size = der[at + 1]
        parts += int.from_bytes(der[at + 2 : at + 2 + size], "big").to_bytes(32, "big")
        at += 2 + size
    return parts


@contextmanager
def running(tokens: TokenServer, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """The URL to ask for tokens."""
    with serving(tokens.answer, context) as server:
        tokens.server = server
        yield f"{server.url}/token"
