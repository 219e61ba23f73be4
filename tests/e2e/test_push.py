"""`lapstrake push` to Debian's docker-registry; skopeo reads the same digest back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.dockerregistry import docker_registry
from tests.e2e.lapstrake import Lapstrake, folder


@pytest.mark.e2e
def test_pushed_and_read_by_skopeo(tmp_path: Path) -> None:
    lapstrake = Lapstrake(tmp_path / "store")
    context = folder(tmp_path / "context", {"a": os.urandom(100_000), "Dockerfile": "FROM scratch\nCOPY a /a\n"})
    (tmp_path / "registry").mkdir()
    with docker_registry(tmp_path / "registry") as registry:
        name = f"{registry.host}/team/app"
        lapstrake.built(context, "-t", f"{name}:1", "-t", f"{name}:2")
        done = lapstrake.run("push", f"{name}:1")
        assert done.status == 0, done.err
        lines = done.out.splitlines()
        assert lines[0] == f"The push refers to repository [{name}]"
        assert lines[-1].startswith(f"1: digest: {registry.digest('team/app:1')} size: ")
        again = lapstrake.run("push", "-a", name)
        assert again.out.count("Layer already exists") == 2, again.err
        assert registry.digest("team/app:2") == registry.digest("team/app:1")
        assert lapstrake.run("push", "-q", f"{name}:1").out == f"{name}:1\n"
        missing = lapstrake.run("push", f"{name}:3")
        assert (missing.status, missing.err.splitlines()[0]) == (
            1,
            f"ERROR: An image does not exist locally with the tag: {name}:3",
        )
