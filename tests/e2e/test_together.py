"""load, rmi, build and prune at the same time on one store: whatever has a name afterwards is whole."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.lapstrake import Done, Lapstrake, folder

pytestmark = pytest.mark.e2e

ROUNDS = 3


def test_the_store_stays_whole(lapstrake: Lapstrake, tmp_path: Path) -> None:
    archive = str(tmp_path / "app.tar")
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\nARG N\nCOPY Dockerfile /$N\n"})
    lapstrake.built(context, "-t", "app", "--build-arg=N=a")
    assert lapstrake.run("save", "-o", archive, "app").status == 0

    def builds() -> list[Done]:
        return [lapstrake.build(context, "-t", f"built:{n}", f"--build-arg=N={n}") for n in range(ROUNDS)]

    def loads() -> list[Done]:
        return [lapstrake.run("load", "-i", archive) for _ in range(ROUNDS)]

    def removes() -> list[Done]:
        return [lapstrake.run(*words) for _ in range(ROUNDS) for words in (("rmi", "app"), ("prune", "-a", "-f"))]

    with ThreadPoolExecutor(3) as pool:
        built, loaded, removed = [run.result() for run in [pool.submit(work) for work in (builds, loads, removes)]]
    assert [done.err for done in (*built, *loaded) if done.status] == []
    for done in removed:
        assert not done.status or "No such image" in done.err, done.err
    names = lapstrake.run("images", "--format", "{{.Repository}}:{{.Tag}}").out.split()
    assert {f"built:{n}" for n in range(ROUNDS)} <= set(names)
    whole = tmp_path / "all.tar"
    saved = lapstrake.run("save", "-o", str(whole), *names)
    assert saved.status == 0, saved.err
    again = Lapstrake(tmp_path / "again").run("load", "-i", str(whole))
    assert again.status == 0, again.err
    assert len(again.out.splitlines()) == len(names)


def test_the_image_of_a_running_build_is_removed(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """Docker does not keep an image for a build that stands on it, either; the build goes on and is whole."""
    first = folder(tmp_path / "first", {"Dockerfile": "FROM base\nRUN echo 1 > /below\n"})
    lapstrake.built(first, "-t", "app")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        wait = f"nc 127.0.0.1 {server.getsockname()[1]} < /dev/null"
        text = f"FROM app AS one\nRUN {wait}; cat /below > /above\nFROM app\nCOPY --from=one /above /\nRUN cat /below\n"
        second = folder(tmp_path / "second", {"Dockerfile": text})
        building = lapstrake.start(second, "-t", "built")
        step, _ = server.accept()
        with step:
            removed = lapstrake.run("rmi", "app")
            assert (removed.status, removed.out.splitlines()[0]) == (0, "Untagged: app:latest"), removed.err
            pruned = lapstrake.run("prune", "--all", "--force")
            assert pruned.status == 0, pruned.err
        _, err = building.communicate(timeout=60)
        assert building.returncode == 0, err.decode()
    assert lapstrake.run("prune", "--all", "--force").status == 0
    assert lapstrake.run("run", "built", "cat", "/below", "/above").out == "1\n1\n"
    assert lapstrake.run("save", "-o", str(tmp_path / "built.tar"), "built").status == 0
    assert "app" not in lapstrake.run("images").out
