from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.trace import listing
from builder.trace.step import Step
from builder.trace.trace import Outcome, Trace
from builder.trace.traces import IDENTITIES, KEPT, Traces, last_built
from cache.digest import Digest
from cache.store import Store


@pytest.fixture
def root(tmp_path: Path) -> str:
    store = Store(str(tmp_path / "store"))
    store.close()
    return store.root


def trace(name: str, *contents: Digest, context: str = "") -> Trace:
    sources = [{"type": "select", "path": "/a", "wildcard": False}]
    fields = {"type": "copy", "dest": "/", "sources": sources}
    step = Step(name=name, key=Digest.of(name.encode()), fields=fields, contents=contents)
    return Trace(steps=(step,), context=context)


def listed(made: Trace) -> Digest:
    return made.steps[0].listings[0]


def put(traces: Traces, name: str, made: Trace, time: int, *outcomes: Outcome) -> None:
    """As if it had been built at that time."""
    traces.make()
    traces.save(name, made, outcomes)
    os.utime(os.path.join(traces.folder, name), (time, time))


def test_what_is_saved_is_found_last_one_first(root: str) -> None:
    traces = Traces(root, "one")
    ran = Outcome(name="a", state="done", why="new", seconds=1.5)
    put(traces, "a" * 64, trace("a"), 1, ran)
    put(traces, "b" * 64, trace("b"), 2, Outcome(name="b"))
    assert traces.all() == [trace("b"), trace("a")]
    assert traces.outcomes("a" * 64) == (ran,)
    assert traces.outcomes("b" * 64) == ()  # all cached
    assert traces.names() == ["b" * 64, "a" * 64]


def test_a_build_that_found_all_forgets_what_ran_before(root: str) -> None:
    traces = Traces(root, "one")
    put(traces, "a" * 64, trace("a"), 1, Outcome(name="a", state="done"))
    put(traces, "a" * 64, trace("a"), 2, Outcome(name="a"))
    assert traces.outcomes("a" * 64) == ()


def test_the_old_go_with_their_listings(root: str) -> None:
    traces = Traces(root, "one")
    for n in range(KEPT + 3):
        traces.make()
        made = trace(str(n), Digest.of(b"%d" % n))
        listing.write(traces.listing(listed(made)), [listing.Member(b"a", "file", 0)], traces.temp)
        put(traces, f"{n:064}", made, n + 1, Outcome(name="x", state="done"))
    assert traces.names() == [f"{n:064}" for n in range(KEPT + 2, 2, -1)]
    assert len(os.listdir(traces.folder)) == KEPT * 3
    assert traces.has_listing(listed(made))
    assert not traces.has_listing(listed(trace("0", Digest.of(b"0"))))


def test_identities_are_bounded(root: str) -> None:
    for n in range(IDENTITIES + 2):
        folder = Path(root, "traces", f"{n:04}")
        folder.mkdir(parents=True)
        (folder / "x").touch()
        os.utime(folder, (n + 1, n + 1))
    put(Traces(root, "new"), "a" * 64, trace("a"), 1)
    left = sorted(os.listdir(Path(root, "traces")))
    assert len(left) == IDENTITIES
    assert left[0] == "0003"
    assert left[-1] == "new"


@pytest.mark.parametrize("data", [b"", b"{}", b"x\x9c\x00", None])
def test_what_is_damaged_is_not_there(root: str, data: bytes | None) -> None:
    traces = Traces(root, "one")
    put(traces, "a" * 64, trace("a"), 1, Outcome(name="a", state="done"))
    for name in ("a" * 64, "a" * 64 + ".ran"):
        path = Path(traces.folder, name)
        path.write_bytes(path.read_bytes()[:-3] if data is None else data)
    assert traces.load("a" * 64) is None
    assert traces.outcomes("a" * 64) == ()
    assert traces.all() == []


def test_another_version_is_not_read(root: str) -> None:
    import msgspec

    traces = Traces(root, "one")
    put(traces, "a" * 64, msgspec.structs.replace(trace("a"), version=99), 1)
    assert traces.load("a" * 64) is None


def test_the_last_of_a_store_and_of_a_context(root: str) -> None:
    assert last_built(root) is None
    put(Traces(root, "one"), "a" * 64, trace("a", context="/x"), 5)
    put(Traces(root, "two"), "b" * 64, trace("b", context="/y"), 9)
    found = last_built(root)
    assert found is not None
    assert os.path.basename(found.folder) == "two"
    found = last_built(root, "/x")
    assert found is not None
    assert os.path.basename(found.folder) == "one"
    assert last_built(root, "/z") is None


def test_nothing_is_left_in_tmp(root: str) -> None:
    put(Traces(root, "one"), "a" * 64, trace("a"), 1, Outcome(name="a", state="done"))
    assert os.listdir(Path(root, "tmp")) == []
