from __future__ import annotations

import threading

import pytest

from builder.errors import StepFault
from builder.graph.event import Cached, Failed, Finished, Missed, Started
from builder.graph.operation import LocalSource
from builder.solve.executor import Task
from cache.digest import Digest
from cache.errors import Fault
from tests.builder.solve.conftest import World
from tests.builder.solve.test_lookup import fresh


def test_a_chain_runs_in_order_and_then_not_at_all(world: World) -> None:
    graph = world.graph
    target = graph.run("c", graph.run("b", graph.run("a")))
    graph.run("not needed")
    first = world.solve(target)
    assert world.executor.ran == ["a", "b", "c"]
    assert [s.wait().diff_id for s in first.stack(target)][1:] == [s.wait().diff_id for s in first.stack(target)[1:]]
    again = world.solve(target)
    assert world.executor.ran == []
    assert sum(isinstance(e, Cached) for e in world.executor.events) == 3
    assert [s.wait() for s in again.stack(target)] == [s.wait() for s in first.stack(target)]


def test_branches_run_at_the_same_time(world: World) -> None:
    graph = world.graph
    meet = threading.Barrier(4, timeout=20)
    world.executor.during = lambda name: meet.wait() and None if name.startswith("branch") else None
    target = graph.base
    for number in range(4):
        target = graph.copy(graph.run(f"branch{number}"), target)
    world.solve(target)
    assert sorted(world.executor.ran)[:4] == ["branch0", "branch1", "branch2", "branch3"]


def test_equal_work_runs_once(world: World) -> None:
    """Two definitions with one key: they differ in a manifest that leads to the same layers."""
    from builder.graph.operation import ImageSource
    from cache.digest import Digest

    graph = world.graph
    other = graph.builder.add(ImageSource(manifest=Digest.of(b"other"), diff_ids=(Digest.of(b"base"),)))
    target = graph.copy(graph.run("same", other), graph.copy(graph.run("same")))
    world.solve(target)
    assert world.executor.ran.count("same") == 1


def test_the_first_failure_stops_the_rest(world: World) -> None:
    graph = world.graph
    started = threading.Event()

    def during(name: str) -> None:
        if name == "slow":
            started.set()
            assert world.executor.canceled.wait(20)
            raise Fault("ended from outside")
        if name == "bad":
            assert started.wait(20)
            raise Fault("it broke", "mend it")

    world.executor.during = during
    bad = graph.run("bad")
    target = graph.run("after", graph.copy(graph.run("slow"), graph.copy(bad)))
    before = threading.active_count()
    with pytest.raises(StepFault, match="it broke") as caught:
        world.solve(target)
    assert caught.value.vertex == bad
    assert caught.value.hint == "mend it"
    assert sorted(world.executor.ran) == ["bad", "slow"]
    assert threading.active_count() == before
    failed = [e for e in world.executor.events if isinstance(e, Failed)]
    assert [e.canceled for e in failed] == [False, True]
    world.executor.canceled.clear()
    world.executor.during = lambda name: None
    world.solve(target)
    assert {"bad", "slow", "after"} <= set(world.executor.ran)


def test_what_was_done_before_a_failure_is_kept(world: World) -> None:
    graph = world.graph
    good = graph.run("good")
    target = graph.run("bad", good)

    def during(name: str) -> None:
        if name == "bad":
            raise Fault("no")

    world.executor.during = during
    for expected in (["good", "bad"], ["bad"]):
        with pytest.raises(Fault):
            world.solve(target)
        assert world.executor.ran == expected
        world.executor.canceled.clear()


def test_no_cache_runs_all_and_a_filter_runs_some(world: World) -> None:
    graph = world.graph
    a = graph.run("a")
    target = graph.copy(graph.run("b"), a)
    world.solve(target)
    world.solve(target, forget=lambda vertex: True)
    assert sorted(world.executor.ran) == ["a", "b", "copy"]
    world.solve(target, forget=lambda vertex: vertex == a)
    assert world.executor.ran[0] == "a"
    assert "b" not in world.executor.ran


def test_long_chains_and_deep_stages(world: World) -> None:
    graph = world.graph
    target = graph.run("0")
    for number in range(1, 1200):
        target = graph.run(str(number), target)
    for number in range(150):
        target = graph.copy(target, graph.run(f"stage{number}"))
    world.solve(target)
    assert len(world.executor.ran) == 1200 + 300
    world.solve(target)
    assert world.executor.ran == []
    assert world.executor.measured == 0


def test_every_step_that_starts_ends(world: World) -> None:
    graph = world.graph
    world.solve(graph.copy(graph.run("a"), graph.run("b")))
    started = [e.vertex for e in world.executor.events if isinstance(e, Started)]
    assert sorted(started) == sorted(e.vertex for e in world.executor.events if isinstance(e, Finished))


def test_why_a_step_runs_is_told_before_it_does(world: World) -> None:
    graph = world.graph
    a = graph.run("a")
    target = graph.run("b", a)
    world.solve(a)
    world.solve(target, why=lambda task: "" if task.digest == a else "new")
    events = [event for event in world.executor.events if event.vertex == target]
    assert events == [Started(target, "RUN b", 0.0), Missed(target, "new", 0.0), Finished(target, 0.0)]
    assert not [e for e in world.executor.events if isinstance(e, Missed) and e.vertex != target]


def test_a_linked_copy_that_is_found_first_is_no_whole_tree(world: World) -> None:
    """Its key needs nothing of what is below it, whose own key takes a while: what is on top must wait for that."""
    graph = world.graph
    files = graph.builder.add(LocalSource(name="context"))
    linked = graph.copy(graph.run("source"), graph.copy(files, graph.run("base")), link=True)
    top = graph.run("top", linked)
    target = graph.copy(graph.copy(linked, graph.run("reader")), top)
    world.solve(target)
    begun, plain = threading.Event(), world.executor.measure

    def measure(task: Task) -> tuple[Digest, ...]:
        if files in task.vertex.inputs:
            begun.wait(0.2)  # a large folder
        return plain(task)

    world.executor.measure = measure  # type: ignore[method-assign]
    world.executor.during = lambda name: begun.set() if name == "top" else None
    made = world.solve(target, forget=lambda vertex: vertex == top)
    assert world.executor.ran == ["top"]
    assert world.executor.below["top"] == len(made.stack(linked)) == 4


def test_equal_linked_copies_on_top_of_each_other(world: World) -> None:
    graph = world.graph
    source = graph.run("source")
    one = graph.copy(source, graph.run("base"), link=True)
    two = graph.copy(source, one, link=True)
    target = graph.run("top", graph.copy(source, two, link=True))
    made = world.solve(target)
    assert len(made.stack(target)) == 6
    assert sorted(world.executor.ran) == ["base", "copy", "source", "top"]


def test_equal_copies_one_of_which_reads_what_the_other_made(world: World) -> None:
    """Their keys are equal, and known from an earlier build; their layer is gone."""
    graph = world.graph
    first = graph.copy(graph.run("source"), link=True)
    second = graph.copy(first, link=True)
    target = graph.copy(graph.run("top", first), second)
    world.executor.measure = lambda task: (Digest.of(b"the same file"),)  # type: ignore[method-assign]
    world.solve(target)
    lookup = fresh(world, target)
    key = lookup.key(first)
    assert key == lookup.key(second)
    assert key is not None
    world.store.index.delete_result(key)
    made = world.solve(target)
    assert world.executor.ran.count("copy") == 1
    assert len(made.stack(target)) == 3
