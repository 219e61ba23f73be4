"""One suite over both forms; `inside` stands for a sandbox."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder.errors import LayerFault
from builder.layer.entry import BytesContent, Entry, Item, Kind
from builder.snapshot import overlay
from builder.snapshot.listedlayer import ListedLayer
from builder.snapshot.snapshots import Folder, Snapshots, open_snapshots
from builder.snapshot.tree import MergedTree
from cache.digest import Digest

Inside = Callable[[object, str], str]
_ME = {"uid": os.getuid(), "gid": os.getgid()}


def _stub(path: str) -> None:
    os.mkdir(os.path.join(path, "proc"))


def _diff(number: int) -> Digest:
    return Digest.of(b"%d" % number)


def _file(path: bytes, data: bytes) -> Item:
    return Entry(path=path, kind=Kind.FILE, mode=0o644, size=len(data), **_ME), BytesContent(data)


def _dir(path: bytes) -> Item:
    return Entry(path=path, kind=Kind.DIR, mode=0o755, **_ME), None


def _open(store: Path, form: str) -> Snapshots:
    return open_snapshots(str(store), _stub, pytest.fail, form)


@pytest.fixture(params=["overlay", "plain"])
def form(request: pytest.FixtureRequest) -> str:
    if request.param == "overlay" and os.geteuid() != 0:
        pytest.skip("mounting an overlay needs root")
    return str(request.param)


@pytest.fixture
def snapshots(form: str, store_folder: Path) -> Iterator[Snapshots]:
    made = _open(store_folder, form)
    yield made
    made.close()


def _base(snapshots: Snapshots) -> Folder:
    items = [_dir(b"d"), _file(b"d/old", b"old"), _file(b"d/other", b"o"), _file(b"f", b"f"), _dir(b"e")]
    return snapshots.unpack((_diff(0),), items, ())[0]


def _kinds(items: Iterator[Item]) -> list[tuple[Kind, bytes]]:
    return [(entry.kind, entry.path) for entry, _ in items]


def test_a_step_on_a_base(snapshots: Snapshots, inside: Inside) -> None:
    base = _base(snapshots)
    draft = snapshots.begin((base,))
    shown = inside(draft.root, "print(sorted(os.listdir('.')), os.stat('.').st_mode & 0o7777)")
    assert shown.split() == ["['d',", "'e',", "'f',", "'proc']", "493"]
    inside(draft.root, "open('d/new', 'w').write('n'); os.unlink('d/old'); os.rmdir('e'); os.chmod('f', 0o600)")
    folder = draft.commit()
    assert _kinds(draft.changes()) == [
        (Kind.WHITEOUT, b"e"),
        (Kind.DIR, b"d"),
        (Kind.WHITEOUT, b"d/old"),
        (Kind.FILE, b"d/new"),
        (Kind.FILE, b"f"),
    ]
    tree = MergedTree(snapshots.layers((base, folder)))
    assert tree.names(b"d") == [b"new", b"other"]
    assert b"".join(tree.content(b"d/new").chunks()) == b"n"


def test_a_step_that_changes_nothing(snapshots: Snapshots, inside: Inside) -> None:
    for parents in ((), (_base(snapshots),)):
        draft = snapshots.begin(parents)
        inside(draft.root, "open('f2', 'w').close(); os.unlink('f2'); os.stat('proc')")
        assert [kind for kind, path in _kinds(draft.changes()) if path] == []
        draft.discard()


def test_a_layer_that_comes_twice(snapshots: Snapshots, inside: Inside) -> None:
    """As after COPY f, RUN rm f, COPY f."""
    layer = [_dir(b"d"), _file(b"d/f", b"f")]
    removal = [_dir(b"d"), (Entry(path=b"d/f", kind=Kind.WHITEOUT), None), _file(b"d/g", b"g")]
    parents: tuple[Folder, ...] = ()
    chain: tuple[Digest, ...] = ()
    for number, items in ((1, layer), (2, removal), (1, layer)):
        chain = (*chain, _diff(number))
        folder = snapshots.find(chain) or snapshots.unpack(chain, items, parents)[0]
        parents = (*parents, folder)
    draft = snapshots.begin(parents)
    assert inside(draft.root, "print(sorted(os.listdir('d')), open('d/f').read())") == "['f', 'g'] f\n"
    assert _kinds(draft.changes()) == []
    draft.discard()


def test_the_root_itself(snapshots: Snapshots, inside: Inside) -> None:
    draft = snapshots.begin((_base(snapshots),))
    inside(draft.root, "os.chmod('.', 0o711)")
    folder = draft.commit()
    ((entry, _),) = draft.changes()
    assert (entry.path, entry.mode) == (b"", 0o711)
    later = snapshots.begin((_base(snapshots), folder))
    assert inside(later.root, "print(oct(os.stat('.').st_mode))").strip() == "0o40711"
    assert list(later.changes()) == []


def test_a_folder_deleted_and_made_again(snapshots: Snapshots, inside: Inside) -> None:
    base = _base(snapshots)
    draft = snapshots.begin((base,))
    inside(draft.root, "import shutil; shutil.rmtree('d'); os.mkdir('d'); open('d/fresh', 'w').close()")
    inside(draft.root, "os.mkdir('brandnew')")
    folder = draft.commit()
    assert MergedTree(snapshots.layers((base, folder))).names(b"d") == [b"fresh"]
    items = list(draft.changes())
    assert (Kind.OPAQUE, b"brandnew") not in _kinds(iter(items))
    again = snapshots.unpack((_diff(0), _diff(1)), items, (base,))[0]
    assert MergedTree(snapshots.layers((base, again))).names(b"d") == [b"fresh"]


def test_found_only_when_registered_and_whole(snapshots: Snapshots, form: str, store_folder: Path) -> None:
    chain = (_diff(0), _diff(5))
    base = _base(snapshots)
    assert snapshots.find(chain) is None
    draft = snapshots.begin((base,))
    folder = draft.commit()
    assert snapshots.find(chain) is None
    assert snapshots.register(chain, folder) == folder
    assert snapshots.find(chain) == folder
    other = _open(store_folder, form)
    assert other.find(chain) == folder
    late = other.begin((base,)).commit()
    assert other.register(chain, late) == folder
    other.close()


def test_unpacking_fails_and_leaves_nothing(snapshots: Snapshots, store_folder: Path) -> None:
    before = sorted(os.listdir(store_folder / "snapshots"))

    def items() -> Iterator[Item]:
        yield _file(b"a", b"1")
        raise LayerFault("bad digest")

    with pytest.raises(LayerFault, match="bad digest"):
        snapshots.unpack((_diff(9),), items(), ())
    assert snapshots.find((_diff(9),)) is None
    after = [n for n in os.listdir(store_folder / "snapshots") if not n.endswith(".lock") and n != "stub"]
    assert after == [n for n in before if not n.endswith(".lock")]


def test_discard_leaves_nothing(snapshots: Snapshots, store_folder: Path) -> None:
    snapshots.begin(()).discard()
    left = {name for name in os.listdir(store_folder / "snapshots") if not name.endswith(".lock")}
    assert left == {"stub"}


def test_what_a_dead_process_left_goes(form: str, store_folder: Path, inside: Inside) -> None:
    first = _open(store_folder, form)
    base = _base(first)
    draft = first.begin((base,))
    inside(draft.root, "open('x', 'w').close()")
    running = draft.upper  # type: ignore[attr-defined]
    other = _open(store_folder, form)
    assert other.find((_diff(0),)) == base
    assert os.path.isdir(running)  # the first is alive
    first.close()
    other.close()
    third = _open(store_folder, form)
    assert third.find((_diff(0),)) == base
    assert os.path.isdir(base.path)
    assert not os.path.exists(running)
    third.close()


def test_the_stub_is_in_no_layer(snapshots: Snapshots, inside: Inside) -> None:
    draft = snapshots.begin(())
    inside(draft.root, "os.mkdir('d')")
    assert _kinds(draft.changes())[-1] == (Kind.DIR, b"d")
    assert b"proc" not in [path for _, path in _kinds(draft.changes())]


def test_hundreds_of_layers(store_folder: Path, inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting an overlay needs root")
    snapshots = _open(store_folder, "overlay")
    parents: list[Folder] = []
    chain: list[Digest] = []

    def add(count: int) -> None:
        for number in range(len(chain), len(chain) + count):
            chain.append(_diff(number))
            gone = [(Entry(path=b"f%d" % (number - 2), kind=Kind.WHITEOUT), None)] if number % 3 == 2 else []
            items = [*gone, _file(b"f%d" % number, b"%d" % number)]
            parents.append(snapshots.unpack(tuple(chain), items, tuple(parents[-1:]))[0])

    def check() -> None:
        draft = snapshots.begin(tuple(parents))
        want = {f"f{n}" for n in range(len(chain)) if not (n % 3 == 0 and n + 2 < len(chain))} | {"proc"}
        assert set(inside(draft.root, "print(*os.listdir('.'))").split()) == want
        assert inside(draft.root, "print(open('f1').read())").strip() == "1"
        draft.discard()

    add(200)
    check()
    monkeypatch.setattr(overlay, "MAX_LOWERS", 50)
    monkeypatch.setattr(overlay, "STRIDE", 20)
    check()
    before = len(os.listdir(store_folder / "snapshots"))
    check()
    assert len(os.listdir(store_folder / "snapshots")) == before  # the flattened folder is used again
    snapshots.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting an overlay needs root")
def test_the_longest_chain_that_is_not_flattened_can_be_mounted(store_folder: Path, inside: Inside) -> None:
    snapshots = _open(store_folder, "overlay")
    chain: tuple[Digest, ...] = ()
    parents: tuple[Folder, ...] = ()
    for number in range(overlay.MAX_LOWERS):
        chain = (_diff(number),)
        parents += (snapshots.unpack(chain, [_file(b"f%d" % number, b"")], ())[0],)
    draft = snapshots.begin(parents)
    assert len(draft.root.lowers) == overlay.MAX_LOWERS + 1  # type: ignore[union-attr]
    assert inside(draft.root, "print(len(os.listdir('.')))").strip() == str(overlay.MAX_LOWERS + 1)
    snapshots.close()


def test_folders_among_other_layers(snapshots: Snapshots, inside: Inside) -> None:
    """What a step deleted stays deleted when each folder is looked at as one layer of a stack."""
    base = _base(snapshots)
    draft = snapshots.begin((base,))
    inside(draft.root, "os.unlink('f'); open('d/new', 'w').close()")
    step = draft.commit()
    top = ListedLayer([_dir(b"top")[0]], lambda path: BytesContent(b""))
    layers = [snapshots.layers((folder,))[0] for folder in (step, base)]
    tree = MergedTree([top, *layers])
    assert [entry.path for entry in tree.walk(b"")] == [b"d", b"d/new", b"d/old", b"d/other", b"e", b"top"]


def test_a_stub_that_a_step_fills_is_seen(snapshots: Snapshots, inside: Inside) -> None:
    draft = snapshots.begin(())
    inside(draft.root, "open('proc/x', 'w').close()")
    folder = draft.commit()
    assert [path for kind, path in _kinds(draft.changes()) if path] == [b"proc", b"proc/x"]
    assert [entry.path for entry in MergedTree(snapshots.layers((folder,))).walk(b"")] == [b"proc", b"proc/x"]


def test_hard_links_devices_and_attributes(snapshots: Snapshots, inside: Inside) -> None:
    draft = snapshots.begin((_base(snapshots),))
    inside(draft.root, "os.link('f', 'g'); os.mkfifo('p'); os.setxattr('f', b'user.x', b'1'); os.symlink('f', 's')")
    draft.commit()
    found = {e.path: e for e, _ in draft.changes()}
    assert (found[b"g"].kind, found[b"g"].link) == (Kind.HARDLINK, b"f")
    assert found[b"f"].xattrs == ((b"user.x", b"1"),)
    assert (found[b"p"].kind, found[b"s"].link) == (Kind.FIFO, b"f")
    mode = stat.S_IMODE(os.stat(draft.upper).st_mode)  # type: ignore[attr-defined]
    assert mode == 0o755


def test_a_layer_that_comes_twice_with_others_between(snapshots: Snapshots, inside: Inside) -> None:
    """Two equal COPYs in one stage, with and without something between them."""
    twice = [_file(b"a", b"a"), _file(b"f", b"again"), (Entry(path=b"e", kind=Kind.WHITEOUT), None)]
    between = [(Entry(path=b"a", kind=Kind.WHITEOUT), None), _dir(b"e"), _file(b"e/x", b"x"), _file(b"f", b"other")]
    for layers in (("t", "t"), ("t", "b", "t"), ("t", "b", "t", "t")):
        parents, chain = (_base(snapshots),), (_diff(0),)
        for name in layers:
            chain = (*chain, _diff(1 if name == "t" else 2))
            folder = snapshots.find(chain)
            if folder is None:
                folder = snapshots.unpack(chain, twice if name == "t" else between, parents)[0]
            parents = (*parents, folder)
        draft = snapshots.begin(parents)
        shown = inside(draft.root, "print(os.path.exists('e'), open('a').read(), open('f').read())")
        assert shown.split() == ["False", "a", "again"]
        inside(draft.root, "open('new', 'w').close()")
        assert (Kind.FILE, b"new") in _kinds(draft.changes())
        draft.discard()


@pytest.mark.parametrize("made", [False, True])
def test_a_layer_on_other_roots(store_folder: Path, inside: Inside, made: bool) -> None:
    """One that says nothing of the root shows that of whatever it lies on, be it unpacked or made by a step."""
    if os.geteuid() != 0:
        pytest.skip("mounting an overlay needs root")
    snapshots = _open(store_folder, "overlay")
    base = _base(snapshots)
    roots: dict[int, tuple[Folder, ...]] = {0o755: (base,)}
    for mode in (0o711, 0o700):
        draft = snapshots.begin((base,))
        inside(draft.root, f"os.chmod('.', {mode})")
        roots[mode] = (base, snapshots.register((_diff(0), _diff(mode)), draft.commit()))
    chain = (_diff(0), _diff(0o711), _diff(1))
    if made:
        draft = snapshots.begin(roots[0o711])
        inside(draft.root, "open('new', 'w').close()")
        layer = snapshots.register(chain, draft.commit())
    else:
        layer = snapshots.unpack(chain, [_file(b"new", b"x")], roots[0o711])[0]
    for mode, parents in roots.items():
        draft = snapshots.begin((*parents, layer))
        assert inside(draft.root, "print(os.stat('.').st_mode & 0o7777, os.path.exists('new'))").split() == [
            str(mode),
            "True",
        ]
        assert _kinds(draft.changes()) == []
        draft.discard()
    snapshots.close()


def test_a_layer_whose_folders_are_those_below(snapshots: Snapshots, form: str) -> None:
    """One that has a file and not its folder: the folder is that of each chain, whichever was unpacked first."""
    seen = {}
    for mode in (0o700, 0o711, 0o755):
        folder = Entry(path=b"d", kind=Kind.DIR, mode=mode, mtime=mode, **_ME)
        chain = (_diff(mode), _diff(1))
        base = snapshots.unpack(chain[:1], [(folder, None), _file(b"d/old", b"o")], ())[0]
        assert snapshots.find(chain) is None
        top = snapshots.unpack(chain, [_file(b"d/new", b"n")], (base,))[0]
        assert snapshots.find(chain) == top
        stack = (base, top) if form == "overlay" else (top,)
        entry = MergedTree(snapshots.layers(stack)).lookup(b"d")
        assert entry is not None
        seen[mode] = entry.mode, entry.mtime
    assert seen == {mode: (mode, mode) for mode in seen}


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting an overlay needs root")
def test_a_layer_that_has_all_its_folders_is_shared(store_folder: Path) -> None:
    snapshots = _open(store_folder, "overlay")
    first = snapshots.unpack((_diff(0),), [_dir(b"d"), _file(b"d/f", b"x")], ())[0]
    assert snapshots.find((_diff(7), _diff(0))) == first
    snapshots.close()
