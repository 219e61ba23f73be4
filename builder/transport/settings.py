"""How requests are made: trust, times, repeats. Values; whoever makes a Transport decides them."""

from __future__ import annotations

import email.utils
from collections.abc import Mapping

import msgspec

REPEATED = frozenset({429, 500, 502, 503, 504})
"""Statuses that may be gone at the next try (RFC 9110, RFC 6585)."""


class Tls(msgspec.Struct, frozen=True):
    """ca_files: trusted beside the system's. certificate, key: PEM files that show who we are. insecure: trust all."""

    ca_files: tuple[str, ...] = ()
    certificate: str = ""
    key: str = ""
    insecure: bool = False


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds: to get a connection; between two pieces of an answer or of what is sent."""

    connect: float = 30.0
    idle: float = 60.0


class Retries(msgspec.Struct, frozen=True):
    """attempts: how often a request is made at most; connects: the same while there is no connection to the host.

    first: seconds before the second, doubled each time.
    longest: seconds that we are willing to wait; a server that asks for more gets no further request.
    """

    attempts: int = 5
    connects: int = 3
    first: float = 0.5
    longest: float = 60.0

    def pause(self, attempt: int, asked: float | None = None) -> float | None:
        """Seconds to wait after the attempt of this number, from 1; None where there should be no other one.

        asked: what the server said (Retry-After).
        """
        if attempt >= self.attempts or (asked is not None and asked > self.longest):
            return None
        own = min(self.first * 2.0 ** (attempt - 1), self.longest)
        return own if asked is None else max(asked, own)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a server asks to wait: a number or a date (RFC 9110, 10.2.3). now: seconds since 1970."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(email.utils.parsedate_to_datetime(text).timestamp() - now, 0.0)
    except (ValueError, TypeError, OverflowError):
        return None
