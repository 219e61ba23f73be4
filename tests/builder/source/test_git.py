from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from builder.errors import Canceled
from builder.source.git import Git, GitFailed
from cache.errors import Fault

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def git() -> Git:
    return Git({"PATH": os.environ["PATH"], "GIT_DIR": "/evil", "https_proxy": "http://p"})


def test_settings_are_ours() -> None:
    listed = git().run("config", "--list", "--show-scope", what="w", config=[("x.y", "z")]).decode()
    assert "command\tcore.hookspath=/dev/null" in listed
    assert "command\tx.y=z" in listed
    assert "system\t" not in listed and "global\t" not in listed


def test_failure_is_one_line() -> None:
    with pytest.raises(GitFailed) as caught:
        git().run("rev-parse", "--verify", "--git-dir", what="w")
    assert caught.value.message.startswith("w: fatal:") and "\n" not in caught.value.message


def test_files_and_commands_are_no_remotes(tmp_path: Path) -> None:
    for url in (f"file://{tmp_path}", str(tmp_path), "ext::touch evil"):
        with pytest.raises(GitFailed, match="not allowed"):
            git().run("ls-remote", "--", url, what="w")


def test_no_git_and_no_time() -> None:
    with pytest.raises(Fault, match="no git on this machine"):
        Git({"PATH": "/nonexistent"}).run("version", what="w")
    with pytest.raises(Fault, match="no answer within 0 seconds"):
        git().run("hash-object", "/dev/zero", what="w", timeout=0.0)
    canceled = git()
    canceled.cancel()
    with pytest.raises(Canceled):
        canceled.run("version", what="w")
