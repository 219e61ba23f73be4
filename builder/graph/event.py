"""Event: what happened in a build; all that progress renderers see. Times: seconds since the build began."""

from __future__ import annotations

import msgspec

from builder.graph.program import Warning
from cache.digest import Digest


class Started(msgspec.Struct, frozen=True, tag="started"):
    """Work on a vertex began. name: as shown, `[build 2/4] RUN make`."""

    vertex: Digest
    name: str
    time: float


class Cached(msgspec.Struct, frozen=True, tag="cached"):
    """The vertex's result was in the store."""

    vertex: Digest
    name: str
    time: float


class Missed(msgspec.Struct, frozen=True, tag="missed"):
    """Why a step that has started was not in the cache, in one line; no secret is in it."""

    vertex: Digest
    why: str
    time: float


class Log(msgspec.Struct, frozen=True, tag="log"):
    """Output of a step: raw bytes as they came, not necessarily whole lines."""

    vertex: Digest
    data: bytes
    time: float


class Transfer(msgspec.Struct, frozen=True, tag="transfer"):
    """Bytes moved for a vertex: current of total (0 where it is not known), what: short words."""

    vertex: Digest
    what: str
    current: int
    total: int
    time: float


class Warned(msgspec.Struct, frozen=True, tag="warned"):
    """Something a person should know that does not stop the build. finding: if a lint rule says it; data: its file."""

    vertex: Digest | None
    message: str
    time: float
    finding: Warning | None = None
    data: bytes = b""


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """The vertex is done."""

    vertex: Digest
    time: float


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The vertex failed, or was canceled since another one failed."""

    vertex: Digest
    error: str
    canceled: bool
    time: float


Event = Started | Cached | Missed | Log | Transfer | Warned | Finished | Failed
