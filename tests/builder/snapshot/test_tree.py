"""MergedTree against what the kernel's overlay shows of the same layers, and folders against lists."""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from builder.errors import LayerFault
from builder.layer.changes import upper_changes
from builder.layer.entry import BytesContent, Content, Entry, Item, Kind
from builder.layer.tree import resolve
from builder.layer.unpack import apply
from builder.sandbox.spec import OverlayRoot
from builder.snapshot.folderlayer import FolderLayer
from builder.snapshot.listedlayer import ListedLayer
from builder.snapshot.tree import LayerView, MergedTree

_LOOK = """
import json, stat, sys
found = {}
for folder, dirs, files in os.walk("."):
    for name in dirs + files:
        path = os.path.join(folder, name)[2:]
        try:
            s = os.lstat(path)
        except FileNotFoundError:
            continue  # overlayfs lists a whiteout in a folder of one layer only, though it says that nothing is there
        data = open(path).read() if stat.S_ISREG(s.st_mode) else os.readlink(path) if stat.S_ISLNK(s.st_mode) else ""
        found[path] = [stat.S_IFMT(s.st_mode), s.st_mode & 0o7777, data]
print(json.dumps(found))
"""
_FORMATS = {Kind.FILE: 0o100000, Kind.DIR: 0o040000, Kind.SYMLINK: 0o120000}
_NAMES = [b"a", b"b", b"c"]


def _random_layer(rng: random.Random) -> list[Item]:
    """Members in stream order; every mark and type may meet every other."""
    items: list[Item] = []

    def fill(prefix: bytes, depth: int) -> None:
        for name in _NAMES:
            path = prefix + name
            what = rng.choice(["none", "none", "file", "dir", "dir", "link", "gone", "opaque", "again"])
            if what == "gone":
                items.append((Entry(path=path, kind=Kind.WHITEOUT), None))
            elif what == "file":
                data = b"%d" % rng.randrange(10**6)
                entry = Entry(path=path, kind=Kind.FILE, mode=rng.choice([0o644, 0o755]), size=len(data))
                items.append((entry, BytesContent(data)))
            elif what == "link":
                items.append((Entry(path=path, kind=Kind.SYMLINK, mode=0o777, link=rng.choice(_NAMES)), None))
            elif what != "none":
                if what == "again":
                    items.append((Entry(path=path, kind=Kind.WHITEOUT), None))
                items.append((Entry(path=path, kind=Kind.DIR, mode=rng.choice([0o755, 0o700])), None))
                if what == "opaque":
                    items.append((Entry(path=path, kind=Kind.OPAQUE), None))
                if depth < 2:
                    fill(path + b"/", depth + 1)

    fill(b"", 0)
    return items


def _folder(path: Path, items: list[Item], userxattr: bool = True, below: MergedTree | None = None) -> FolderLayer:
    path.mkdir()
    fd = os.open(path, os.O_RDONLY)
    root = Entry(path=b"", kind=Kind.DIR, mode=0o755)
    try:
        apply([(root, None), *items], fd, userxattr=userxattr, below=below.lookup if below else None)
    finally:
        os.close(fd)
    return FolderLayer(str(path), userxattr)


def _listed(items: list[Item]) -> ListedLayer:
    contents = {entry.path: content for entry, content in items if content is not None}
    return ListedLayer([entry for entry, _ in items], lambda path: contents[path])


def _seen(tree: MergedTree) -> dict[str, list[object]]:
    found: dict[str, list[object]] = {}
    for entry in tree.walk(b""):
        data = entry.link.decode()
        if entry.kind is Kind.FILE:
            data = b"".join(tree.content(entry.path).chunks()).decode()
        found[entry.path.decode()] = [_FORMATS[entry.kind], entry.mode, data]
        assert tree.lookup(entry.path) == entry
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting an overlay needs root")
@pytest.mark.parametrize("seed", range(12))
def test_as_the_kernel_shows_it(seed: int, tmp_path: Path, inside: Callable[[OverlayRoot, str], str]) -> None:
    rng = random.Random(seed)
    made = [_random_layer(rng) for _ in range(3)]
    layers = [_folder(tmp_path / str(number), items, False) for number, items in enumerate(made)]
    want = json.loads(inside(OverlayRoot(str(tmp_path), ("0", "1", "2"), "", ""), _LOOK))
    assert _seen(MergedTree(layers)) == want
    mixed: list[LayerView] = [_listed(made[0]), layers[1], _listed(made[2])]
    assert _seen(MergedTree(mixed)) == want


@given(st.integers(0, 10**9), st.integers(1, 5))
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
def test_lists_and_folders_are_seen_alike(seed: int, count: int) -> None:
    rng = random.Random(seed)
    made = [_random_layer(rng) for _ in range(count)]
    place = Path(tempfile.mkdtemp())
    try:
        folders = MergedTree([_folder(place / str(n), items) for n, items in enumerate(made)])
        lists = MergedTree([_listed(items) for items in made])
        assert _seen(folders) == _seen(lists)
        for path in (b"", b"a", b"a/b", b"c/a", b"absent/x"):
            assert folders.names(path) == lists.names(path)
    finally:
        shutil.rmtree(place)


@given(st.integers(0, 10**9), st.integers(1, 4))
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
def test_folders_that_are_no_members_are_seen_alike(seed: int, count: int) -> None:
    """They are as below in each chain, dates as well, wherever in the layer what hides them stands."""
    rng = random.Random(seed)
    made = [
        [item for item in _random_layer(rng) if item[0].kind is not Kind.DIR or rng.random() < 0.5]
        for _ in range(count)
    ]
    for items in made:
        items[:] = [(replace(e, mtime=rng.randrange(9)) if e.kind is Kind.DIR else e, content) for e, content in items]
        marks = [item for item in items if item[0].kind in (Kind.WHITEOUT, Kind.OPAQUE)]
        if rng.random() < 0.5:
            items[:] = [item for item in items if item not in marks] + marks
    place = Path(tempfile.mkdtemp())
    try:
        folders: list[LayerView] = []
        for n, items in enumerate(reversed(made)):
            folders.insert(0, _folder(place / str(n), items, below=MergedTree(folders)))
        lists = MergedTree([_listed(items) for items in made])
        assert list(map(_looks, MergedTree(folders).walk(b""))) == list(map(_looks, lists.walk(b"")))
    finally:
        shutil.rmtree(place)


def _looks(entry: Entry) -> tuple[object, ...]:
    return entry.path, entry.kind, entry.mode, entry.mtime, entry.link


def _members(rng: random.Random) -> list[Item]:
    """What no honest archive holds: names that come again as something else, members beneath links and files."""
    items: list[Item] = []
    for number in range(rng.randrange(2, 9)):
        path = b"/".join(rng.choices([b"a", b"b"], k=rng.choice([1, 1, 2, 3])))
        kind = rng.choice([Kind.FILE, Kind.DIR, Kind.SYMLINK, Kind.HARDLINK, Kind.HARDLINK])
        data = b"%d" % number
        if kind is Kind.FILE:
            items.append((Entry(path=path, kind=kind, mode=0o644, size=len(data)), BytesContent(data)))
        elif kind is Kind.DIR:
            items.append((Entry(path=path, kind=kind, mode=0o755), None))
        else:
            link = data if kind is Kind.SYMLINK else rng.choice(items)[0].path if items else b"x"
            items.append((Entry(path=path, kind=kind, mode=0o777, link=link), None))
    return items


@given(st.integers(0, 10**9))
@settings(max_examples=300)
def test_archives_that_contradict_themselves_are_seen_alike(seed: int) -> None:
    """Unpacked or not: the same tree, or refused in both."""
    items = _members(random.Random(seed))
    place = Path(tempfile.mkdtemp())
    try:
        try:
            folder = _names_and_bytes(MergedTree([_folder(place / "layer", items)]))
        except LayerFault:
            with pytest.raises(LayerFault):
                _listed_in_order(items)
            return
        assert _names_and_bytes(MergedTree([_listed_in_order(items)])) == folder
    finally:
        shutil.rmtree(place)


def _listed_in_order(items: list[Item]) -> ListedLayer:
    """With the bytes that each name has in the end, as an unpacked layer gives them."""
    contents: dict[bytes, Content] = {}
    for entry, content in items:
        if entry.kind is Kind.HARDLINK and entry.link in contents:
            contents[entry.path] = contents[entry.link]
        elif content is not None:
            contents[entry.path] = content
    return ListedLayer([entry for entry, _ in items], lambda path: contents[path])


def _names_and_bytes(tree: MergedTree) -> dict[bytes, tuple[str, bytes]]:
    found = {}
    for entry in tree.walk(b""):
        whole = tree.lookup(entry.path)
        assert whole is not None
        data = b"".join(tree.content(entry.path).chunks()) if whole.kind is Kind.FILE else whole.link
        found[entry.path] = (whole.kind.value, data)
    return found


def test_hard_links_within_a_layer(tmp_path: Path) -> None:
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "b").write_text("data")
    os.link(tmp_path / "up" / "b", tmp_path / "up" / "a")
    (tmp_path / "up" / "c").write_text("other")
    entries = [entry for entry, _ in upper_changes(str(tmp_path / "up"), True)]
    listed = ListedLayer(entries, lambda path: BytesContent({b"a": b"data", b"c": b"other"}[path]))
    for layer in (FolderLayer(str(tmp_path / "up"), True), listed):
        tree = MergedTree([layer])
        found = {entry.path: (entry.kind, entry.link, entry.size) for entry in tree.walk(b"")}
        assert found == {
            b"a": (Kind.FILE, b"", 4), b"b": (Kind.HARDLINK, b"a", 4), b"c": (Kind.FILE, b"", 5),
        }  # fmt: skip
        second = tree.lookup(b"b")
        assert second is not None and (second.kind, second.size) == (Kind.FILE, 4)
        assert b"".join(tree.content(b"b").chunks()) == b"data"


def test_links_are_resolved_through_all_layers(tmp_path: Path) -> None:
    top = _listed([(Entry(path=b"lib", kind=Kind.SYMLINK, link=b"/usr/lib"), None)])
    low = _listed([(Entry(path=b"usr", kind=Kind.DIR), None), (Entry(path=b"usr/lib", kind=Kind.DIR), None),
                   (Entry(path=b"usr/lib/x", kind=Kind.SYMLINK, link=b"../../../lib/y"), None)])  # fmt: skip
    tree = MergedTree([top, low])
    assert resolve(tree, b"lib/x") == b"usr/lib/y"
    assert resolve(tree, b"lib/x", follow_last=False) == b"usr/lib/x"


def test_folders_that_a_list_only_implies(tmp_path: Path) -> None:
    data = BytesContent(b"x")
    top = _listed([(Entry(path=b"a/b/f", kind=Kind.FILE, size=1), data)])
    low = _listed([(Entry(path=b"a", kind=Kind.DIR, mode=0o711), None), (Entry(path=b"a/b", kind=Kind.FILE), None)])
    tree = MergedTree([top, low])
    outer, inner = tree.lookup(b"a"), tree.lookup(b"a/b")
    assert outer is not None and outer.mode == 0o711
    assert inner is not None and (inner.kind, inner.mode) == (Kind.DIR, 0o755)
    assert tree.names(b"a/b") == [b"f"]


def test_no_layers_and_no_such_file() -> None:
    def never(path: bytes) -> Content:
        raise AssertionError(path)

    assert MergedTree([]).lookup(b"") is None
    assert MergedTree([]).names(b"") == []
    tree = MergedTree([ListedLayer([Entry(path=b"d", kind=Kind.DIR)], never)])
    root = tree.lookup(b"")
    assert root is not None and root.kind is Kind.DIR
    for path in (b"d", b"absent", b"d/absent"):
        with pytest.raises(LayerFault, match="no file"):
            tree.content(path)


def test_very_deep_trees(tmp_path: Path) -> None:
    path = b"/".join([b"d" * 200] * 30)
    item = (Entry(path=path + b"/f", kind=Kind.FILE, mode=0o600, size=3), BytesContent(b"abc"))
    tree = MergedTree([_folder(tmp_path / "l", [item])])
    assert [entry.path for entry in tree.walk(b"")][-1] == path + b"/f"
    assert b"".join(tree.content(path + b"/f").chunks()) == b"abc"


def test_hard_links_of_a_list_to_nowhere() -> None:
    with pytest.raises(LayerFault, match="not in its layer"):
        _listed([(Entry(path=b"h", kind=Kind.HARDLINK, link=b"absent"), None)])
