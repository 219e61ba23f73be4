"""Results of another machine, as the scheduler uses them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from builder.errors import LostResult, StepFault
from builder.graph.operation import LocalSource
from builder.solve import result
from builder.solve.result import Result
from cache.digest import Digest
from cache.store import Store
from tests.builder.solve.conftest import World


class Others:
    """All that a world's last build knew."""

    def __init__(self, world: World, target: Digest) -> None:
        lookup = world.solve(target).lookup
        self.found = {known.key: known.result for known in lookup.known(target)}
        self.contents = dict(lookup.selected(target))
        self.asked: list[Digest] = []
        self.taken: list[Digest] = []

    def results(self, key: Digest) -> Iterable[Result]:
        self.asked.append(key)
        found = self.found.get(key)
        stale = Result(found.layer, (Digest.of(b"another tree"),)) if found is not None else None
        return [one for one in (stale, found) if one is not None]

    def selected(self, name: Digest) -> tuple[Digest, ...] | None:
        return self.contents.get(name)

    def wrong(self, name: Digest) -> None:
        del self.contents[name]

    def used(self, key: Digest, result: Result, what: str) -> None:
        assert what.startswith(("RUN ", "COPY"))
        self.taken.append(key)


def stages(world: World) -> Digest:
    """A stage that begins with files of the client, and an image that takes a file of it."""
    graph = world.graph
    context = graph.builder.add(LocalSource(name="context"))
    return graph.run("after", graph.copy(graph.run("make", graph.copy(context))))


def test_what_another_machine_made_is_not_made_again(world: World, tmp_path: Path) -> None:
    others = Others(world, stages(world))
    here = World(Store(str(tmp_path / "here")))
    target = stages(here)
    scheduler = here.solve(target, imported=others)
    assert here.executor.ran == []
    assert here.executor.measured == 1  # of the client's files only: what the stage holds is told
    assert set(others.taken) == set(others.found) and len(others.found) == 4
    assert [known.result for known in scheduler.lookup.known(target)] == list(others.found.values())
    assert len(here.stored) == 4


def test_the_store_is_asked_first(world: World) -> None:
    target = stages(world)
    others = Others(world, target)
    world.solve(target, imported=others)
    assert others.asked == []


def test_a_result_made_on_another_tree_is_not_taken(world: World, tmp_path: Path) -> None:
    target = stages(world)
    others = Others(world, target)
    others.found = {key: Result(r.layer, (*r.on, Digest.of(b"x"))) for key, r in others.found.items()}
    here = World(Store(str(tmp_path / "here")))
    here.solve(stages(here), imported=others)
    assert len(here.executor.ran) == 4 and others.taken == []


def test_no_cache_asks_nobody(world: World, tmp_path: Path) -> None:
    others = Others(world, stages(world))
    here = World(Store(str(tmp_path / "here")))
    here.solve(stages(here), forget=lambda vertex: True, imported=others)
    assert others.asked == [] and len(here.executor.ran) == 4


def test_what_is_packed_is_told(world: World) -> None:
    target = stages(world)
    scheduler = world.solve(target)
    assert {known.vertex for known in scheduler.lookup.known(target)} == set(world.stored)
    for known in scheduler.lookup.known(target):
        assert result.find(world.store, known.key) == known.result


def test_a_stage_whose_key_is_known_late_is_not_measured_again(world: World) -> None:
    target = stages(world)
    world.solve(target)
    assert world.executor.measured == 2
    world.solve(target)
    assert world.executor.measured == 1  # the client's files, each time


def test_nothing_is_filed_under_what_others_say_wrongly(world: World, tmp_path: Path) -> None:
    """A key made of contents that are not those of the selection is one that another build may come to honestly."""
    target = stages(world)
    others = Others(world, target)
    known = list(world.solve(target).lookup.known(target))
    others.found = {one.key: one.result for one in known[:2]}  # of the stage
    (name,) = others.contents
    others.contents = {name: (Digest.of(b"a lie"),)}
    here = World(Store(str(tmp_path / "here")))
    with pytest.raises(StepFault) as caught:
        here.solve(stages(here), imported=others)
    assert isinstance(caught.value.__cause__, LostResult)
    assert others.contents == {} and here.store.index.results() == []
    here.executor.canceled.clear()
    here.solve(stages(here), imported=others)
    assert here.executor.ran == ["copy", "after"]
    assert {key for key, _ in here.store.index.results()} == {one.key for one in known[2:]}


def test_what_others_say_rightly_is_looked_at_once(world: World, tmp_path: Path) -> None:
    target = stages(world)
    others = Others(world, target)
    others.found = {one.key: one.result for one in list(world.solve(target).lookup.known(target))[:2]}
    here = World(Store(str(tmp_path / "here")))
    here.solve(stages(here), imported=others)
    assert here.executor.ran == ["copy", "after"] and len(others.contents) == 1
    assert here.executor.measured == 2  # the client's files, and what the stage holds
