"""Traces: the folder `traces/` of the store, where each build leaves what it was made of.

traces/<identity>/<fingerprint>       a trace; when it was last built is the file's time
traces/<identity>/<fingerprint>.ran   what became of its steps; absent if the last such build found all in the cache
traces/<identity>/<digest>.list       a listing

An identity is one Dockerfile, context, target and platform, as a digest. Nothing here decides what is built: what is
lost or damaged costs words. So nothing is synced, and what is too old goes, whenever something is added.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress

from builder.trace.trace import TRACE_VERSION, Outcome, Trace
from cache import record
from cache.digest import Digest
from cache.errors import CacheFault
from cache.wholefile import replace_file

FOLDER = "traces"
KEPT = 4  # traces of an identity
IDENTITIES = 256
_ELSEWHERE = 16  # identities that are looked at for something alike
_RAN, _LIST = ".ran", ".list"
_LARGEST = 256 << 20  # bytes of a trace


class Traces:
    """The traces of one identity. root: of the store."""

    def __init__(self, root: str, identity: str) -> None:
        self._root, self._top = root, os.path.join(root, FOLDER)
        self._temp = os.path.join(root, "tmp", "trace-")
        self.folder = os.path.join(self._top, identity)

    def names(self) -> list[str]:
        """The fingerprints of what was built, last one first."""
        return [name for _, name in sorted(_times(self.folder), reverse=True) if "." not in name]

    def time(self, name: str) -> float:
        """When it was last built, seconds since 1970."""
        return os.stat(os.path.join(self.folder, name)).st_mtime

    def load(self, name: str) -> Trace | None:
        """None where it is gone, damaged or of another version."""
        try:
            with open(os.path.join(self.folder, name), "rb") as file:
                inflate = zlib.decompressobj()
                data = inflate.decompress(file.read(), _LARGEST)
            trace = record.decode(data, Trace) if inflate.eof else None
        except (OSError, zlib.error, CacheFault):
            return None
        return trace if trace is not None and trace.version == TRACE_VERSION else None

    def all(self) -> list[Trace]:
        """Last one first."""
        return [trace for name in self.names() if (trace := self.load(name)) is not None]

    def elsewhere(self, like: Callable[[Trace], bool]) -> Traces:
        """The traces of what was built last in another place and is like this; these, if there is none such."""
        for traces in self._others():
            loaded = (traces.load(name) for name in traces.names()[:1])
            if any(trace is not None and like(trace) for trace in loaded):
                return traces
        return self

    def _others(self) -> list[Traces]:
        names = [name for _, name in sorted(_times(self._top), reverse=True)]
        return [Traces(self._root, name) for name in names[: _ELSEWHERE + 1] if name != os.path.basename(self.folder)]

    def outcomes(self, name: str) -> tuple[Outcome, ...]:
        """Of the last build with this fingerprint; () if it found all in the cache."""
        try:
            with open(os.path.join(self.folder, name + _RAN), "rb") as file:
                return record.recall(file.read(), tuple[Outcome, ...]) or ()
        except OSError:
            return ()

    def save(self, name: str, trace: Trace, outcomes: tuple[Outcome, ...]) -> None:
        """Keep what was built just now, and forget what is too old. OSError."""
        self.make()
        self._write(name, zlib.compress(record.encode(trace), 1))
        if any(outcome.state != "cached" for outcome in outcomes):
            self._write(name + _RAN, record.encode(outcomes))
        else:
            self._drop(name + _RAN)
        self._borrow(trace)
        self._tidy()

    def make(self) -> str:
        """The folder, made if it is not there. OSError."""
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        return self.folder

    def listing(self, name: Digest) -> str:
        """Where a listing is kept. name: see Step.listings."""
        return os.path.join(self.folder, name.hex + _LIST)

    def has_listing(self, name: Digest) -> bool:
        return os.path.exists(self.listing(name))

    @property
    def temp(self) -> str:
        """Begin of a temp file's name."""
        return self._temp

    def _borrow(self, trace: Trace) -> None:
        """What a step found in the cache has selected, its listing is where the step ran: for another target, say."""
        missing = {one for step in trace.steps for one in step.listings if not self.has_listing(one)}
        for other in self._others() if missing else ():
            for name in missing:
                with suppress(FileNotFoundError, FileExistsError):
                    os.link(other.listing(name), self.listing(name))

    def _tidy(self) -> None:
        names = self.names()
        for name in names[KEPT:]:
            self._drop(name)
            self._drop(name + _RAN)
        wanted = {f"{digest.hex}{_LIST}" for name in names[:KEPT] for digest in self._listings(name)}
        for name in os.listdir(self.folder):
            if name.endswith(_LIST) and name not in wanted:
                self._drop(name)
        for _, old in sorted(_times(self._top), reverse=True)[IDENTITIES:]:
            with suppress(OSError):
                for name in os.listdir(os.path.join(self._top, old)):
                    os.unlink(os.path.join(self._top, old, name))
                os.rmdir(os.path.join(self._top, old))

    def _listings(self, name: str) -> Iterator[Digest]:
        trace = self.load(name)
        for step in trace.steps if trace is not None else ():
            yield from step.listings

    def _write(self, name: str, data: bytes) -> None:
        replace_file(os.path.join(self.folder, name), data, 0o600, self._temp, durable=False)

    def _drop(self, name: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(self.folder, name))


def last_built(root: str, context: str = "") -> Traces | None:
    """The traces of what was built last in a store; of a context's builds alone if one is given."""
    top = os.path.join(root, FOLDER)
    found = []
    for _, identity in _times(top):
        traces = Traces(root, identity)
        for name in traces.names()[:1]:
            trace = traces.load(name) if context else None
            if not context or (trace is not None and trace.context == context):
                found.append((traces.time(name), identity))
    return Traces(root, max(found)[1]) if found else None


def _times(folder: str) -> list[tuple[int, str]]:
    """The names in a folder with their times; what vanishes meanwhile is left out."""
    found = []
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                found.append((entry.stat(follow_symlinks=False).st_mtime_ns, entry.name))
    return found
