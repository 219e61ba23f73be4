"""How long the proxy waits, and how much it takes."""

from __future__ import annotations

import msgspec


class Waits(msgspec.Struct, frozen=True):
    """Seconds: connect: for a server's connection; head: for the whole head of a request, and for a TLS handshake;
    kept: for the next request on a connection; idle: between two pieces of what is sent or received.

    connections: of one step at once; more of them wait.
    """

    connect: float = 30.0
    head: float = 30.0
    kept: float = 120.0
    idle: float = 300.0
    connections: int = 64
