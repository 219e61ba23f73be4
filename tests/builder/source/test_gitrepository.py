from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from builder.errors import SourceFault
from builder.source.git import Git, GitFailed
from builder.source.gitaccess import access
from builder.source.gitrepository import GitRepository, Resolved
from tests.builder.source.conftest import Served
from tests.e2e.gitpeers import Repository
from tests.e2e.webserver import BACKEND, serving


def opened(url: str, folder: Path) -> GitRepository:
    way = access(url, lambda name: None, lambda id: None, ["/none"])
    return GitRepository(Git({"PATH": os.environ["PATH"]}), str(folder), way, lambda thing: None)


@pytest.fixture
def one(served: Served) -> str:
    """The first commit."""
    return served.repository.commit({"a": "1"})


def test_refs(served: Served, one: str, tmp_path: Path) -> None:
    repository = opened(served.url, tmp_path / "store")
    git = served.repository.git
    git("tag", "-a", "v1", "-m", "t")
    git("tag", "light")
    git("tag", "main", "light")
    two = served.repository.commit({"a": "2"})
    git("update-ref", "refs/pull/7/head", one)
    served.repository.push()
    tag = git("rev-parse", "v1")
    for ref, found in {
        "": Resolved("refs/heads/main", two, two),
        "main": Resolved("refs/heads/main", two, two),  # and not the tag of that name
        "refs/tags/main": Resolved("refs/tags/main", one, one),
        "heads/main": Resolved("refs/heads/main", two, two),
        "v1": Resolved("refs/tags/v1", tag, one),
        "light": Resolved("refs/tags/light", one, one),
        "pull/7/head": Resolved("refs/pull/7/head", one, one),
        one: Resolved("", one, one),
    }.items():
        assert repository.resolve(ref) == found, ref


@pytest.mark.parametrize("ref", ["-u", "--upload-pack=touch x", "a b", "a\nb", "\x7f\x00"])
def test_refs_that_git_must_not_be_given(served: Served, one: str, tmp_path: Path, ref: str) -> None:
    with pytest.raises(SourceFault, match="invalid git ref"):
        opened(served.url, tmp_path / "store").resolve(ref)
    assert served.peer.seen == 0


def test_what_is_not_there(served: Served, one: str, tmp_path: Path) -> None:
    repository = opened(served.url, tmp_path / "store")
    with pytest.raises(SourceFault, match="repository does not contain ref none"):
        repository.resolve("none")
    with pytest.raises(SourceFault, match="repository does not contain ref mai"):
        repository.resolve("mai*")  # ls-remote takes patterns
    with pytest.raises(GitFailed, match=r"failed to fetch remote .*none\.git"):
        opened(f"{served.base}/none.git", tmp_path / "store").resolve("")
    served.another("empty")
    with pytest.raises(SourceFault, match="could not find default branch"):
        opened(f"{served.base}/empty.git", tmp_path / "store").resolve("")
    with pytest.raises(SourceFault, match="1111 is not in the repository"):
        repository.fetch(Resolved("", "1" * 40, "1" * 40))


def test_a_commit_is_fetched_once_and_alone(served: Served, one: str, tmp_path: Path) -> None:
    two = served.repository.commit({"a": "2"})
    repository = opened(served.url, tmp_path / "store")
    assert not repository.has(two)
    with ThreadPoolExecutor(4) as pool:
        again = [opened(served.url, tmp_path / "store") for _ in range(4)]
        assert list(pool.map(lambda each: each.fetch(Resolved("", two, two)), again)) == [two] * 4
    assert served.peer.seen == 1
    assert repository.has(two) and not repository.has(one)
    assert repository.fetch(Resolved("", one, one)) == one
    assert repository.local("show", f"{two}:a", what="w") == b"2"


@pytest.mark.skipif(not BACKEND.exists(), reason="git has no http-backend")
def test_a_server_that_gives_only_what_a_ref_names(tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    with serving(tmp_path / "served") as web:
        web.old_git = True
        made = Repository(tmp_path / "served", tmp_path / "work", base=f"{web.url}/git")
        one, two = made.commit({"a": "1"}), made.commit({"a": "2"})
        three = made.commit({"a": "3"})
        repository = opened(made.url, tmp_path / "store")
        assert repository.fetch(repository.resolve("main")) == three
        assert not repository.has(two)
        assert repository.fetch(Resolved("", two, two)) == two  # by way of all that it has
        assert repository.has(one)
        with pytest.raises(SourceFault, match="1111 is not in the repository"):
            repository.fetch(Resolved("", "1" * 40, "1" * 40))


def test_a_tag_leads_to_its_commit_and_a_blob_is_none(served: Served, one: str, tmp_path: Path) -> None:
    git = served.repository.git
    git("tag", "-a", "v1", "-m", "t")
    git("tag", "-a", "blob", "-m", "t", git("rev-parse", "HEAD:a"))
    served.repository.push()
    repository = opened(served.url, tmp_path / "store")
    assert repository.fetch(repository.resolve("v1")) == one
    with pytest.raises(SourceFault):
        repository.fetch(repository.resolve("blob"))


def test_sha256(served: Served, tmp_path: Path) -> None:
    made = served.another("long", "--object-format=sha256")
    commit = made.commit({"a": "1"})
    assert len(commit) == 64
    repository = opened(made.url, tmp_path / "store")
    assert repository.fetch(repository.resolve("main")) == commit


def test_a_commit_without_its_files_is_fetched(served: Served, one: str, tmp_path: Path) -> None:
    """A fetch that was killed may have left the one and not the others."""
    repository = opened(served.url, tmp_path / "store")
    repository.fetch(Resolved("", one, one))
    two = served.repository.commit({"a": "2"})
    loose = Path(two[:2], two[2:])
    (Path(repository.objects) / loose).parent.mkdir(exist_ok=True)
    shutil.copy(served.repository.bare / "objects" / loose, Path(repository.objects) / loose)
    assert repository.local("cat-file", "-t", two, what="w") == b"commit\n"
    assert not repository.has(two)
    assert repository.fetch(Resolved("", two, two)) == two
    assert repository.local("show", f"{two}:a", what="w") == b"2"


def test_what_a_killed_git_left_is_no_hindrance(served: Served, one: str, tmp_path: Path) -> None:
    two = served.repository.commit({"a": "2"})
    repository = opened(served.url, tmp_path / "store")
    repository.fetch(Resolved("", one, one))
    Path(repository.objects).with_name("shallow.lock").touch()
    assert repository.fetch(Resolved("", two, two)) == two


def test_checksums(tmp_path: Path) -> None:
    repository = opened("git://h/x", tmp_path)
    tag, commit = "a" * 40, "b" * 40
    for right in ("", "a", tag, tag.upper(), "bbbb"):
        repository.check(Resolved("refs/tags/v", tag, commit), commit, right)
    with pytest.raises(SourceFault, match=f"expected checksum to match c, got {tag} or {commit}"):
        repository.check(Resolved("refs/tags/v", tag, commit), commit, "c")
    with pytest.raises(SourceFault, match="expected hex commit hash"):
        repository.check(Resolved("", tag, tag), tag, "xyz")
