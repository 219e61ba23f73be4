from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.errors import Canceled, SourceFault
from builder.graph.operation import GitSource
from builder.layer.entry import Kind
from builder.source.gitsources import GitSources
from cache.store import Store
from tests.builder.source.conftest import Served

MTIME, LIMIT = 1000, 1 << 20


@pytest.fixture
def sources(store: Store) -> Iterator[GitSources]:
    made = GitSources(store, {"PATH": os.environ["PATH"]}, lambda name: None, lambda id: None, MTIME, LIMIT)
    yield made
    made.close()
    assert os.listdir(store.path("tmp")) == []


def test_a_name_is_of_the_commit_and_of_what_is_read_of_it(served: Served, sources: GitSources) -> None:
    one = served.repository.commit({"a": "1", "sub/b": "2"})
    main = sources.identify(GitSource(remote=served.url, ref="main"))
    assert sources.identify(GitSource(remote=served.url)) == main
    assert sources.identify(GitSource(remote=served.url, ref=one)) == main
    assert sources.identify(GitSource(remote=served.url, ref="main", checksum=one[:9])) == main
    others = [
        {"subdir": "sub"},
        {"submodules": False},
        {"mtime": "commit"},
        {"keep_git_dir": True},
        {"keep_git_dir": True, "ref": "main"},
    ]
    assert len({main, *(sources.identify(GitSource(remote=served.url, **more)) for more in others)}) == 5  # type: ignore[arg-type]
    below = {"remote": served.url, "subdir": "sub"}
    assert sources.identify(GitSource(**below)) == sources.identify(GitSource(**below, keep_git_dir=True))  # type: ignore[arg-type]


def test_a_server_is_asked_once_and_not_for_what_is_pinned(served: Served, sources: GitSources, store: Store) -> None:
    one = served.repository.commit({"a": "1"})
    source = GitSource(remote=served.url, ref="main", checksum=one)
    first = sources.identify(source)
    sources.identify(source)
    assert served.peer.seen == 1
    sources.tree(source)
    seen = served.peer.seen
    served.repository.commit({"a": "2"})
    other = GitSources(store, {"PATH": os.environ["PATH"]}, lambda name: None, lambda id: None, MTIME, LIMIT)
    assert other.identify(source) == first
    assert other.identify(GitSource(remote=served.url, ref=one)) == first
    assert served.peer.seen == seen


def test_checksums(served: Served, sources: GitSources) -> None:
    one = served.repository.commit({"a": "1"})
    two = served.repository.commit({"a": "2"})
    for source, words in (
        (GitSource(remote=served.url, ref="main", checksum=one), f"expected checksum to match {one}, got {two}"),
        (GitSource(remote=served.url, ref=one, checksum=two), f"expected checksum to match {two}, got {one}"),
        (GitSource(remote=served.url, fetch_by_commit=True), "requires a checksum or a commit SHA ref"),
        (GitSource(remote=served.url, fetch_by_commit=True, checksum=one[:8]), "requires a full commit SHA checksum"),
    ):
        with pytest.raises(SourceFault, match=words):
            sources.identify(source)


def test_by_commit_no_ref_is_asked_for(served: Served, sources: GitSources) -> None:
    one = served.repository.commit({"a": "1"})
    served.repository.commit({"a": "2"})
    source = GitSource(remote=served.url, ref="nowhere", checksum=one, fetch_by_commit=True)
    sources.identify(source)
    assert served.peer.seen == 0
    assert sources.read(source, "a") == b"1"
    kept = GitSource(remote=served.url, ref="nowhere", checksum=one, fetch_by_commit=True, keep_git_dir=True)
    assert b"".join(sources.tree(kept).content(b".git/refs/heads/nowhere").chunks()) == f"{one}\n".encode()


def test_a_file_is_read_without_a_checkout(served: Served, sources: GitSources, store: Store) -> None:
    os.symlink("a", served.repository.folder / "link")
    served.repository.commit({"a": "1", "sub/b": "2"})
    source = GitSource(remote=served.url)
    assert sources.read(source, "a") == b"1"
    assert sources.read(source, "./sub/../a") == b"1"
    assert sources.read(GitSource(remote=served.url, subdir="sub"), "b") == b"2"
    assert sources.read(GitSource(remote=served.url, subdir="sub"), "../../b") == b"2"  # its root is as far as it goes
    for none in ("link", "sub", "none", "sub/b/c", "-x", ":(top)a", ""):
        assert sources.read(source, none) is None, none
    assert os.listdir(store.path("tmp")) == []


def test_trees(served: Served, sources: GitSources) -> None:
    os.symlink("/etc/passwd", served.repository.folder / "link")
    served.repository.commit({"a": "1", "sub/b": "2"})
    found = {
        entry.path: (entry.kind, entry.mtime, entry.link)
        for entry in sources.tree(GitSource(remote=served.url)).walk(b"")
    }
    assert found == {
        b"a": (Kind.FILE, MTIME, b""),
        b"link": (Kind.SYMLINK, MTIME, b"/etc/passwd"),
        b"sub": (Kind.DIR, MTIME, b""),
        b"sub/b": (Kind.FILE, MTIME, b""),
    }
    dated = sources.tree(GitSource(remote=served.url, mtime="commit"))
    assert {entry.mtime for entry in dated.walk(b"")} == {1700000000}
    assert sources.commit_time(GitSource(remote=served.url)) == 1700000000
    with pytest.raises(SourceFault, match="non-directory"):
        sources.tree(GitSource(remote=served.url, subdir="link"))


def test_a_repository_above_the_limit(served: Served, sources: GitSources, store: Store) -> None:
    (served.repository.folder / "large").write_bytes(random.Random(0).randbytes(2 * LIMIT))
    served.repository.commit({})
    with pytest.raises(SourceFault, match=r"failed to fetch remote .*app\.git"):
        sources.tree(GitSource(remote=served.url))
    assert sum(path.stat().st_size for path in Path(store.path("git")).rglob("*") if path.is_file()) < LIMIT


def test_canceled(served: Served, sources: GitSources) -> None:
    sources.cancel()
    with pytest.raises(Canceled):
        sources.identify(GitSource(remote=served.url))
    assert served.peer.seen == 0
