"""Where COPY and ADD put things, by tables over small trees in memory."""

from __future__ import annotations

import io
import tarfile

import pytest

from builder.errors import Fault, SourceFault
from builder.graph.operation import Copy, InlineFile, Selection
from builder.layer.entry import BytesContent, Entry, Kind
from builder.layer.tree import resolve
from builder.solve.copying import place
from builder.solve.select import select, selection_digest

MTIME = 315619200


class MemoryTree:
    """path -> Entry or bytes (a file 0644) or str (a link) or None (a folder 0755)."""

    def __init__(self, members):
        self.members = {b"": Entry(path=b"", kind=Kind.DIR, mode=0o755)}
        self.data = {}
        for path, what in members.items():
            path = path.encode()
            for n in range(path.count(b"/")):
                parent = b"/".join(path.split(b"/")[: n + 1])
                self.members.setdefault(parent, Entry(path=parent, kind=Kind.DIR, mode=0o755))
            if what is None:
                entry = Entry(path=path, kind=Kind.DIR, mode=0o755)
            elif isinstance(what, str):
                entry = Entry(path=path, kind=Kind.SYMLINK, mode=0o777, link=what.encode())
            elif isinstance(what, bytes):
                entry = Entry(path=path, kind=Kind.FILE, mode=0o644, size=len(what))
                self.data[path] = what
            else:
                entry = what
            self.members[path] = entry

    def lookup(self, path):
        return self.members.get(path)

    def names(self, path):
        prefix = path + b"/" if path else b""
        return sorted(
            p[len(prefix) :] for p in self.members if p and p.startswith(prefix) and b"/" not in p[len(prefix) :]
        )

    def walk(self, path):
        for name in self.names(path):
            below = path + b"/" + name if path else name
            yield self.members[below]
            yield from self.walk(below)

    def content(self, path):
        return BytesContent(self.data[path])


CONTEXT = {
    "a.txt": b"A",
    "b.txt": b"B",
    "dir/one": b"1",
    "dir/sub/two": b"22",
    "dir/link": "one",
    "to-dir": "dir",
    "to-file": "dir/one",
    "abs": "/dir/sub",
    "up": "../../../a.txt",
}
BASE = {
    "etc/passwd": b"root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n",
    "etc/group": b"root:x:0:\nstaff:x:50:\n",
    "existing": Entry(path=b"existing", kind=Kind.DIR, mode=0o700, uid=7, gid=8, mtime=99),
    "existing/sub": Entry(path=b"existing/sub", kind=Kind.DIR, mode=0o711, uid=7, gid=8, mtime=99),
    "existing/file": b"old",
    "linkdir": "existing",
    "linkfile": "existing/file",
    "out": "/../../etc",
}


def copy(words, dest, base=BASE, context=CONTEXT, unpack=False, warn=lambda text: None, **options):
    """The layer of a COPY as {path: (kind, mode, uid, gid, content or link)}."""
    tree = MemoryTree(context)
    sources = tuple(
        w
        if isinstance(w, InlineFile)
        else Selection(input=1, path="/" + w, wildcard=any(c in w for c in "*?["), unpack=unpack)
        for w in words
    )
    operation = Copy(sources=sources, dest=dest, **options)
    found = []
    for word in sources:
        if isinstance(word, InlineFile):
            found.append(word)
        else:
            found += [(tree, one) for one in select(tree, word, operation.exclude)]
    out = {}
    for entry, content in place(MemoryTree(base), operation, found, MTIME, warn=warn):
        assert entry.path.decode() not in out
        parent = entry.path.rpartition(b"/")[0].decode()
        assert not parent or parent in out, "a parent comes before its members"
        data = b"".join(content.chunks()) if content else entry.link
        out[entry.path.decode()] = (entry.kind.value, entry.mode, entry.uid, entry.gid, data)
    return out


def names(layer):
    return sorted(layer)


@pytest.mark.parametrize(
    ("words", "dest", "want"),
    [
        (["a.txt"], "/x", ["x"]),
        (["a.txt"], "/x/", ["x", "x/a.txt"]),
        (["a.txt"], "/new/deep/x", ["new", "new/deep", "new/deep/x"]),
        (["a.txt"], "/existing", ["existing", "existing/a.txt"]),
        (["a.txt", "b.txt"], "/d", ["d"]),
        (["dir/sub", "b.txt"], "/d", ["d", "d/b.txt", "d/two"]),
        (["dir"], "/d", ["d", "d/link", "d/one", "d/sub", "d/sub/two"]),
        (["dir/"], "/", ["link", "one", "sub", "sub/two"]),
        (["*.txt"], "/d/", ["d", "d/a.txt", "d/b.txt"]),
        (["miss*"], "/d/", []),
        (["[ab].txt"], "/d", ["d"]),
        (["d?r/o*"], "/d/", ["d", "d/one"]),
        (["to-dir"], "/d", ["d", "d/link", "d/one", "d/sub", "d/sub/two"]),
        (["to-file"], "/d/", ["d", "d/to-file"]),
        (["abs"], "/d", ["d", "d/two"]),
        (["up"], "/d/", ["d", "d/up"]),
        (["../../a.txt"], "/x", ["x"]),
        (["a.txt"], "/linkdir/", ["existing", "existing/a.txt"]),
        (["a.txt"], "/linkdir/new/x", ["existing", "existing/new", "existing/new/x"]),
        (["a.txt"], "/linkfile", ["existing", "existing/file"]),
        (["a.txt"], "/out/x", ["etc", "etc/x"]),
        (["dir/one", "a.txt", "dir/one"], "/d/", ["d", "d/a.txt", "d/one"]),
    ],
)
def test_where_things_land(words, dest, want):
    assert names(copy(words, dest)) == want


def test_of_several_files_for_a_new_name_the_last_is_it():
    for words in (["a.txt", "b.txt"], ["[ab].txt"], [InlineFile(name="x", data="x"), "b.txt"]):
        assert copy(words, "/d")["d"][4] == CONTEXT["b.txt"]
    with pytest.raises(SourceFault, match="cannot copy to non-directory: /d"):
        copy(["a.txt", "dir"], "/d")


def test_contents_and_owners():
    layer = copy(["dir"], "/d")
    assert layer["d"] == ("dir", 0o755, 0, 0, b"")
    assert layer["d/one"] == ("file", 0o644, 0, 0, b"1")
    assert layer["d/link"] == ("symlink", 0o777, 0, 0, b"one")


def test_existing_top_folder_keeps_its_metadata_nested_takes_the_sources():
    layer = copy(["dir"], "/existing")
    assert layer["existing"] == ("dir", 0o700, 7, 8, b"")
    assert layer["existing/sub"] == ("dir", 0o755, 0, 0, b"")


@pytest.mark.parametrize(
    ("chown", "want"),
    [
        ("5", (5, 5)), ("5:6", (5, 6)), ("app", (1000, 1001)), ("app:staff", (1000, 50)), ("app:", (1000, 0)),
        ("5:", (5, 0)), (":50", (0, 50)), ("root:root", (0, 0)), ("app:root", (1000, 0)),
    ],
)  # fmt: skip
def test_chown(chown, want):
    layer = copy(["a.txt"], "/new/x", chown=chown)
    assert layer["new/x"][2:4] == want
    assert layer["new"][2:4] == want


@pytest.mark.parametrize(
    ("chown", "want", "said"),
    [
        ("who", (0, 0), "unable to find user who: no matching entries in passwd file, 0 is taken"),
        ("7:app", (7, 7), "unable to find group app: no matching entries in group file, 7 is taken"),
        ("app:who", (1000, 1001), "unable to find group who: no matching entries in group file, 1001 is taken"),
    ],
)
def test_a_name_that_nobody_knows_is_0_and_told(chown, want, said):
    told = []
    assert copy(["a.txt"], "/new/x", chown=chown, warn=told.append)["new/x"][2:4] == want
    assert told == [f"--chown={chown}: {said}"]


def test_root_is_known_without_a_passwd_file():
    assert copy(["a.txt"], "/x", base={}, chown="root:root")["x"][2:4] == (0, 0)
    assert copy(["a.txt"], "/x", base={}, chown="root")["x"][2:4] == (0, 0)


def test_chmod_on_files_and_folders_not_links():
    layer = copy(["dir"], "/d", chmod="640")
    assert {p: oct(v[1]) for p, v in layer.items()} == {
        "d": "0o640", "d/one": "0o640", "d/sub": "0o640", "d/sub/two": "0o640", "d/link": "0o777",
    }  # fmt: skip


def test_link_ignores_the_base():
    layer = copy(["a.txt"], "/linkdir/x", link=True)
    assert names(layer) == ["linkdir", "linkdir/x"]
    assert layer["linkdir"][0] == "dir"


@pytest.mark.parametrize(
    ("words", "dest", "error"),
    [
        (["nope"], "/x", '"/nope": not found'),
        (["dir"], "/existing/file", "cannot copy to non-directory: /existing/file"),
        (["a.txt"], "/existing/file/", "cannot copy to non-directory"),
    ],
)
def test_faults(words, dest, error):
    with pytest.raises(Fault, match=error):
        copy(words, dest)


def test_file_onto_folder_and_folder_onto_file():
    with pytest.raises(Fault, match="cannot replace to directory /existing/sub with file"):
        copy(["sub"], "/existing/", context={"sub": b"x"})
    with pytest.raises(Fault, match="cannot copy to non-directory: /existing/file"):
        copy(["d"], "/existing", context={"d/file/x": b"x"})


def test_heredocs():
    layer = copy([InlineFile(name="E", data="hé\n")], "/x")
    assert layer == {"x": ("file", 0o644, 0, 0, "hé\n".encode())}
    assert names(copy([InlineFile(name="E", data=""), "a.txt"], "/d/")) == ["d", "d/E", "d/a.txt"]


def test_whiteout_names_are_refused():
    with pytest.raises(Fault, match=r"names with \.wh\. mark deleted files"):
        copy(["d"], "/x", context={"d/.wh.secret": b""})


def test_exclude():
    assert names(copy(["dir"], "/d", exclude=("sub",))) == ["d", "d/link", "d/one"]
    assert names(copy(["dir"], "/d", exclude=("**/two", "link"))) == ["d", "d/one", "d/sub"]
    assert names(copy(["*.txt", "dir"], "/d/", exclude=("*.txt", "one"))) == [
        "d",
        "d/a.txt",
        "d/b.txt",
        "d/link",
        "d/sub",
        "d/sub/two",
    ]
    assert names(copy(["dir"], "/d", exclude=("*", "!sub/two"))) == ["d", "d/sub", "d/sub/two"]


def _tar(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, value in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.uid, info.gid = kind, 0o750, 3, 4
            if kind == tarfile.REGTYPE:
                info.size = len(value)
                tar.addfile(info, io.BytesIO(value))
            else:
                info.linkname = value
                tar.addfile(info)
    return out.getvalue()


def test_archive_is_extracted_and_stays_inside():
    data = _tar([
        ("./d", tarfile.DIRTYPE, ""),
        ("./d/f", tarfile.REGTYPE, b"first"),
        ("d/f", tarfile.REGTYPE, b"second"),
        ("up", tarfile.SYMTYPE, "../../.."),
        ("up/etc/evil", tarfile.REGTYPE, b"E"),
        ("/abs", tarfile.REGTYPE, b"Y"),
        ("hard", tarfile.LNKTYPE, "d/f"),
    ])  # fmt: skip
    layer = copy(["t"], "/to", context={"t": data}, unpack=True)
    assert layer["to/d"] == ("dir", 0o750, 3, 4, b"")
    assert layer["to/d/f"] == ("file", 0o750, 3, 4, b"second")
    assert layer["to/up"][0] == "symlink"
    assert layer["etc/evil"][4] == b"E"  # beneath the image's root, where the link leads
    assert layer["to/abs"][4] == b"Y"
    assert layer["to/hard"] == ("hardlink", 0o750, 3, 4, b"to/d/f")
    assert names(copy(["t"], "/to", context={"t": data})) == ["to"]
    assert copy(["t"], "/to", context={"t": data}, unpack=True, chown="9")["to/d/f"][2:4] == (9, 9)


def test_the_root_of_an_archive_changes_no_folder():
    data = _tar([("./", tarfile.DIRTYPE, ""), ("./f", tarfile.REGTYPE, b"F")])
    assert copy(["t"], "/new/", context={"t": data}, unpack=True)["new"] == ("dir", 0o755, 0, 0, b"")
    assert copy(["t"], "/existing", context={"t": data}, unpack=True)["existing"] == ("dir", 0o700, 7, 8, b"")
    assert names(copy(["t"], "/", context={"t": data}, unpack=True)) == ["f"]


def test_members_that_come_twice_are_not_looked_for_among_all_others():
    """10,000 of each would be some 10^9 comparisons, half a minute: an archive of a few MB held a builder for days."""
    many = [(f"d{n}/f", tarfile.REGTYPE, b"") for n in range(10_000)]
    twice = [(f"d{n}", tarfile.REGTYPE, b"") for n in range(10_000)]
    layer = copy(
        ["t"], "/to", context={"t": _tar([*many, *many, *twice, ("d0", tarfile.DIRTYPE, ""), many[0]])}, unpack=True
    )
    assert len(layer) == 10_002
    assert (layer["to/d0"][0], layer["to/d0/f"][0], layer["to/d1"][0]) == ("dir", "file", "file")


@pytest.mark.parametrize("data", [b"", b"plain text", b"\x1f\x8b broken", b"\0" * 2048, b"BZh91AY"])
def test_what_is_no_archive_is_copied(data):
    assert copy(["t"], "/to", context={"t": data}, unpack=True)["to"][4] == data


def test_resolve_follows_inside_only():
    tree = MemoryTree({"a/b": "../c", "c/d": b"", "loop": "loop", "l1": "/l2", "l2": "a/../../../c"})
    assert resolve(tree, b"a/b/d") == b"c/d"
    assert resolve(tree, b"l1/d") == b"c/d"
    assert resolve(tree, b"../../x/../c") == b"c"
    assert resolve(tree, b"l1", follow_last=False) == b"l1"
    with pytest.raises(Fault, match="too many symbolic links"):
        resolve(tree, b"loop")


def digest_of(context, word="dir", **options):
    tree = MemoryTree(context)
    selection = Selection(input=0, path="/" + word, wildcard="*" in word)
    return selection_digest(select(tree, selection, ()), lambda e: tree.data[e.path].hex())


def test_selection_digest_sees_all_that_matters():
    same = digest_of({"dir/x": b"1", "dir/l": "x"})
    assert digest_of({"dir/x": b"1", "dir/l": "x", "other": b"2"}) == same
    assert digest_of({"moved/x": b"1", "moved/l": "x"}, word="moved") == same  # a folder's own name is not taken
    variants = [
        {"dir/x": b"2", "dir/l": "x"},
        {"dir/y": b"1", "dir/l": "x"},
        {"dir/x": b"1", "dir/l": "y"},
        {"dir/x": b"1", "dir/l": "x", "dir/z": None},
        {"dir/x": Entry(path=b"dir/x", kind=Kind.FIFO, mode=0o644), "dir/l": "x"},
        {"dir/x": b"1"},
    ]
    digests = [digest_of(v) for v in variants]
    assert len({same, *digests}) == len(variants) + 1
    for change in ({"mode": 0o600}, {"uid": 1}, {"gid": 1}, {"xattrs": ((b"user.a", b"b"),)}):
        entry = Entry(**({"path": b"dir/x", "kind": Kind.FIFO, "mode": 0o644} | change))
        assert digest_of({"dir/x": entry, "dir/l": "x"}) != digests[4]


def test_archive_that_climbs_out_is_refused_by_name():
    with pytest.raises(Fault, match=r"\.\./\.\./x.*leaves its folder"):
        copy(["t"], "/to", context={"t": _tar([("../../x", tarfile.REGTYPE, b"X")])}, unpack=True)
