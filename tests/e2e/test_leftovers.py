"""A build that fails leaves in a store that was used before no result, blob, tree or temporary file of its own."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.lapstrake import PROGRAM, TIMEOUT, Lapstrake, folder
from tests.e2e.test_bombs import SMALL, bomb
from tests.e2e.webserver import Page, serving

pytestmark = pytest.mark.e2e

# What is no result: what a build may note of files, text and itself though it fails.
LEARNT = ("index.db", "stats", "snapshots.db", "traces")
SECRET = "RUN --mount=type=secret,id=missing,required true"
SSH = "RUN --mount=type=ssh,required true"
WRONG = f"ADD --checksum=sha256:{'0' * 64} URL/page /f"
UNREACHABLE = "ADD http://127.0.0.1:1/page /f"
BOMB = "ADD bomb.tgz /d/"
SHUT = "COPY shut /f"


def held(store: Path) -> tuple[set[tuple[str, int]], set[str]]:
    """Files with their sizes, and the keys of results."""
    files = {
        (name, path.stat().st_size)
        for path in store.rglob("*")
        if not (name := path.relative_to(store).as_posix()).startswith(LEARNT) and path.is_file()
    }
    with sqlite3.connect(store / "index.db") as database:
        return files, {key for (key,) in database.execute("SELECT key FROM results")}


@pytest.mark.parametrize(
    ("step", "words"),
    [
        pytest.param(SECRET, "secret missing: not found", id="secret"),
        pytest.param(SSH, "unset ssh forward key default", id="ssh"),
        pytest.param(WRONG, "digest mismatch", id="checksum"),
        pytest.param(UNREACHABLE, "http://127.0.0.1:1/page", id="unreachable"),
        pytest.param(BOMB, "archive bomb.tgz is too large", id="bomb"),
        pytest.param(SHUT, "shut", id="unreadable", marks=pytest.mark.root),
    ],
)
def test_nothing_is_left(lapstrake: Lapstrake, tmp_path: Path, step: str, words: str) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\nRUN true\n", "bomb.tgz": bomb(), "shut": "x"})
    lapstrake.built(context)
    (context / "shut").chmod(0)
    before = held(lapstrake.store)
    assert before[1]
    with serving(tmp_path) as web:
        web.pages["/page"] = Page(b"page\n")
        (context / "Dockerfile").write_text(f"FROM base\nRUN true\n{step.replace('URL', web.url)}\n")
        done = weaker(lapstrake)(
            "build", "--progress=plain", f"--build-context=base=docker-archive://{lapstrake.base}", str(context)
        )
    assert done.returncode == 1, done.stderr
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    assert words in error
    assert "Traceback" not in done.stderr
    after = held(lapstrake.store)
    assert (after[0] ^ before[0], after[1] ^ before[1]) == (set(), set())


def weaker(lapstrake: Lapstrake) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The program, of root without the capabilities that let it read what it may not."""
    limits = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        words = [*limits, *PROGRAM, "--root", str(lapstrake.store), *args]
        env = {**os.environ, **SMALL}
        return subprocess.run(words, env=env, capture_output=True, text=True, timeout=TIMEOUT, check=False)

    return run
