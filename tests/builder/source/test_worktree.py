"""The commit of a folder, found without letting its repository run anything."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from builder.source.git import Git
from builder.source.worktree import commit_time

TIME = 1_500_000_000

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder: Path, *words: str) -> None:
    date = f"@{TIME} +0200"
    names = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    dates = {"GIT_AUTHOR_DATE": "@1 +0000", "GIT_COMMITTER_DATE": date}
    none = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    own = {"HOME": "/", "PATH": os.environ["PATH"]}
    subprocess.run(["git", *words], cwd=folder, env={**own, **names, **dates, **none}, check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "a tree"
    (tree / "sub").mkdir(parents=True)
    (tree / ".gitignore").write_text("*.o\n/dist\n")
    (tree / "sub" / "file").write_text("text\n")
    git(tree, "init", "-q")
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "first")
    return tree


def time_of(folder: Path) -> int | None:
    scratch = folder.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    found = commit_time(str(folder), Git(os.environ), str(scratch))
    assert os.listdir(scratch) == []
    return found


def test_a_clean_tree_and_its_parts(tree: Path) -> None:
    (tree / "sub" / "made.o").write_text("")
    assert time_of(tree) == TIME
    assert time_of(tree / "sub") == TIME


def test_what_is_touched_but_equal_is_clean(tree: Path) -> None:
    os.utime(tree / "sub" / "file", (1, 1))
    index = (tree / ".git" / "index").read_bytes()
    assert time_of(tree) == TIME
    assert (tree / ".git" / "index").read_bytes() == index  # nothing is written there


@pytest.mark.parametrize("change", ["modified", "staged", "untracked", "removed", "mode"])
def test_what_is_not_clean(tree: Path, change: str) -> None:
    file = tree / "sub" / "file"
    if change in ("modified", "staged"):
        file.write_text("other\n")
    elif change == "untracked":
        (tree / "sub" / "new").write_text("")
    elif change == "removed":
        file.unlink()
    else:
        file.chmod(0o755)
    if change == "staged":
        git(tree, "add", ".")
    assert time_of(tree) is None


def test_a_change_elsewhere_does_not_count(tree: Path) -> None:
    (tree / "new").write_text("")
    assert time_of(tree / "sub") == TIME


def test_a_folder_that_git_ignores(tree: Path) -> None:
    (tree / "dist").mkdir()
    (tree / "dist" / "file").write_text("")
    assert time_of(tree / "dist") is None


def test_no_repository_no_commit_no_git(tmp_path: Path, tree: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert time_of(empty) is None
    git(empty, "init", "-q")
    assert time_of(empty) is None
    assert commit_time(str(tree), Git({"PATH": str(tmp_path)}), str(tmp_path)) is None


def test_a_linked_tree_and_a_submodule(tmp_path: Path, tree: Path) -> None:
    git(tree, "worktree", "add", "-q", str(tmp_path / "linked"))
    assert time_of(tmp_path / "linked") == TIME
    git(tree, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(tree), "inner")
    git(tree, "commit", "-qm", "second")
    assert time_of(tree) == TIME
    assert time_of(tree / "inner") == TIME


def test_sha256(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "f").write_text("")
    git(tree, "init", "-q", "--object-format=sha256")
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "first")
    assert time_of(tree) == TIME


def test_nothing_of_the_repository_is_run(tmp_path: Path, tree: Path) -> None:
    """What git itself would run for its `status` here."""
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch '{tmp_path}/sprung'\ncat\n")
    trap.chmod(0o755)
    (tree / ".gitattributes").write_text("* filter=evil diff=evil\n")
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "attributes")
    for name in ("core.fsmonitor", "filter.evil.clean", "filter.evil.process", "diff.evil.textconv", "diff.external"):
        git(tree, "config", name, str(trap))
    git(tree, "config", "log.showSignature", "true")
    git(tree, "config", "gpg.program", str(trap))
    os.utime(tree / "sub" / "file", (1, 1))
    assert time_of(tree) == TIME
    assert not (tmp_path / "sprung").exists()
    git(tree, "status")
    assert (tmp_path / "sprung").exists()  # the trap works


def test_another_owner(tree: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    for path in (tree, *tree.rglob("*")):
        os.chown(path, 12345, 12345)
    assert time_of(tree) == TIME
