from __future__ import annotations

import pytest

from builder.errors import SourceFault
from builder.graph.operation import Selection
from builder.layer.entry import Entry, Kind
from builder.snapshot.listedlayer import ListedLayer
from builder.snapshot.tree import MergedTree
from builder.solve.select import select

PATHS = ["a/", "a/b/", "a/b/c.txt", "a/b/d.go", "a/e.go", "x/", "x/c.txt", "x/y/", "x/y/z.go", "top.go", "link"]


@pytest.fixture
def tree() -> MergedTree:
    entries = []
    for path in PATHS:
        kind = Kind.DIR if path.endswith("/") else Kind.SYMLINK if path == "link" else Kind.FILE
        link = b"a/b" if kind is Kind.SYMLINK else b""
        entries.append(Entry(path=path.strip("/").encode(), kind=kind, mode=0o750, link=link))
    return MergedTree([ListedLayer(entries, lambda path: pytest.fail("no bytes are needed"))])


def names(tree: MergedTree, path: str, exclude: tuple[str, ...] = ()) -> list[str]:
    wildcard = any(c in path for c in "*?[")
    found = select(tree, Selection(input=0, path=path, wildcard=wildcard), exclude)
    return [one.below(entry.path).decode() for one in found for entry in one.members]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/./a/b/c.txt", ["a", "a/b", "a/b/c.txt"]),
        ("/./a/b", ["a", "a/b", "a/b/c.txt", "a/b/d.go"]),
        ("/./top.go", ["top.go"]),
        ("/a/./b/c.txt", ["b", "b/c.txt"]),
        ("/a/b/./c.txt", ["c.txt"]),
        ("/./**/*.go", ["a", "a/b", "a/b/d.go", "a/e.go", "top.go", "x", "x/y", "x/y/z.go"]),
        ("/./*/c.txt", ["x", "x/c.txt"]),
        ("/./a/*", ["a", "a/b", "a/b/c.txt", "a/b/d.go", "a/e.go"]),
        ("/./no*thing", []),
        ("/./a/no*thing", []),
        ("/./none/*.go", []),
        ("/*/./c.txt", ["c.txt"]),
        ("/link/./c.txt", ["c.txt"]),
        ("/./link", ["link"]),
        ("/./", ["a", "a/b", "a/b/c.txt", "a/b/d.go", "a/e.go", "link", "top.go", "x", "x/c.txt", "x/y", "x/y/z.go"]),
    ],
)
def test_what_is_selected(tree: MergedTree, path: str, expected: list[str]) -> None:
    if path == "/*/./c.txt":
        with pytest.raises(SourceFault):  # in a it is not
            names(tree, path)
        return
    assert names(tree, path) == expected


@pytest.mark.parametrize("path", ["/./gone", "/./a/gone/c", "/gone/./x", "/./top.go/x", "/./link/c.txt", "/top.go/./x"])
def test_a_plain_path_must_be_there(tree: MergedTree, path: str) -> None:
    with pytest.raises(SourceFault, match="not found"):
        names(tree, path)


def test_exclude(tree: MergedTree) -> None:
    assert names(tree, "/./**/*.go", ("a",)) == ["top.go", "x", "x/y", "x/y/z.go"]
    assert names(tree, "/./a", ("**/*.txt",)) == ["a", "a/b", "a/b/d.go", "a/e.go"]
