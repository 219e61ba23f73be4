"""Each reason from two steps that differ in one thing. Whole builds: tests/builder/solve/test_tracing.py."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from builder.graph.key import KEY_VERSION
from builder.trace.changes import Change, Summary
from builder.trace.reasons import Earlier, Reasons, quoted
from builder.trace.step import Read, Step
from builder.trace.trace import Outcome, Trace
from cache.digest import Digest

BASE, COPY, RUN = (Digest.of(name) for name in (b"base", b"copy", b"run"))  # vertices
IMAGE = Step(name="[1/3] FROM b:1", key=Digest.of(b"1"), fields={"type": "image", "manifest": "sha256:" + "a" * 64})
COPIES = Step(
    name="[2/3] COPY s /", key=Digest.of(b"2"), parents=(Digest.of(b"1"),), contents=(Digest.of(b"c"),),
    fields={"type": "copy", "sources": [{"type": "select", "path": "/s", "wildcard": False}], "dest": "/", "chown": ""},
    reads=(Read("context", local=True),),
)  # fmt: skip
RUNS = Step(
    name="[3/3] RUN make", key=Digest.of(b"3"), parents=(Digest.of(b"2"),),
    fields={"type": "exec", "argv": ["sh", "-c", "make"], "env": ["PATH=/bin", "V=1"], "cwd": "/", "mounts": []},
)  # fmt: skip
STEPS = {BASE: IMAGE, COPY: COPIES, RUN: RUNS}
BEFORE = Trace(steps=(IMAGE, COPIES, RUNS))
OTHER = Digest.of(b"other")


def why(
    vertex: Digest,
    step: Step,
    parents: tuple[Digest, ...],
    *,
    outcomes: tuple[Outcome, ...] = (),
    earlier: Trace | None = BEFORE,
    image: Step = IMAGE,
    found: Summary | None = None,
) -> str:
    now = {
        **{v: (s.name, s.key) for v, s in STEPS.items()},
        BASE: (image.name, image.key),
        vertex: (step.name, step.key),
    }
    builds = [Earlier.of(earlier, outcomes)] if earlier is not None else []
    reasons = Reasons(
        builds, now, {BASE: image}, "Dockerfile", lambda old, new: found, lambda name: "ARG" if name == "V" else "",
        lambda name: name == "V" and found is not None,
    )  # fmt: skip
    return reasons.why(vertex, step, parents)


def changed(step: Step, **fields: Any) -> Step:
    return replace(step, key=OTHER, fields={**step.fields, **fields})


FILE = Summary(Change(b"s/f\xff", "changed (content)"), 3)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (replace(COPIES, key=OTHER, contents=(OTHER,)), "files of the context changed"),
        (changed(COPIES, chown="1:1"), "--chown changed (empty -> 1:1)"),
        (replace(changed(COPIES, dest="/x"), name="[2/3] COPY s /x"), "instruction changed, was COPY s /"),
        (changed(COPIES, dest="/w/x"), "destination changed (/ -> /w/x)"),
        (replace(COPIES, key=OTHER), "its key changed"),
        (replace(COPIES, name="[2/3] ADD s /", key=OTHER), "new instruction"),
    ],
)
def test_a_copy(step: Step, reason: str) -> None:
    assert why(COPY, step, (BASE,)) == reason


def test_files_are_named_and_counted() -> None:
    step = replace(COPIES, key=OTHER, contents=(OTHER,))
    assert why(COPY, step, (BASE,), found=FILE) == r"s/f\xff changed (content) and 2 more"
    stage = replace(step, reads=(Read("[build 2/2] RUN make"),))
    assert why(COPY, stage, (BASE,), found=FILE) == r"s/f\xff of stage build changed (content) and 2 more"
    named = replace(step, reads=(Read("more", local=True),))
    assert why(COPY, named, (BASE,), found=Summary(None, 0)) == "files of more changed"


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (changed(RUNS, env=["PATH=/bin", "V=2"]), "ARG V changed (1 -> 2)"),
        (changed(RUNS, env=["PATH=/bin", "V="]), "ARG V changed (1 -> empty)"),
        (changed(RUNS, env=["PATH=/bin", "V=1", "W=1", "X=1"]), "ENV W added (1) and 1 more"),
        (changed(RUNS, env=["PATH=/bin"]), "ARG V removed (1)"),
        (changed(RUNS, env=["V=1", "PATH=/bin"]), "variables in another order"),
        (changed(RUNS, argv=["bash", "-c", "make"]), "SHELL changed (sh -c -> bash -c)"),
        (changed(RUNS, argv=["sh", "-c", "made"]), "heredoc changed"),
        (changed(RUNS, cwd="/w"), "WORKDIR changed (/ -> /w)"),
        (changed(RUNS, mounts=[{"kind": "tmpfs"}]), "--mount changed"),
        (replace(RUNS, key=OTHER, parents=(OTHER,)), "because [2/3] COPY s / changed"),
        (replace(RUNS, key=OTHER, parents=()), "because it stands on nothing now"),
    ],
)
def test_a_run(step: Step, reason: str) -> None:
    assert why(RUN, step, (COPY,) if step.parents else ()) == reason


def test_a_secret_is_named_without_values() -> None:
    assert why(RUN, changed(RUNS, env=["PATH=/bin", "V=2"]), (COPY,), found=FILE) == "ARG V changed"


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ({"name": "[1/3] FROM b:1"}, f"base image b:1 changed (sha256:{'a' * 12} -> sha256:{'b' * 12})"),
        ({"name": "[1/3] FROM b:2"}, "base image changed (b:1 -> b:2)"),
    ],
)
def test_a_base(image: dict[str, str], reason: str) -> None:
    """Variables that come with it are not blamed."""
    other = Step(key=OTHER, fields={"type": "image", "manifest": "sha256:" + "b" * 64}, **image)
    step = replace(COPIES, key=Digest.of(b"new"), parents=(OTHER,))
    assert why(COPY, step, (BASE,), image=other) == reason
    run = replace(RUNS, name="[2/3] RUN make", key=Digest.of(b"new"), parents=(OTHER,))
    run = replace(run, fields={**run.fields, "env": ["PATH=/other", "V=1"]})
    first = Trace(steps=(IMAGE, replace(RUNS, name="[2/3] RUN make", parents=(Digest.of(b"1"),))))
    assert why(RUN, replace(run, name="[3/3] RUN make"), (BASE,), image=other, earlier=first) == reason


@pytest.mark.parametrize(
    ("states", "reason"),
    [
        ({}, "its result was evicted from the cache"),
        ({"2": "done"}, "its result was evicted from the cache"),
        ({"2": "failed"}, "it failed in an earlier build"),
        ({"2": "canceled"}, "it was canceled in an earlier build"),
        ({"1": "failed"}, "it was not reached in an earlier build"),
    ],
)
def test_a_key_that_was_there(states: dict[str, str], reason: str) -> None:
    outcomes = tuple(Outcome(name="x", key=str(Digest.of(key.encode())), state=state) for key, state in states.items())
    assert why(COPY, COPIES, (BASE,), outcomes=outcomes) == reason


def test_nothing_to_compare_with() -> None:
    assert why(COPY, COPIES, (BASE,), earlier=None) == "no earlier build of Dockerfile"
    older = Trace(steps=(replace(COPIES, key=OTHER),), keys=KEY_VERSION - 1)
    assert why(COPY, COPIES, (BASE,), earlier=older).startswith("the form of keys changed")


def test_long_words_are_cut() -> None:
    assert quoted("a\n b\t c") == "a b c"
    assert quoted("x" * 100) == "x" * 59 + "…"
