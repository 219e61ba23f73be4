"""--verify: a second build in other surroundings, and what it gives otherwise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.compare import flatten
from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = pytest.mark.e2e

# What a step finds of its surroundings: a clock, the state of a cache, the dates of the client's files.
OTHER = """\
FROM base
COPY a /a
RUN --mount=type=cache,target=/c echo x >> /c/n; cat /c/n > /n; chmod 700 /n
RUN --mount=type=bind,target=/src cp -p /src/a /kept
"""


def test_a_reproducible_build(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base\nWORKDIR /app\nCOPY . .\nLABEL a=b\nRUN test ! -e hidden\n"
    files = {"Dockerfile": text, "a": "a\n", "hidden": "x", ".dockerignore": "hidden\n.dockerignore\n"}
    context = folder(tmp_path / "context", files)
    done = lapstrake.built(context, "--verify", "-t", "x", "-o", f"type=docker,dest={tmp_path}/x.tar")
    assert "Verified: a second build in other surroundings gave sha256:" in done.err
    assert flatten(tmp_path / "x.tar").files["app/a"].mode == 0o644
    assert os.listdir(lapstrake.store / "tmp") == []


def test_what_differs_is_named(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": OTHER, "a": "a\n"})
    lapstrake.built(context)  # fills the cache mount
    args = (
        "--no-cache",
        "--verify",
        "--metadata-file",
        str(tmp_path / "m"),
        "-o",
        f"type=docker,dest={tmp_path}/x.tar",
    )
    done = lapstrake.refused(context, *args)
    lines = done.err.splitlines()
    step = next(n for n, line in enumerate(lines) if line.startswith("layer ") and "cat /c/n" in line)
    assert lines[step + 1].startswith("  /n: mtime: ")
    assert lines[step + 2] == "  /n: size: 4 != 2"
    assert lines[step + 3] == "  /n: content: from byte 2 on"
    assert any(line.startswith("  /kept: mtime: ") for line in lines)
    assert not any("/a:" in line for line in lines)
    assert "ERROR: the build is not reproducible" in done.err
    assert flatten(tmp_path / "x.tar").files["kept"]
    assert (tmp_path / "m").exists()
    assert os.listdir(lapstrake.store / "tmp") == []


def test_dates_that_are_clamped_do_not_differ(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\nRUN echo a > /a\n"})
    out = f"type=oci,dest={tmp_path}/x.tar,rewrite-timestamp=true"
    env = {"SOURCE_DATE_EPOCH": "1500000000"}
    assert "Verified: " in lapstrake.built(context, "--verify", "-o", out, env=env).err


def test_a_second_build_that_fails(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base\nRUN --mount=type=cache,target=/c test -e /c/n || test -e /first && touch /c/n\n"
    context = folder(tmp_path / "context", {"Dockerfile": text.replace("/first", "/etc")})
    lapstrake.built(context)
    (context / "Dockerfile").write_text(text.replace("/first", "/none"))
    done = lapstrake.refused(context, "--verify", "-t", "kept")
    assert "The second build failed, unlike the first one:" in done.err
    assert "exit code: 1" in done.err
    assert "kept" in lapstrake.run("images").out


def test_a_name_that_is_base_and_result(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """The second build begins with the base that the first one had, not with the first one's image."""
    first = folder(tmp_path / "first", {"Dockerfile": "FROM base\nCOPY Dockerfile /first\n"})
    lapstrake.built(first, "-t", "mine")
    second = folder(tmp_path / "second", {"Dockerfile": "FROM mine\nCOPY Dockerfile /second\n"})
    assert "Verified: " in lapstrake.built(second, "--verify", "-t", "mine").err


def test_several_platforms_and_a_named_folder(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM scratch\nCOPY --from=more b /\nCOPY Dockerfile /\n"})
    more = folder(tmp_path / "more", {"b": "b\n"})
    words = ("--verify", "--platform=linux/amd64,linux/arm64", f"--build-context=more={more}")
    assert "Verified: " in lapstrake.built(context, *words).err
