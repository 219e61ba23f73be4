"""Two pulls, a build and an rmi at the same time on one store, each killed (-9) at a moment of its own.

KILLS=200 has it done that often instead of a dozen times.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from builder.images.store import ImageStore
from cache.store import Store
from tests.e2e.lapstrake import PROGRAM, Done, Lapstrake, folder
from tests.memoryregistry import MemoryRegistry, running

pytestmark = pytest.mark.e2e

KILLS = int(os.environ.get("KILLS", "12"))
AT_ONCE = 4
_SHARED = os.urandom(300_000)


class Work:
    """Four commands a round, on what only this round has."""

    def __init__(self, lapstrake: Lapstrake, registry: MemoryRegistry, place: Path) -> None:
        self._lapstrake, self._registry, self._place = lapstrake, registry, place
        self._round = 0

    def words(self) -> list[list[str]]:
        self._round += 1
        number, host = self._round, self._registry.server.host
        for name in ("one", "two", "base"):
            own = [{f"{name}{number}-{layer}": os.urandom(400_000)} for layer in range(3)]
            self._registry.add_image(name, str(number), [{"shared": _SHARED}, *own], "amd64")
        lines = ["FROM base", f"RUN echo {number} > /n", f"COPY --from={host}/base:{number} / /x/", "RUN ls /x"]
        context = folder(self._place / str(number), {"Dockerfile": "\n".join(lines)})
        pulls = [["pull", "--platform", "linux/amd64", f"{host}/{name}:{number}"] for name in ("one", "two")]
        base = f"--build-context=base=docker-archive://{self._lapstrake.base}"
        build = ["build", "--progress=plain", "--platform", "linux/amd64", base, "-t", f"built:{number}", str(context)]
        return [*pulls, build, ["rmi", "-f", f"{host}/one:{number - 1}", f"built:{number - 1}"]]

    def start(self, words: list[str]) -> subprocess.Popen[bytes]:
        """In a process group of its own."""
        return subprocess.Popen(
            [*PROGRAM, "--root", str(self._lapstrake.store), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def whole_round(self) -> tuple[float, list[Done]]:
        """Without a kill: seconds until the last has ended, and how they did."""
        begin = time.monotonic()
        done = []
        for process in [self.start(words) for words in self.words()]:
            out, err = process.communicate(timeout=200)
            done.append(Done(process.returncode, out.decode(), err.decode()))
        return time.monotonic() - begin, done

    def killed_round(self, moments: list[float]) -> None:
        """moments: when to kill each, in seconds from its start."""
        begin = time.monotonic()
        processes = [self.start(words) for words in self.words()]
        for moment, process in sorted(zip(moments, processes, strict=True), key=lambda pair: pair[0]):
            time.sleep(max(begin + moment - time.monotonic(), 0))
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for process in processes:
            process.communicate(timeout=200)


def check(root: Path) -> None:
    """Every blob is what its name says; every image that has a name is whole."""
    for path in (root / "blobs" / "sha256").iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    store = Store(str(root))
    try:
        images = ImageStore(store.root, store.blobs)
        for stored in images.list():
            for image in images.members(stored.descriptor):
                assert all(store.blobs.has(layer.blob.digest, layer.blob.size) for layer in image.layers), stored.names
        assert images.rebuilt == store.index.rebuilt == ""
    finally:
        store.close()


@pytest.fixture
def work(lapstrake: Lapstrake, tmp_path: Path) -> Iterator[Work]:
    registry = MemoryRegistry()
    with running(registry):
        yield Work(lapstrake, registry, tmp_path)


def test_killed_at_any_moment(work: Work, lapstrake: Lapstrake) -> None:
    seconds, done = work.whole_round()
    assert [one.err for one in done[:3] if one.status] == []
    moments = random.Random(os.urandom(8))
    for _ in range(KILLS // AT_ONCE):
        work.killed_round([moments.uniform(0.05, seconds) for _ in range(AT_ONCE)])
        check(lapstrake.store)
    _, done = work.whole_round()
    assert [one.err for one in done[:3] if one.status] == []
    check(lapstrake.store)
    assert lapstrake.run("images").status == 0
    assert lapstrake.run("rmi", "-f", *_ids(lapstrake)).status == 0
    for left in (lapstrake.store / "tmp").iterdir():
        os.utime(left, (0, 0))  # what is quite new is left alone: it may be locked in a moment
    assert lapstrake.run("prune", "-a", "-f").status == 0
    assert os.listdir(lapstrake.store / "blobs" / "sha256") == os.listdir(lapstrake.store / "tmp") == []


def _ids(lapstrake: Lapstrake) -> list[str]:
    return lapstrake.run("images", "-q", "--no-trunc").out.split()
