"""Contexts and sources that cannot be read: one line, and the store is as it was."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.lapstrake import PROGRAM, Lapstrake, folder
from tests.e2e.webserver import Page, serving

pytestmark = pytest.mark.e2e


def kept(store: Path) -> list[str]:
    """Blobs and what is being written."""
    return sorted(name for part in ("blobs/sha256", "tmp") for name in os.listdir(store / part))


def error(text: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith("ERROR: ")]
    return line


@pytest.mark.root
def test_an_unreadable_file(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """Root without the capabilities to read everything; an ordinary user's build can read all that is the user's."""
    context = folder(tmp_path / "context", {"Dockerfile": "FROM scratch\nCOPY . /\n", "shut": "x"})
    (context / "shut").chmod(0)
    weaker = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    words = [*weaker, *PROGRAM, "--root", str(lapstrake.store), "build", "--progress=plain", str(context)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    assert "shut" in error(done.stderr)
    assert "Traceback" not in done.stderr
    assert kept(lapstrake.store) == []


def test_a_server_that_fails(lapstrake: Lapstrake, tmp_path: Path) -> None:
    with serving(tmp_path) as web:
        web.pages["/broken"] = Page(b"", 500)
        context = folder(tmp_path / "context", {"Dockerfile": f"FROM scratch\nADD {web.url}/broken /f\n"})
        assert "500" in error(lapstrake.refused(context).err)
        done = lapstrake.run("build", "--progress=plain", f"{web.url}/git/none.git")
    assert done.status == 1
    assert "none.git" in error(done.err)
    assert "Traceback" not in done.err
    assert kept(lapstrake.store) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/c.tgz", "http://127.0.0.1:1/c.git"])
def test_a_context_of_a_host_that_does_not_answer(lapstrake: Lapstrake, url: str) -> None:
    done = lapstrake.run("build", "--progress=plain", url)
    assert done.status == 1
    assert url in error(done.err)
    assert kept(lapstrake.store) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("context=other", "invalid context name context"),
        ("St=other", "invalid context name St: invalid reference format"),
        ("two words=other", "invalid context name two words"),
        ("x=target:y", "failed to find target y for context x"),
        ("x=", "invalid --build-context"),
    ],
)
def test_a_name_that_nothing_asks_for_is_refused(lapstrake: Lapstrake, tmp_path: Path, given: str, words: str) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})
    assert words in lapstrake.refused(context, f"--build-context={given}").err
