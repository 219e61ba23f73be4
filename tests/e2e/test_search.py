"""`lapstrake search` of Debian's docker-registry, whose catalog comes in pages and may want a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.dockerregistry import USER, WORD, docker_registry
from tests.e2e.lapstrake import Lapstrake, folder

REPOSITORIES = ("base", "team/a", "team/b", "team/c", "web")


@pytest.mark.e2e
def test_search_of_a_catalog(tmp_path: Path) -> None:
    bare = Lapstrake(tmp_path / "store")
    bare.built(folder(tmp_path / "c", {"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"}), "-t", "app")
    for name in ("plain", "closed"):
        (tmp_path / name).mkdir()
    with docker_registry(tmp_path / "plain", entries=2) as open_one:
        for name in REPOSITORIES:
            bare.run("tag", "app", f"{open_one.host}/{name}:1")
            pushed = bare.run("push", "-q", f"{open_one.host}/{name}:1")
            assert pushed.status == 0, pushed.err
        every = bare.run("search", "--format", "{{.Name}}", f"{open_one.host}/")
        assert every.out.splitlines() == [f"{open_one.host}/{name}" for name in REPOSITORIES], every.err
        some = bare.run("search", "--format", "{{.Name}}", f"{open_one.host}/team/")
        assert some.out.count("\n") == 3
        assert bare.run("pull", "-q", f"{some.out.splitlines()[0]}:1").status == 0
    (tmp_path / "closed" / "data").symlink_to(tmp_path / "plain" / "data")
    with docker_registry(tmp_path / "closed", passwords=True) as closed:
        home = {"HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path / ".docker")}
        refused = bare.run("search", f"{closed.host}/a", env=home)
        assert refused.status == 1 and "authentication required" in refused.err
        folder(tmp_path / ".docker", {"config.json": f'{{"auths": {{"{closed.host}": {{"username": '
               f'"{USER}", "password": "{WORD}"}}}}}}'})  # fmt: skip
        allowed = bare.run("search", f"{closed.host}/base", env=home)
        assert allowed.status == 0 and f"{closed.host}/base" in allowed.out, allowed.err
        assert WORD not in allowed.out + allowed.err
