from __future__ import annotations

import pytest

from builder.graph.operation import Exec, Mount
from builder.solve import result
from builder.solve.lookup import Lookup
from cache.digest import Digest
from tests.builder.solve.conftest import World, layer


def fresh(world: World, target: Digest) -> Lookup:
    lookup = Lookup(world.graph.builder.graph(), world.store, lambda vertex: None, lambda vertex: False)
    lookup.settle(target)
    return lookup


def test_a_result_is_of_use_on_its_own_tree_only(world: World) -> None:
    """`a` is made anew and is another thing; what stood on the old one is no hit."""
    graph = world.graph
    a = graph.run("a")
    b = graph.run("b", a)
    target = graph.run("c", b)
    world.solve(target)
    world.executor.salt = "second making"
    world.solve(a, forget=lambda vertex: True)
    assert world.executor.ran == ["a"]
    lookup = fresh(world, target)
    assert lookup.result(a) is not None
    assert lookup.result(b) is None
    world.solve(target)
    assert world.executor.ran == ["b", "c"]
    world.solve(target)
    assert world.executor.ran == []


def test_a_stage_made_anew_is_measured_anew(world: World) -> None:
    graph = world.graph
    a = graph.run("a")
    target = graph.copy(a)
    world.solve(target)
    world.solve(target)
    assert world.executor.measured == 0  # remembered
    world.executor.salt = "second making"
    world.solve(a, forget=lambda vertex: True)
    world.solve(target)
    assert (world.executor.ran, world.executor.measured) == (["copy"], 1)


def test_a_stage_made_anew_to_the_same_hits_behind_it(world: World) -> None:
    graph = world.graph
    a = graph.run("a")
    target = graph.copy(a)
    world.solve(target)
    world.solve(a, forget=lambda vertex: True)
    world.solve(target)
    assert (world.executor.ran, world.executor.measured) == ([], 0)


def test_a_lost_blob_is_made_anew(world: World) -> None:
    graph = world.graph
    a = graph.run("a")
    target = graph.run("b", a)
    first = world.solve(target)
    world.store.blobs.delete(first.stack(a)[-1].wait().blob.digest)
    assert fresh(world, target).result(a) is None
    world.executor.salt = "second making"
    world.solve(target)
    assert world.executor.ran == ["a", "b"]


@pytest.mark.parametrize("damage", [b"", b"{}", b"not json", b'{"layer": 1}', b"[]", b'{"layer":{"diff_id":"x"}}'])
def test_a_record_that_cannot_be_read_is_forgotten(world: World, damage: bytes) -> None:
    target = world.graph.run("a")
    world.solve(target)
    key = fresh(world, target).key(target)
    assert key is not None
    world.store.index.put_result(key, damage, 1.0)
    assert result.find(world.store, key) is None
    world.solve(target)
    assert world.executor.ran == ["a"]


def test_a_damaged_memo_is_made_anew(world: World) -> None:
    graph = world.graph
    target = graph.copy(graph.run("a"))
    world.solve(target)
    world.store.index._ask("UPDATE memos SET value = ?", b"[3]")
    world.solve(target)
    assert (world.executor.ran, world.executor.measured) == ([], 1)


def test_a_linked_copy_stands_alone(world: World) -> None:
    graph = world.graph
    source = graph.run("source")
    one, two = graph.copy(source, graph.run("x"), link=True), graph.copy(source, graph.run("y"), link=True)
    plain = graph.copy(source, graph.run("x"))
    world.solve(graph.copy(two, one))
    lookup = fresh(world, graph.copy(plain, graph.copy(two, one)))
    assert lookup.key(one) == lookup.key(two) != lookup.key(plain)


def test_what_stands_on_a_linked_copy_sees_the_whole_tree(world: World) -> None:
    graph = world.graph
    source = graph.run("source")
    bases = [graph.run("x"), graph.run("y")]
    tops = [graph.run("top", graph.copy(source, graph.copy(source, base, link=True), link=True)) for base in bases]
    world.solve(graph.copy(tops[1], tops[0]))
    lookup = fresh(world, graph.copy(tops[1], tops[0]))
    assert None not in [lookup.key(top) for top in tops]
    assert lookup.key(tops[0]) != lookup.key(tops[1])
    assert world.executor.ran.count("top") == 2
    for top in tops:
        world.solve(top)
        assert world.executor.ran == []


def test_what_is_in_a_key(world: World) -> None:
    graph = world.graph

    def key(operation: Exec) -> Digest | None:
        vertex = graph.builder.add(operation, (graph.base,))
        return fresh(world, vertex).key(vertex)

    def cached(**others: object) -> Exec:
        return Exec(argv=("a",), mounts=(Mount(kind="cache", target="/c", **others),))  # type: ignore[arg-type]

    plain = key(Exec(argv=("a",)))
    for other in (
        Exec(argv=("b",)), Exec(argv=("a",), env=("X=1",)), Exec(argv=("a",), cwd="/x"), Exec(argv=("a",), user="x"),
        Exec(argv=("a",), network="none"), Exec(argv=("a",), security="insecure"), Exec(argv=("a",), hosts=("h",)),
        cached(),
    ):  # fmt: skip
        assert key(other) not in (None, plain)
    assert key(cached(id="one")) == key(cached(id="two", sharing="locked")) != key(cached(readonly=False))


def test_what_another_build_files_meanwhile_is_not_taken(world: World) -> None:
    target = world.graph.run("a")
    lookup = fresh(world, target)
    assert lookup.result(target) is None
    lookup.miss(target)
    world.solve(target)
    assert lookup.result(target) is None
    key = lookup.key(target)
    assert key is not None
    result.file(world.store, key, result.Result(layer(world.store, "x")), 1.0)
    assert lookup.result(target) is None
