from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from builder.images.naming import BASE_MEMO, BASE_NAME
from builder.images.store import ImageStore
from builder.oci.chain import EMPTY
from builder.oci.reference import Reference
from builder.snapshot.registry import Registry
from builder.solve import result
from builder.solve.cachemounts import About, CacheMounts
from builder.source import gitrepository
from builder.upkeep.doctor import Doctor
from builder.upkeep.filters import parse_filter
from builder.upkeep.inventory import Inventory
from builder.upkeep.policy import Policy
from builder.upkeep.prune import Pruner, oldest_first
from builder.upkeep.usage import Usage
from cache import record
from cache.digest import Digest
from cache.store import Store

NOW = 10_000.0


@pytest.fixture
def prune(store, images, registry):
    def call(**policy):
        gone = []
        reclaimed = Pruner(store, images, registry, NOW).prune(Policy(**policy), gone.append)
        assert reclaimed == sum(usage.size for usage in gone)
        return {usage.description for usage in gone}

    return call


def tree(registry, key, size=50_000):
    id = registry.new_id()
    Path(registry.folder, id).mkdir()
    Path(registry.folder, id, "file").write_bytes(bytes(size))
    registry.register(key, id)
    return id


def blobs_of(image):
    return {image.descriptor.digest, image.id, *(layer.blob.digest for layer in image.layers)}


def test_plain_prune_takes_all_that_is_private(store, images, prune, step, make_image):
    named, untagged = make_image(), make_image({"u": b""}, cmd="u")
    images.tag(Reference.parse("app"), named.descriptor, "")
    images.keep(untagged.descriptor, "")
    step("a")
    store.index.put_result(Digest.of(b"shared"), str(named.layers[0].blob.digest).encode(), 5.0, "shared step")
    store.index.put_memo("parse", Digest.of(b"p"), b"x")
    assert "a" in prune()
    assert set(store.blobs.digests()) == blobs_of(named)
    assert [image.names for image in images.list()] == [("app:latest",)]
    assert [filed.what for filed in store.index.filed()] == ["shared step"]
    assert store.index.memo("parse", Digest.of(b"p")) == b"x"


def test_with_all_shared_results_and_memos_go_too(store, images, prune, make_image):
    named = make_image()
    images.tag(Reference.parse("app"), named.descriptor, "")
    store.index.put_result(Digest.of(b"shared"), str(named.layers[0].blob.digest).encode(), 5.0, "shared step")
    store.index.put_memo("parse", Digest.of(b"p"), b"x")
    assert "shared step" in prune(everything=True)
    assert store.index.results() == []
    assert store.index.memo("parse", Digest.of(b"p")) is None
    assert images.load(images.list()[0].descriptor).id == named.id
    assert set(store.blobs.digests()) == blobs_of(named)


def test_what_another_command_uses_stays_with_its_row(store, prune, step):
    used, _ = step("used"), step("free")
    other = Store(store.root)
    with other.using():
        assert other.blobs.has(used)
        assert "used" not in prune(everything=True)
        assert [filed.what for filed in store.index.filed()] == ["used"]
        assert store.blobs.digests() == [used]
    assert "used" in prune()
    assert store.index.results() == []


def test_the_least_recently_used_goes_first(store, prune, step):
    for number in range(5):
        step(f"step {number}", used=float(100 - number))
    room = sum(usage.size for usage in all_of(store)) - 150_000
    assert prune(most=room) == {"step 4", "step 3"}
    assert prune(most=room) == set()
    assert prune(reserved=10**12, most=1) == set()
    assert prune(most=1, keep=NOW - 99.5) == {"step 2", "step 1"}


def all_of(store):
    images, registry = ImageStore(store.root, store.blobs), Registry(store.root, lambda text: None)
    try:
        return Inventory(store, images, registry).all()
    finally:
        registry.close()


def test_of_one_build_the_last_step_goes_first(store, prune, step):
    below = Digest.of(b"plain" + b"first")
    step("first", used=5.0, on=(EMPTY,))
    step("second", used=5.0, on=(below,))
    usages = {usage.description: usage for usage in all_of(store)}
    assert usages["second"].parents == (usages["first"].id,)
    assert [u.description for u in oldest_first([usages["first"], usages["second"]])] == ["second", "first"]


def test_a_ring_of_parents_ends():
    ring = [Usage(id=a, size=1, description=a, parents=(b,)) for a, b in (("a", "b"), ("b", "a"), ("c", "c"))]
    assert len(oldest_first(ring)) == 3


def test_an_untagged_image_that_loses_a_layer_is_forgotten(store, images, prune, make_image):
    image = make_image({"a": b""})
    images.keep(image.descriptor, "")
    blob = image.layers[0].blob.digest
    store.index.put_result(Digest.of(b"k"), str(blob).encode(), 5.0, "its layer")
    assert prune(filters=(parse_filter(["description=its layer"]),)) == {"its layer"}
    assert images.list() == ()
    assert blob not in store.blobs.digests()


def test_trees(store, registry, prune):
    other = Registry(store.root, lambda text: None)
    kept = tree(other, "tree used")
    gone = tree(registry, "tree unused")
    registry.close()  # what it made is no longer in use
    assert prune() == {"unpacked: tree unused"}
    assert not Path(registry.folder, gone).exists()
    assert Path(registry.folder, kept, "file").exists()
    assert (other.find("tree used"), other.find("tree unused")) == (kept, None)
    other.close()
    assert prune() == {"unpacked: tree used"}


def test_cache_mounts(store, prune):
    caches = CacheMounts(store.path("caches"))
    about = About("/root/.cache")
    with caches.locked(about) as path:
        os.mkdir(path)
        Path(path, "file").write_bytes(bytes(10_000))
        assert prune() == set()
        assert Path(path, "file").exists()
    assert prune(filters=(parse_filter(["type!=exec.cachemount"]),)) == set()
    assert prune(filters=(parse_filter(["type=exec.cachemount"]),)) == {"cached mount /root/.cache"}
    assert os.listdir(store.path("caches")) == []
    with caches.locked(about) as path:
        assert not os.path.exists(path)


def test_a_deep_tree(registry, prune):
    id = tree(registry, "tree deep")
    inside = os.open(os.path.join(registry.folder, id), os.O_RDONLY)
    for _ in range(1500):  # deeper than a path may be long, or a recursion
        os.mkdir("dddd", dir_fd=inside)
        below = os.open("dddd", os.O_RDONLY, dir_fd=inside)
        os.close(inside)
        inside = below
    os.close(inside)
    os.symlink("/", os.path.join(registry.folder, id, "link"))
    registry.close()
    assert prune() == {"unpacked: tree deep"}
    assert id not in os.listdir(registry.folder)


def test_a_damaged_manifest_does_not_stop_it(store, images, prune, make_image):
    image = make_image()
    images.tag(Reference.parse("app"), image.descriptor, "")
    Path(store.blobs.path(image.descriptor.digest)).write_bytes(b"{}")
    prune(everything=True)
    assert store.blobs.digests() == [image.descriptor.digest]


def test_what_builds_were_made_of_is_internal(store, images, registry, prune):
    folder = Path(store.root, "traces", "1" * 64)
    folder.mkdir(parents=True)
    (folder / "trace").write_bytes(b"x" * 10_000)
    os.utime(folder / "trace", (5.0, 5.0))
    (usage,) = [one for one in Inventory(store, images, registry).all() if one.kind == "traces"]
    assert (usage.used, usage.size >= 10_000) == (5.0, True)
    prune()
    assert folder.exists()
    assert usage.description in prune(everything=True)
    assert os.listdir(folder.parent) == []


def test_a_crash_at_any_point_leaves_a_whole_store(store, images, registry, step, make_image, monkeypatch):
    """What a process that was killed while it pruned leaves is no damage, and the next prune takes the rest."""
    named = make_image({"n": b""})
    images.tag(Reference.parse("app"), named.descriptor, "")
    calls = [0]
    for owner, name in ((os, "unlink"), (os, "rmdir"), (os, "rename"), (os, "replace"), (type(store.index), "_ask")):
        real = getattr(owner, name)

        def crashing(*args, real=real, **kwargs):
            calls[0] -= 1
            if calls[0] == 0:
                raise KeyboardInterrupt
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, crashing)
    points = 0
    while True:
        below = step("first", used=5.0)
        step("second", used=6.0)
        images.keep(make_image({"u": b""}, cmd="u").descriptor, "")
        result.file(store, Digest.of(b"shared"), result.Result(named.layers[0]), 5.0, "shared step")
        tree(registry, "tree")
        with CacheMounts(store.path("caches")).locked(About("c")) as path:
            os.makedirs(path, exist_ok=True)
        registry.close()
        points += 1
        calls[0] = points
        try:
            Pruner(store, images, registry, NOW).prune(Policy(everything=True))
            break
        except KeyboardInterrupt:
            calls[0] = 0
        registry.close()
        left = list(Doctor(store, images, registry, fix=False, quick=False).examine())
        assert [finding for finding in left if finding.damage] == []
        assert images.load(images.resolve("app").descriptor).id == named.id
    assert points > 20
    assert below not in store.blobs.digests()
    calls[0] = 0
    store.tidy()
    Pruner(store, images, registry, NOW).prune(Policy(everything=True))
    assert set(store.blobs.digests()) == blobs_of(named)
    assert store.index.results() == []
    assert os.listdir(store.path("caches")) == []


def test_git_repositories(store, prune):
    name = Digest.of(b"https://example.com/r.git").hex
    path = Path(store.path("git", name))
    path.mkdir(parents=True)
    (path / "description").write_text("https://example.com/r.git\n")
    (path / "pack").write_bytes(bytes(50_000))
    Path(f"{path}.lock").write_bytes(b"")
    Path(store.path("git", "known_hosts")).write_text("x")
    usages = {usage.description: usage for usage in all_of(store)}
    found = usages["git repository https://example.com/r.git"]
    assert (found.type, found.mutable, found.reclaimable) == ("source.git.checkout", True, True)
    assert found.size > 50_000
    assert not usages["keys of hosts"].reclaimable
    other = Store(store.root)
    with other.using():
        other.blobs.hold(gitrepository.lease(name))
        assert prune() == set()
        assert path.exists()
    assert prune(filters=(parse_filter(["type=source.git.checkout"]),)) == {found.description}
    assert os.listdir(store.path("git")) == ["known_hosts"]
    assert os.listdir(store.path("tmp")) == []


def test_bases_without_a_name_and_downloads(store, prune, make_image):
    """What the last use of a base is, its memo says; what leads to nothing any more is forgotten."""
    old, new = make_image({"o": b"o" * 50_000}, compressed=False), make_image({"n": b""}, cmd="n")
    for image, used in ((old, 100.0), (new, 200.0)):
        noted = msgspec.structs.replace(image.descriptor, annotations={BASE_NAME: f"docker.io/x/{int(used)}"})
        store.index.put_memo(BASE_MEMO, image.descriptor.digest, record.encode(noted), used)
    downloaded, _ = store.blobs.put(b"d" * 9000)
    store.index.put_memo("download", Digest.of(b"url"), record.encode({"digest": str(downloaded)}))
    usages = {usage.name: usage for usage in all_of(store)}
    assert usages[old.id.hex].kept == ("pulled from docker.io/x/100",)
    assert (usages[old.id.hex].used, usages[new.id.hex].used) == (100.0, 200.0)
    assert usages[downloaded.hex].kept == ("download",)
    assert prune(keep=NOW - 150.0) == {"pulled from docker.io/x/100"}
    assert set(store.blobs.digests()) == blobs_of(new) | {downloaded}
    assert [key for key, _, _ in store.index.memos_of(BASE_MEMO)] == [new.descriptor.digest]
    assert prune() == {"pulled from docker.io/x/200", "download"}
    assert store.index.memos(BASE_MEMO) == []


def test_a_store_below_its_limit_is_not_looked_at_closely(store, images, registry, step, make_image, monkeypatch):
    """What a build does for a cap each time is to add up sizes, which come to what the whole account says."""
    images.tag(Reference.parse("app"), make_image({"n": b"n" * 30_000}, compressed=False).descriptor, "")
    step("a")
    tree(registry, "tree")
    with CacheMounts(store.path("caches")).locked(About("c")) as path:
        os.mkdir(path)
    Path(store.path("stats", "x" * 64)).write_bytes(bytes(9000))
    registry.close()
    private = sum(usage.size for usage in all_of(store) if not usage.shared)
    found = Inventory(store, images, registry, quick=True).private()
    assert found == pytest.approx(private, abs=150_000)  # sqlite's files grow when they are opened
    pruner = Pruner(store, images, registry, NOW)
    assert pruner.prune(Policy(most=private // 2), quick=True) > 0
    monkeypatch.setattr(Inventory, "all", lambda self: pytest.fail("looked at closely"))
    assert pruner.prune(Policy(most=private * 2), quick=True) == 0
