"""A build that finds all its steps does as much in a store that holds much as in one that holds little."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from bench.crowd import crowd
from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = pytest.mark.e2e

ROOM = 100_000  # bytes: a deeper tree of sqlite's pages, not a look at every row
WATCHED = """
import json, sys
seen = []
watched = ("open", "os.listdir", "os.scandir")
sys.addaudithook(lambda event, args: seen.append(event) if event in watched else None)
from builder.cli.main import run
status = run(sys.argv[1:])
read = [line.split()[1] for line in open("/proc/self/io") if line.startswith("rchar")]
print(json.dumps([status, seen, int(read[0])]))
"""


def work(lapstrake: Lapstrake, context: Path) -> tuple[Counter[str], int]:
    """What a cached build opens and lists, and the bytes that it reads."""
    words = ["--root", str(lapstrake.store), "build", "-q", f"--build-context=base=docker-archive://{lapstrake.base}"]
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *words, "-t", "app", str(context)],
        capture_output=True,
        env={**os.environ},
        check=True,
    )
    status, seen, read = json.loads(done.stdout.splitlines()[-1])
    assert status == 0, done.stderr
    return Counter(seen), read


def test_opening_a_store_costs_the_same(lapstrake: Lapstrake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with a cap, which only a build that wrote something has to look after."""
    (tmp_path / "cap.toml").write_text('[gc]\nmax-used-space = "1gb"\n')
    monkeypatch.setenv("LAPSTRAKE_CONFIG", str(tmp_path / "cap.toml"))
    text = "FROM base\nRUN echo a > /a\nCOPY Dockerfile /b\nRUN cat /a /b > /c\n"
    context = folder(tmp_path / "context", {"Dockerfile": text})
    lapstrake.built(context, "-t", "app")
    work(lapstrake, context)  # compiles what was not compiled
    events, read = work(lapstrake, context)
    crowd(str(lapstrake.store), 1000, 100 << 30)
    assert len(os.listdir(lapstrake.store / "blobs" / "sha256")) > 1000
    many_events, many_read = work(lapstrake, context)
    assert many_events == events
    assert many_read < read + ROOM
