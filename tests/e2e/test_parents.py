"""COPY --parents: names, modes and owners of the folders that lead to what is copied."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = pytest.mark.e2e


def test_parents(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = """\
FROM base AS made
RUN mkdir -p /s/t && chmod 0711 /s && chown 5:6 /s && echo t > /s/t/f
FROM base
WORKDIR /w
COPY --parents one/two/f.txt other /x
COPY --parents **/*.go .
COPY --parents one/./two/f.txt --chown=3 /y/
COPY --parents --from=made /s/t/f /z/
RUN find /x /y /z /w | sort > /list && stat -c '%n %a %u:%g' /x/one /z/s > /modes
"""
    text = text.replace("COPY --parents one/./two/f.txt --chown=3", "COPY --parents --chown=3 one/./two/f.txt")
    if os.geteuid() != 0:
        text = text.replace(" && chown 5:6 /s", "").replace(" --chown=3", "")
    files = {"one/two/f.txt": "f", "other/a": "a", "main.go": "m", "one/b.go": "b", ".dockerignore": "hidden"}
    context = folder(tmp_path / "context", {"Dockerfile": text, "hidden/c.go": "c", **files})
    (context / "one").chmod(0o700)
    lapstrake.built(context, "-o", str(tmp_path / "out"))
    expected = "/w /w/main.go /w/one /w/one/b.go /x /x/one /x/one/two /x/one/two/f.txt /x/other /x/other/a "
    expected += "/y /y/two /y/two/f.txt /z /z/s /z/s/t /z/s/t/f"
    assert (tmp_path / "out" / "list").read_text().split() == expected.split()
    owner = "5:6" if os.geteuid() == 0 else "0:0"
    assert (tmp_path / "out" / "modes").read_text() == f"/x/one 700 0:0\n/z/s 711 {owner}\n"
    # The same again is all there, and what the pattern does not name does not count.
    (context / "unrelated.txt").write_text("x")
    assert not [s for s in lapstrake.built(context).steps("DONE") if s.startswith("COPY")]


def test_a_path_that_is_not_there(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(
        tmp_path / "context", {"Dockerfile": "FROM base\nCOPY --parents no/*.thing /\nCOPY --parents gone /\n"}
    )
    assert '"/gone": not found' in lapstrake.refused(context).err
