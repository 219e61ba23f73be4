"""`lapstrake push` to Debian's docker-registry; skopeo reads the same digest back."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.dockerregistry import USER, WORD, docker_registry
from tests.e2e.lapstrake import PROGRAM, Lapstrake, folder


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


@pytest.mark.e2e
def test_login_and_logout(tmp_path: Path) -> None:
    lapstrake = Lapstrake(tmp_path / "store")
    context = folder(tmp_path / "context", {"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})
    (tmp_path / "registry").mkdir()
    config = tmp_path / "docker" / "config.json"
    environment = {**os.environ, "DOCKER_CONFIG": str(config.parent)}
    with docker_registry(tmp_path / "registry", passwords=True) as registry:

        def login(word: str) -> subprocess.CompletedProcess[str]:
            words = [*PROGRAM, "login", "-u", USER, "--password-stdin", registry.host]
            return subprocess.run(
                words, input=f"{word}\n", capture_output=True, text=True, env=environment, check=False
            )

        wrong = login("other-word")
        assert wrong.returncode == 1 and not config.exists() and "other-word" not in wrong.stderr
        done = login(WORD)
        assert (done.returncode, done.stdout) == (0, "Login Succeeded\n"), done.stderr
        assert config.stat().st_mode & 0o777 == 0o600
        lapstrake.built(context, "-t", f"{registry.host}/app:1")
        pushed = lapstrake.run("push", f"{registry.host}/app:1", env=environment)
        assert pushed.status == 0, pushed.err
        assert "Removing login" in lapstrake.run("logout", registry.host, env=environment).out
        assert "Not logged in" in lapstrake.run("logout", registry.host, env=environment).out
        refused = lapstrake.run("pull", f"{registry.host}/app:1", env=environment)
        assert refused.status == 1 and "authentication required" in refused.err


@pytest.mark.e2e
def test_built_into_a_registry(tmp_path: Path) -> None:
    """A layer of a base in the same registry is mounted, and never downloaded."""
    lapstrake = Lapstrake(tmp_path / "store")
    (tmp_path / "registry").mkdir()
    with docker_registry(tmp_path / "registry") as registry:
        base, name = f"{registry.host}/base:1", f"{registry.host}/app:1"
        first = folder(tmp_path / "first", {"a": os.urandom(9999), "Dockerfile": "FROM scratch\nCOPY a /a\n"})
        lapstrake.built(first, "-o", f"type=registry,name={base}")
        other = Lapstrake(tmp_path / "other")
        second = folder(tmp_path / "second", {"Dockerfile": f"FROM {base}\nENV X=1\n"})
        done = other.built(second, "-t", name, "--push")
        assert f"pushing {name}" in done.err and "[internal] pull" not in done.err
        assert registry.digest("app:1")
        assert "tag is needed" in lapstrake.refused(first, "-o", "type=registry").err
