"""What the builder and the init of one step say to each other: see init.py."""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import Any


def receive(stream: socket.socket) -> dict[str, Any]:
    """The spec; this process ends if the builder hangs up before."""
    data = b""
    while len(data) < 4 or len(data) < 4 + struct.unpack("<I", data[:4])[0]:
        more = stream.recv(1 << 16)
        if not more:
            os._exit(1)  # the builder gave up
        data += more
    spec: dict[str, Any] = json.loads(data[4:])
    return spec


def send(stream: socket.socket, answer: dict[str, Any]) -> None:
    """One line of JSON."""
    try:
        stream.sendall(json.dumps(answer).encode() + b"\n")
    except OSError:
        pass  # nobody listens any more
