"""Several builds on one store: equal steps are done once, and nobody waits for ever."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from builder.errors import StepFault
from builder.graph.event import Cached, Transfer
from cache.digest import Digest
from cache.errors import Fault
from cache.store import Store
from tests.builder.solve.conftest import World


class Gate:
    """A step that has begun, and ends when go is set."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, name: str) -> None:
        self.begun.set()
        assert self.go.wait(20)


def worlds(path: Path, count: int = 2) -> list[World]:
    return [World(Store(str(path / "store"))) for _ in range(count)]


def until_it_waits(world: World) -> None:
    for _ in range(2000):
        if any(isinstance(event, Transfer) for event in world.executor.events):
            return
        time.sleep(0.01)
    raise AssertionError("the second build does not wait")


def beside(world: World, target: Digest, forget: bool = False) -> tuple[threading.Thread, list[BaseException]]:
    errors: list[BaseException] = []

    def solve() -> None:
        try:
            world.solve(target, lambda vertex: forget)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=solve)
    thread.start()
    return thread, errors


def test_a_step_that_runs_elsewhere_is_waited_for(tmp_path: Path) -> None:
    one, two = worlds(tmp_path)
    target = one.graph.run("b", one.graph.run("a"))
    assert two.graph.run("b", two.graph.run("a")) == target
    one.executor.during = gate = Gate()
    first, _ = beside(one, target)
    assert gate.begun.wait(20)
    second, errors = beside(two, target)
    until_it_waits(two)
    gate.go.set()
    first.join(20)
    second.join(20)
    assert not errors
    assert Counter(one.executor.ran + two.executor.ran) == {"a": 1, "b": 1}
    assert sum(isinstance(event, Cached) for event in two.executor.events) >= 1


def test_a_step_that_fails_elsewhere_is_tried_here(tmp_path: Path) -> None:
    one, two = worlds(tmp_path)
    target = one.graph.run("a")
    two.graph.run("a")
    gate = Gate()

    def fail(name: str) -> None:
        gate(name)
        raise Fault("it broke")

    one.executor.during = fail
    first, failed = beside(one, target)
    assert gate.begun.wait(20)
    second, errors = beside(two, target)
    until_it_waits(two)
    gate.go.set()
    first.join(20)
    second.join(20)
    assert [type(error) for error in failed] == [StepFault]
    assert not errors
    assert two.executor.ran == ["a"]


def test_a_build_that_waits_can_be_interrupted(tmp_path: Path) -> None:
    one, two = worlds(tmp_path)
    target = one.graph.run("a")
    bad = two.graph.run("bad")
    both = two.graph.copy(bad, two.graph.run("a"))
    one.executor.during = gate = Gate()
    first, _ = beside(one, target)
    assert gate.begun.wait(20)

    def fail(name: str) -> None:
        until_it_waits(two)
        raise Fault("it broke")

    two.executor.during = fail
    with pytest.raises(StepFault, match="it broke"):
        two.solve(both)
    assert first.is_alive()  # the other build's step goes on
    gate.go.set()
    first.join(20)


def test_no_cache_waits_for_nobody_and_takes_nothing(tmp_path: Path) -> None:
    one, two = worlds(tmp_path)
    target = one.graph.run("a")
    two.graph.run("a")
    one.executor.during = gate = Gate()
    first, _ = beside(one, target)
    assert gate.begun.wait(20)
    two.solve(target, lambda vertex: True)
    assert two.executor.ran == ["a"]
    assert first.is_alive()
    gate.go.set()
    first.join(20)


def test_a_result_on_other_trees_is_not_taken(tmp_path: Path) -> None:
    """The step below is made anew here, and not the same: what stands on the old one is not what is wanted."""
    one, two = worlds(tmp_path)
    below = one.graph.run("below")
    target = one.graph.run("a", below)
    assert two.graph.run("a", two.graph.run("below")) == target
    one.solve(target)
    two.executor.salt = "other"
    made = two.solve(target, lambda vertex: vertex == below)
    assert two.executor.ran == ["below", "a"]
    assert len({stratum.wait().diff_id for stratum in made.stack(target)}) == 3


@pytest.mark.parametrize("seed", range(4))
def test_builds_of_crossing_graphs_all_end(tmp_path: Path, seed: int) -> None:
    """Five builds of one graph, begun at different steps, more at once than each may run: all end, each step once."""
    made = worlds(tmp_path, 5)
    targets = []
    for number, world in enumerate(made):
        graph = world.graph
        ends = [graph.run(f"{n}.2", graph.run(f"{n}.1", graph.run(f"{n}.0"))) for n in range(7)]
        turn = (number * 3 + seed) % 7
        target = graph.base
        for end in ends[turn:] + ends[:turn]:
            target = graph.copy(end, target)
        targets.append(target)
        world.executor.during = lambda name: time.sleep(0.002)
    threads = [beside(world, target) for world, target in zip(made, targets, strict=True)]
    for thread, errors in threads:
        thread.join(60)
        assert not thread.is_alive()
        assert not errors
    counted = Counter(name for world in made for name in world.executor.ran if name != "copy")
    assert counted == {f"{n}.{m}": 1 for n in range(7) for m in range(3)}
