from __future__ import annotations

import pytest

from frontends.dockerfile.remote import file_name


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://h", "__unnamed__"),
        ("http://h/", "__unnamed__"),
        ("http://h/a", "a"),
        ("http://h/a/", "a"),
        ("http://h/a/b.tgz?x=/c#d", "b.tgz"),
        ("http://h/a%2Fb", "b"),
        ("http://h/a%20b", "a b"),
        ("http://h/..", "__unnamed__"),
        ("http://h/a%0Ab", "download"),
    ],
)
def test_file_name(url: str, name: str) -> None:
    assert file_name(url) == name
