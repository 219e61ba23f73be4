"""ADD of git references, and git repositories as contexts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gitpeers import Repository
from tests.e2e.lapstrake import Lapstrake, folder
from tests.e2e.webserver import BACKEND, Web, serving

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not BACKEND.exists(), reason="git has no http-backend")]


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    (tmp_path / "served").mkdir()
    with serving(tmp_path / "served") as web:
        yield web


@pytest.fixture
def repository(web: Web, tmp_path: Path) -> Repository:
    made = Repository(web.repositories, tmp_path / "work", base=f"{web.url}/git")
    made.commit({"README": "one\n", "sub/file": "inner\n", "run.sh": "#!/bin/sh\n"})
    os.chmod(made.folder / "run.sh", 0o755)
    made.commit({})
    made.git("tag", "-a", "v1", "-m", "t")
    made.push()
    return made


def add(lapstrake: Lapstrake, tmp_path: Path, line: str, *args: str) -> Path:
    context = folder(tmp_path / "context", {"Dockerfile": f"FROM scratch\n{line}\n"})
    lapstrake.built(context, "-o", str(tmp_path / "out"), *args)
    return tmp_path / "out"


@pytest.mark.parametrize(
    "form", ["", "#main", "#v1", "#refs/heads/main", "?branch=main", "?tag=v1", "?ref=main&submodules=false"]
)
def test_forms(lapstrake: Lapstrake, repository: Repository, tmp_path: Path, form: str) -> None:
    out = add(lapstrake, tmp_path, f"ADD {repository.url}{form} /a/")
    assert (out / "a" / "README").read_text() == "one\n"
    assert (out / "a" / "sub" / "file").read_text() == "inner\n"
    assert (out / "a" / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (out / "a" / "README").stat().st_mode & 0o777 == 0o644
    assert not (out / "a" / ".git").exists()


def test_a_commit_that_no_ref_names(lapstrake: Lapstrake, repository: Repository, tmp_path: Path) -> None:
    old = repository.git("rev-parse", "HEAD")
    repository.commit({"README": "two\n"})
    assert (add(lapstrake, tmp_path, f"ADD {repository.url}#{old} /a/") / "a" / "README").read_text() == "one\n"


@pytest.mark.parametrize("form", ["#main:sub", "?branch=main&subdir=sub", "#:sub"])
def test_a_folder_of_it(lapstrake: Lapstrake, repository: Repository, tmp_path: Path, form: str) -> None:
    out = add(lapstrake, tmp_path, f"ADD {repository.url}{form} /a/")
    assert os.listdir(out / "a") == ["file"]


def test_a_cached_build_fetches_nothing_and_a_moved_branch_is_seen(
    lapstrake: Lapstrake, repository: Repository, web: Web, tmp_path: Path
) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": f"FROM scratch\nADD {repository.url}#main /a/\n"})
    lapstrake.built(context)
    web.requests.clear()
    assert lapstrake.built(context).steps("CACHED") == [f"ADD {repository.url}#main /a/"]
    assert web.asked("/git/app.git/git-upload-pack") <= 1  # what the branch is now
    repository.commit({"README": "two\n"})
    assert lapstrake.built(context).cached == 0
    assert os.listdir(lapstrake.store / "tmp") == []


def test_checksum(lapstrake: Lapstrake, repository: Repository, web: Web, tmp_path: Path) -> None:
    commit = repository.git("rev-parse", "HEAD")
    context = folder(
        tmp_path / "context", {"Dockerfile": f"FROM scratch\nADD --checksum={commit} {repository.url}#v1 /a/\n"}
    )
    lapstrake.built(context)
    web.requests.clear()
    assert lapstrake.built(context).cached == 1
    assert web.requests == []
    wrong = "0" * 40
    folder(context, {"Dockerfile": f"FROM scratch\nADD --checksum={wrong} {repository.url}#v1 /a/\n"})
    assert f"expected checksum to match {wrong}, got " in lapstrake.refused(context).err


def test_keep_git_dir(lapstrake: Lapstrake, repository: Repository, tmp_path: Path) -> None:
    line = f"ADD --keep-git-dir {repository.url}#v1 /a/"
    out = add(lapstrake, tmp_path, line) / "a"
    run = ["--git-dir", str(out / ".git"), "--work-tree", str(out)]
    repository.folder = out
    assert repository.git(*run, "-c", "safe.directory=*", "describe", "--tags") == "v1"
    assert repository.git(*run, "-c", "safe.directory=*", "status", "--porcelain") == ""
    again = Lapstrake(tmp_path / "other")
    context = tmp_path / "context"
    first = lapstrake.built(context, "-q").out
    assert again.built(context, "-q").out == first


def test_submodules(lapstrake: Lapstrake, repository: Repository, web: Web, tmp_path: Path) -> None:
    inner = Repository(web.repositories, tmp_path / "work", "inner")
    commit = inner.commit({"deep": "D"})
    module = '[submodule "x"]\n\tpath = lib/x\n\turl = ../inner.git\n'
    (repository.folder / ".gitmodules").write_text(module)
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},lib/x")
    repository.git("add", ".gitmodules")
    repository.git("commit", "-q", "-m", "s")
    repository.push()
    out = add(lapstrake, tmp_path, f"ADD {repository.url} /a/\nADD {repository.url}?submodules=0 /b/")
    assert (out / "a" / "lib" / "x" / "deep").read_text() == "D"
    assert not (out / "b" / "lib" / "x" / "deep").exists()


@pytest.mark.parametrize("url", ["-u./evil", "ext::sh -c id", "file:///etc", "/etc", "--upload-pack=touch${IFS}x"])
def test_hostile_submodules(lapstrake: Lapstrake, repository: Repository, tmp_path: Path, url: str) -> None:
    (repository.folder / ".gitmodules").write_text(f'[submodule "x"]\n\tpath = x\n\turl = {url}\n')
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},x")
    repository.git("add", ".gitmodules")
    repository.git("commit", "-q", "-m", "s")
    repository.push()
    context = folder(tmp_path / "context", {"Dockerfile": f"FROM scratch\nADD {repository.url} /a/\n"})
    assert "git remote" in lapstrake.refused(context).err


def test_links_stay_links_and_lead_nowhere(lapstrake: Lapstrake, repository: Repository, tmp_path: Path) -> None:
    os.symlink("/etc", repository.folder / "out")
    repository.commit({})
    out = add(lapstrake, tmp_path, f"ADD {repository.url} /a/")
    assert os.readlink(out / "a" / "out") == "/etc"
    context = folder(tmp_path / "context", {"Dockerfile": f"FROM scratch\nADD {repository.url}#:out /a/\n"})
    assert "contains non-directory" in lapstrake.refused(context).err


def test_what_is_not_there(lapstrake: Lapstrake, repository: Repository, web: Web, tmp_path: Path) -> None:
    for line, words in (
        (f"ADD {web.url}/git/none.git /a/", "not found"),
        (f"ADD {repository.url}#nobranch /a/", "repository does not contain ref nobranch"),
        (f"ADD {repository.url}#main:none /a/", "invalid subdir"),
        (f"ADD {repository.url}#-x /a/", "invalid git ref"),
        (f"ADD {repository.url}?branch=a&tag=b /a/", "branch conflicts with tag"),
        (f"COPY {repository.url} /a/", "source can't be a git ref for COPY"),
    ):
        context = folder(tmp_path / "context", {"Dockerfile": f"FROM scratch\n{line}\n"})
        assert words in lapstrake.refused(context).err, line


def test_a_token_is_a_header_and_is_nowhere_else(
    lapstrake: Lapstrake, repository: Repository, web: Web, tmp_path: Path
) -> None:
    web.token = "basic eC1hY2Nlc3MtdG9rZW46czNjcjN0"
    context = folder(tmp_path / "context", {"Dockerfile": f"FROM scratch\nADD {repository.url} /a/\n"})
    assert "GIT_AUTH_TOKEN" in lapstrake.refused(context).err
    done = lapstrake.build(context, "--secret=id=GIT_AUTH_TOKEN", env={"GIT_AUTH_TOKEN": "s3cr3t"})
    assert done.status == 0, done.err
    for path in lapstrake.store.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert b"s3cr3t" not in data and b"czNjcjN0" not in data, path
    assert "s3cr3t" not in done.err


def test_a_repository_as_context(lapstrake: Lapstrake, repository: Repository, tmp_path: Path) -> None:
    repository.commit({
        "sub/Dockerfile": "FROM scratch\nCOPY . /c\nCOPY --from=more README /r\n",
        "sub/.dockerignore": "file\n",
    })  # fmt: skip
    more = f"--build-context=more={repository.url}#v1"
    done = lapstrake.run("build", "-o", str(tmp_path / "out"), more, f"{repository.url}#main:sub")
    assert done.status == 0, done.err
    assert sorted(os.listdir(tmp_path / "out" / "c")) == [".dockerignore", "Dockerfile", "file"]  # as in BuildKit
    assert (tmp_path / "out" / "r").read_text() == "one\n"
    done = lapstrake.run("build", "-f", "none", f"{repository.url}#main:sub")
    assert done.status == 1 and "failed to read dockerfile: open none: no such file" in done.err
    kept = ("--build-arg=BUILDKIT_CONTEXT_KEEP_GIT_DIR=1", "-f", "sub/Dockerfile", more)
    done = lapstrake.run("build", "-o", str(tmp_path / "kept"), *kept, repository.url)
    assert done.status == 0, done.err
    assert (tmp_path / "kept" / "c" / ".git" / "HEAD").exists()
