from __future__ import annotations

import pytest

from frontends.dockerfile.paths import clean, destination, has_wildcard, join, workdir


@pytest.mark.parametrize(
    ("path", "cleaned"),
    [("", "/"), (".", "/"), ("a", "/a"), ("//a//b/", "/a/b"), ("../../a", "/a"), ("a/../../b", "/b"), ("/..", "/")],
)
def test_clean(path: str, cleaned: str) -> None:
    assert clean(path) == cleaned


@pytest.mark.parametrize(
    ("folder", "path", "joined"),
    [
        ("/w", "a", "/w/a"),
        ("/w", "/a", "/a"),
        ("/w", "a/", "/w/a/"),
        ("/w", ".", "/w/"),
        ("/w", "", "/w/"),
        ("/w", "./", "/w/"),
        ("/w", "..", "/"),
        ("/", ".", "/"),
        ("/", "/", "/"),
        ("/w", "/a/.", "/a/"),
        ("/w", "../../../x", "/x"),
    ],
)
def test_destination(folder: str, path: str, joined: str) -> None:
    assert destination(folder, path) == joined
    assert join(folder, path) == (joined.rstrip("/") or "/")


def test_wildcards() -> None:
    assert [has_wildcard(p) for p in ("a", "a*", "a?", "[a]", "\\*", "\\\\*", "a]")] == [
        False, True, True, True, False, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("folder", "path", "joined"),
    [
        ("/w", "a/../b", "/w/b"),
        ("/w", "/x/../y", "/x/../y"),
        ("/w", "/x/", "/x/"),
        ("/w/../v", "a/", "/v/a"),
        ("/", "//", "//"),
    ],
)
def test_workdir_keeps_an_absolute_path_as_written(folder: str, path: str, joined: str) -> None:
    assert workdir(folder, path) == joined
