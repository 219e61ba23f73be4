"""Cases: BuildKit's dfgitutil and gitutil say which texts are git references; the rest is ours."""

from __future__ import annotations

import pytest

from builder.graph.gitref import GitRef, parse_git_ref, redacted
from cache.errors import Fault

URL = "https://example.com/foo/bar.git"


@pytest.mark.parametrize(
    "text",
    [
        "https://example.com/",
        "https://example.com/foo",
        "https://example.com/foo.git/x",
        "https://example.com/foo?x=.git",
        "./bar.git",
        "../bar.git",
        "bar.git",
        "/foo.git",
        "ftp://example.com/foo.git",
        "file:///foo.git",
        "example.com:foo/bar.git",
        "my context",
        "",
    ],
)
def test_no_reference(text: str) -> None:
    assert parse_git_ref(text) is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (URL, GitRef(remote=URL)),
        ("http://example.com/bar.git", GitRef(remote="http://example.com/bar.git")),
        ("git://example.com/bar", GitRef(remote="git://example.com/bar")),
        ("ssh://git@example.com:22/bar", GitRef(remote="ssh://git@example.com:22/bar")),
        ("git@example.com:foo/bar", GitRef(remote="git@example.com:foo/bar")),
        ("git@example.com:bar.git#v1:s", GitRef(remote="git@example.com:bar.git", ref="v1", subdir="s")),
        ("git@example.com:bar.git?subdir=s", GitRef(remote="git@example.com:bar.git", subdir="s")),
        ("github.com/o/r", GitRef(remote="https://github.com/o/r", like_a_path=True)),
        (f"{URL}#baz/qux:quux/quuz", GitRef(remote=URL, ref="baz/qux", subdir="quux/quuz")),
        (f"{URL}#:sub", GitRef(remote=URL, subdir="sub")),
        (f"{URL}#main:../../etc", GitRef(remote=URL, ref="main", subdir="etc")),
        (f"{URL}?ref=v1#v1", GitRef(remote=URL, ref="v1")),
        (f"{URL}?tag=v1", GitRef(remote=URL, ref="refs/tags/v1")),
        (f"{URL}?tag=refs/tags/v1", GitRef(remote=URL, ref="refs/tags/v1")),
        (f"{URL}?branch=b&subdir=s", GitRef(remote=URL, ref="refs/heads/b", subdir="s")),
        (f"{URL}?checksum=abc", GitRef(remote=URL, checksum="abc")),
        (f"{URL}?commit=abc", GitRef(remote=URL, checksum="abc")),
        (f"{URL}?keep-git-dir", GitRef(remote=URL, keep_git_dir=True)),
        (f"{URL}?keep-git-dir=0&submodules=false", GitRef(remote=URL, keep_git_dir=False, submodules=False)),
        (f"{URL}?mtime=commit&fetch-by-commit=1", GitRef(remote=URL, mtime="commit", fetch_by_commit=True)),
    ],
)
def test_references(text: str, wanted: GitRef) -> None:
    assert parse_git_ref(text) == wanted


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?ref=a#b", 'ref conflicts: "b" vs "a"'),
        ("?subdir=a#x:b", 'subdir conflicts: "b" vs "a"'),
        ("?tag=a&branch=b", "branch conflicts with tag"),
        ("?tag=a#b", 'ref conflicts: "b" vs "refs/tags/a"'),
        ("?ref=", 'query "ref" has no value'),
        ("?ref=a&ref=b", 'query "ref" has multiple values'),
        ("?bad=1", 'unexpected query "bad"'),
        ("?submodules=maybe", 'invalid submodules value: "maybe"'),
        ("?mtime=now", 'invalid mtime value: "now"'),
    ],
)
def test_what_cannot_be_meant(query: str, words: str) -> None:
    with pytest.raises(Fault) as caught:
        parse_git_ref(URL + query)
    assert words in caught.value.message


def test_redacted() -> None:
    assert redacted("https://u:secret@h/x.git") == "https://u:xxxxx@h/x.git"
    assert redacted("https://h/x@y:z") == "https://h/x@y:z"
    assert redacted("git@h:x") == "git@h:x"
    assert redacted("ssh://git@h/x.git") == "ssh://git@h/x.git"
