"""Two makings of one image: every difference is named, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from builder.images.difference import Difference, Making, differences
from builder.images.image import Image, assemble
from builder.images.index import AnyImage, join
from builder.layer.codec import codec
from builder.layer.entry import BytesContent, Entry, Item, Kind
from builder.layer.limits import Limits
from builder.layer.pack import pack
from builder.oci.config import History, ImageConfig, RuntimeConfig
from builder.oci.platform import Platform, host
from cache.store import Store

FILE = Entry(path=b"d/f", kind=Kind.FILE, mode=0o644, mtime=7, size=4)
FOLDER = Entry(path=b"d", kind=Kind.DIR, mode=0o755, mtime=7)
CONFIG = ImageConfig(
    platform=host(),
    runtime=RuntimeConfig(env=("A=1",), labels=(("k", "v"),)),
    created="2001-02-03T04:05:06Z",
    history=(History(created_by="RUN make"), History(created_by="ENV A=1", empty_layer=True)),
)


def image(store: Store, items: Sequence[Item], config: ImageConfig = CONFIG, form: str = "gzip") -> Image:
    with store.blobs.writer() as sink:
        layer = pack(items, codec(form), sink)
    made = assemble(config, (layer,))
    store.blobs.put(made.config_raw)
    store.blobs.put(made.manifest_raw)
    return made


def found(store: Store, first: AnyImage, second: AnyImage) -> list[Difference]:
    return list(differences(Making(first, store.blobs), Making(second, store.blobs), Limits()))


def items(entry: Entry = FILE, data: bytes = b"data") -> list[Item]:
    return [(FOLDER, None), (entry, BytesContent(data) if entry.kind is Kind.FILE else None)]


def marked(mark: Entry) -> list[Item]:
    return [(FOLDER, None), (mark, None), *items()[1:]]


@pytest.mark.parametrize(
    ("second", "what", "values"),
    [
        (items(replace(FILE, mode=0o4755)), "/d/f: mode", ("0644", "4755")),
        (items(replace(FILE, uid=3)), "/d/f: uid", ("0", "3")),
        (items(replace(FILE, gid=3)), "/d/f: gid", ("0", "3")),
        (items(replace(FILE, mtime=90)), "/d/f: mtime", ("1970-01-01T00:00:07Z", "1970-01-01T00:01:30Z")),
        (items(replace(FILE, xattrs=((b"user.x", b"\x01"),))), "/d/f: xattrs", ("none", "user.x=01")),
        (items(data=b"dato"), "/d/f: content", ("from byte 3 on", "")),
        (items(replace(FILE, path=b"d/g")), "/d/g", ("absent", "there")),
        ([(FOLDER, None)], "/d/f", ("there", "absent")),
        ([*items(), (replace(FILE, path=b"e", size=0), BytesContent(b""))], "/e", ("absent", "there")),
        (marked(Entry(path=b"d/a", kind=Kind.WHITEOUT)), "deletion of /d/a", ("absent", "there")),
        (marked(Entry(path=b"d", kind=Kind.OPAQUE)), "deletion of all in /d", ("absent", "there")),
    ],
)  # fmt: skip
def test_members(store: Store, second: list[Item], what: str, values: tuple[str, str]) -> None:
    wanted = Difference("layer 1 (RUN make)", what, *values)
    differing = found(store, image(store, items()), image(store, second))
    assert wanted in differing
    if what == "/d/g":
        differing.remove(Difference("layer 1 (RUN make)", "/d/f", "there", "absent"))
    assert differing == [wanted]


def test_longer_contents_and_other_kinds(store: Store) -> None:
    one, two = (BytesContent(b"x" * size) for size in (3_000_000, 3_000_001))
    first = image(store, [(replace(FILE, size=3_000_000), one)])
    second = image(store, [(replace(FILE, size=3_000_001), two)])
    assert [(d.what, d.first) for d in found(store, first, second)] == [
        ("/d/f: size", "3000000"),
        ("/d/f: content", "from byte 3000000 on"),
    ]
    link = Entry(path=b"d/f", kind=Kind.SYMLINK, mode=0o777, mtime=7, link=b"\xffx")
    kinds = found(store, image(store, items()), image(store, items(link)))
    assert {(d.what, d.first, d.second) for d in kinds} >= {
        ("/d/f: kind", "file", "symlink"),
        ("/d/f: link", "", "\\xffx"),
    }


def test_config_history_and_form(store: Store) -> None:
    other = replace(
        CONFIG,
        runtime=RuntimeConfig(env=("A=2", "B=1"), labels=(("k", "v"),)),
        created="2001-02-03T04:05:07Z",
        history=(History(created_by="RUN make"), History(created_by="ENV A=2", empty_layer=True)),
    )
    differing = found(store, image(store, items()), image(store, items(), other))
    assert [(d.where, d.what, d.first, d.second) for d in differing] == [
        ("config", "config.Env[0]", '"A=1"', '"A=2"'),
        ("config", "config.Env[1]", "absent", '"B=1"'),
        ("config", "created", '"2001-02-03T04:05:06Z"', '"2001-02-03T04:05:07Z"'),
        ("config", "history[1].created_by", '"ENV A=1"', '"ENV A=2"'),
    ]
    forms = found(store, image(store, items()), image(store, items(), form="zstd"))
    assert [d.what for d in forms] == ["layers[0].mediaType", "compressed form"]


def test_order_and_number_of_layers(store: Store) -> None:
    both = items()
    more = [*both, (replace(FILE, path=b"z", size=0), BytesContent(b""))]
    turned = [more[2], *both]
    assert [d.what for d in found(store, image(store, more), image(store, turned))] != []
    first = image(store, both)
    two = assemble(CONFIG, (*first.layers, *image(store, more).layers))
    assert "number of layers" in [d.what for d in found(store, first, two)]


def test_an_index_is_compared_platform_by_platform(store: Store) -> None:
    arm, amd = Platform("arm64", "linux"), Platform("amd64", "linux")
    same, other = image(store, items()), image(store, items(replace(FILE, mode=0o600)))
    first, second = (join(((arm, same), (amd, one))) for one in (same, other))
    assert found(store, first, first) == []
    assert [(d.what, d.first, d.second) for d in found(store, first, second)] == [("/d/f: mode", "0644", "0600")]


def test_equal_images_have_none(store: Store) -> None:
    assert found(store, image(store, items()), image(store, items())) == []
