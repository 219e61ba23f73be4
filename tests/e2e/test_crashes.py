"""The builder is killed, its disk fails or is full, or the power goes: the next build succeeds, and the store is whole.

System calls are made to fail, or to be the last one, by strace(1). FAULTS: how many of each kind, with other
choices each time; without it a few known ones are tried.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.lapstrake import PROGRAM, Done, Lapstrake, folder

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user cannot trace what becomes another one"),
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
]

COUNT = int(os.environ.get("FAULTS", "0"))
# What a step leaves has one date, so that every making of the image has the same digest.
TEXT = """\
FROM base AS one
RUN --mount=type=cache,target=/c echo x >> /c/x && mkdir /one && echo 1 > /one/f && touch -d @1 /one /one/f
FROM base
WORKDIR /app
COPY a b /app/
COPY --from=one /one /one
RUN rm /app/a && echo made > /made && touch -d @1 /made /app
COPY --link a /linked
"""
CHANGES = (
    "write", "pwrite64", "fsync", "fdatasync", "rename", "mkdir", "mkdirat", "unlink", "unlinkat", "fchmod",
    "ftruncate", "flock", "mount",
)  # fmt: skip
_CALL = re.compile(r"^(\d+) +(\w+)\(")


def choices(name: str, few: int) -> Iterator[random.Random]:
    """A source of choices for each try."""
    seed = random.SystemRandom().randrange(1 << 32) if COUNT else 0
    for number in range(COUNT or few):
        yield random.Random(f"{name} {seed} {number}")


class Harmed:
    """One store that everything is done to, and what must come of it."""

    def __init__(self, lapstrake: Lapstrake, tmp_path: Path) -> None:
        self.lapstrake, self.path = lapstrake, tmp_path
        files = {"Dockerfile": TEXT, "a": "a\n", "b": random.Random(0).randbytes(300_000)}
        self.context = folder(tmp_path / "context", files)
        self.wanted = self.digest(Lapstrake(tmp_path / "whole", lapstrake.base))

    def words(self, *args: str) -> list[str]:
        base = f"--build-context=base=docker-archive://{self.lapstrake.base}"
        return [
            *PROGRAM,
            "--root",
            str(self.lapstrake.store),
            "build",
            "--progress=plain",
            base,
            *args,
            str(self.context),
        ]

    def digest(self, store: Lapstrake, before: Sequence[str] = ()) -> str:
        facts = self.path / "facts"
        args = ("-t", "app", f"--metadata-file={facts}")
        words = [str(store.store) if word == str(self.lapstrake.store) else word for word in self.words(*args)]
        done = subprocess.run([*before, *words], capture_output=True, text=True, check=False, timeout=240)
        assert done.returncode == 0, done.stderr
        return str(json.loads(facts.read_text())["containerimage.digest"])

    def traced(self, *options: str, args: Sequence[str] = ("--no-cache", "-t", "app")) -> Done:
        words = ["strace", "-f", "-qq", "-o", str(self.path / "trace"), *options, *self.words(*args)]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=240)
        return Done(done.returncode, done.stdout, done.stderr)

    def calls(self) -> dict[str, int]:
        """How many of each kind a build makes in the thread that makes most: those can be hit (strace counts so)."""
        assert self.traced("-e", f"trace={','.join(CHANGES)}").status == 0
        lines = (self.path / "trace").read_text(errors="replace").splitlines()
        made = Counter((match[1], match[2]) for line in lines if (match := _CALL.match(line)))
        return {call: max(n for (_, name), n in made.items() if name == call) for call in {name for _, name in made}}

    def is_well(self, what: str, before: Sequence[str] = ()) -> None:
        """Build once more, then have all looked at."""
        assert self.digest(self.lapstrake, before) == self.wanted, what
        doctor = self.lapstrake.run("doctor")
        assert doctor.status == 0, f"{what}: {doctor.out}{doctor.err}"


@pytest.fixture
def harmed(lapstrake: Lapstrake, tmp_path: Path) -> Harmed:
    return Harmed(lapstrake, tmp_path)


def test_killed_at_any_call(harmed: Harmed) -> None:
    died, calls = 0, harmed.calls()
    for choose in choices("kill", 5):
        call = choose.choice(sorted(calls))
        when = choose.randint(1, calls[call])
        done = harmed.traced("-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={when}")
        died += done.status != 0
        harmed.is_well(f"killed at {call} {when}")
    assert died


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_a_call_that_fails(harmed: Harmed, error: str) -> None:
    failed, calls = 0, harmed.calls()
    for choose in choices(error, 4):
        call = choose.choice(sorted(calls.keys() - {"flock", "mount"}))
        when = choose.randint(1, calls[call])
        last = choose.choice(["", "+"])  # once, or from then on
        done = harmed.traced("-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={when}{last}")
        what = f"{error} at {call} {when}{last}"
        assert "Traceback" not in done.err, f"{what}: {done.err}"
        assert "internal error" not in done.err, f"{what}: {done.err}"
        failed += done.status != 0
        harmed.is_well(what)
    assert failed


@contextmanager
def disk(path: Path, size: int) -> Iterator[None]:
    """A file system of so many bytes."""
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", path], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def test_a_full_disk(harmed: Harmed) -> None:
    needed = sum(path.stat().st_blocks * 512 for path in (harmed.path / "whole").rglob("*") if path.is_file())
    for number, choose in enumerate(choices("disk", 3)):
        size = choose.randrange(needed // 20, needed) // 4096 * 4096
        place = harmed.path / f"disk{number}"
        with disk(place, size):
            harmed.lapstrake.store = place / "store"
            words = harmed.words("-t", "app")
            done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=240)
            assert done.returncode in (0, 1), f"{size}: {done.stderr}"
            assert "Traceback" not in done.stderr
            subprocess.run(["mount", "-o", f"remount,size={4 * needed + (8 << 20)}", place], check=True)
            harmed.is_well(f"a disk of {size} bytes: {done.stderr[-300:]}")


_LINE = re.compile(r"^(\d+) +(\d+\.\d+) (.*)$")
_SYNC = re.compile(r"(?:fsync|fdatasync)\(\d+<(.*?)>")
_RENAME = re.compile(r'rename\("(.*?)", "(.*?)"')


class Synced:
    """What a trace says is on disk: when each file was synced (fsync, fdatasync, syncfs), or got its name (rename)."""

    def __init__(self, trace: Path) -> None:
        self.times: dict[str, float] = {}
        self.named: dict[str, float] = {}
        self.whole = 0.0
        for moment, text in _calls(trace):
            if found := _SYNC.match(text):
                self.times[found[1]] = moment
            elif text.startswith("syncfs("):
                self.whole = moment
            elif found := _RENAME.match(text):
                self.named[found[2]] = moment
                self.times[found[2]] = self.times.pop(found[1], 0.0)

    def bytes_of(self, path: Path, written: float) -> bool:
        return max(self.times.get(str(path), 0.0), self.whole) >= written

    def name_of(self, path: Path) -> bool:
        return max(self.times.get(str(path.parent), 0.0), self.whole) >= self.named.get(str(path), 0.0)


def _calls(trace: Path) -> Iterator[tuple[float, str]]:
    """Those that succeeded, with the time at which they began."""
    begun: dict[str, tuple[float, str]] = {}  # of each thread: a call that another one's line came into
    for line in trace.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        thread, time, text = match[1], float(match[2]), match[3]
        if text.endswith("<unfinished ...>"):
            begun[thread] = time, text
            continue
        if text.startswith("<..."):
            time, first = begun.pop(thread)
            text = first + text
        if text.endswith("= 0"):
            yield time, text


class Before:
    """The store at a time. images: what the list of them was."""

    def __init__(self, store: Path) -> None:
        self.time = time.time()
        self.names = set(store.rglob("*"))
        self.images = (store / "index.json").read_bytes() if store / "index.json" in self.names else b"{}"


def lose(store: Path, trace: Path, before: Before, choose: random.Random) -> int:
    """What a power loss may do to what was written since: bytes that were not synced are gone, new names, too."""
    synced = Synced(trace)
    lost = 0
    for path in sorted(store.rglob("*")):
        if path.is_symlink() or not path.is_file() or path.suffix in (".db", ".lock"):
            continue  # a database's pages are sqlite's own care, what its log has is not
        status = path.stat()
        if status.st_mtime < before.time or not status.st_size:
            continue
        if path.name == "index.json" and not synced.name_of(path):
            path.write_bytes(choose.choice([before.images, path.read_bytes()]))
        elif not synced.bytes_of(path, status.st_mtime):
            lost += 1
            _harm(path, status.st_size, choose.choice(["empty", "zeros", "short", "gone"]), choose)
        elif path not in before.names and not synced.name_of(path) and choose.random() < 0.5:
            lost += 1
            path.unlink()
    return lost


def _harm(path: Path, size: int, way: str, choose: random.Random) -> None:
    if way == "gone":
        path.unlink()
    elif way == "zeros":
        path.write_bytes(bytes(size))
    else:
        os.truncate(path, 0 if way == "empty" else choose.randrange(size))


def test_power_loss(harmed: Harmed) -> None:
    """At the end, or at any call before; another boot follows. What has a name then is whole."""
    lost = 0
    store, boot = harmed.lapstrake, harmed.path / "boot"
    after = ["unshare", "--mount", "sh", "-c", f'mount --bind {boot} /proc/sys/kernel/random/boot_id; exec "$0" "$@"']
    for number, choose in enumerate(choices("power", 3)):
        before = Before(store.store)
        options = ["-y", "-ttt", "-e", "trace=fsync,fdatasync,syncfs,rename"]
        if number % 2:
            options += ["-e", f"inject={choose.choice(['fsync', 'rename'])}:signal=KILL:when={choose.randint(1, 20)}"]
        harmed.traced(*options, args=("--no-cache", "-t", "app", f"--label=n={number}"))
        lost += lose(store.store, harmed.path / "trace", before, choose)
        boot.write_text(f"{number:08d}-0000-4000-8000-000000000000\n")
        if "app" in store.run("images").out:
            saved = store.run("save", "-o", str(harmed.path / "saved"), "app")
            assert saved.status == 0, f"power loss {number}: {saved.err}"
        harmed.is_well(f"power loss {number}", after)
    assert lost
