"""What a registry's answers mean that are not what was asked for (distribution-spec, error codes)."""

from __future__ import annotations

import json

from builder.errors import Denied, NotThere, RateLimited, RegistryFault, TransportFault
from builder.registry.places import Place
from builder.transport.response import Response

_LIMIT = 64 << 10  # bytes of an answer that tells of an error


def expect(response: Response, statuses: tuple[int, ...], place: Place, what: str = "") -> None:
    """Raises NotThere, Denied, RateLimited or RegistryFault for an answer of another status. what: tag or digest."""
    refuse(response, place)
    if response.status in statuses:
        return
    said, where = said_by(response), named(place, what)
    if response.status == 404:
        raise NotThere(f"{where}: not found" + (f": {said}" if said else ""), "check name and tag")
    raise RegistryFault(f"{where}: unexpected status {response.status}" + (f": {said}" if said else ""))


def refuse(response: Response, place: Place) -> None:
    """Raises Denied or RateLimited for an answer that lets us do nothing there."""
    if response.status not in (401, 403, 429):
        return
    said, where = said_by(response), named(place)
    if response.status == 429:
        raise RateLimited(
            f"{where}: toomanyrequests: {said or 'you have reached the pull rate limit'}",
            "wait, or log in: lapstrake login, which usually allows more",
        )
    words = said or ("authentication required" if response.status == 401 else "access denied")
    raise Denied(f"{where}: pull or push access denied: {words}", login_hint(place))


def named(place: Place, what: str = "") -> str:
    """`registry/repository`, with a tag or digest, for messages."""
    join = "@" if what.startswith("sha256:") else ":"
    name = f"{place.registry}/{place.repository}".rstrip("/")
    return f"{name}{join}{what}" if what else name


def login_hint(place: Place) -> str:
    return f"log in: lapstrake login {place.registry}"


def said_by(response: Response) -> str:
    """The messages of an error answer, in one line; "" where it has none."""
    try:
        data = json.loads(response.read(_LIMIT))
        texts = [f"{e.get('code', '')}: {e.get('message', '')}".strip(": ") for e in data["errors"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, TransportFault):
        return ""
    return one_line("; ".join(texts[:5]))


def one_line(text: str) -> str:
    """Foreign text as it may be printed: one line, at most 300 characters."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))[:300]
