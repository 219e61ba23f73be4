from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.trace.align import aligned
from builder.trace.step import Place, place


def stage(*texts: str, title: str = "") -> list[Place]:
    return [Place(title, number, len(texts), text) for number, text in enumerate(texts, 1)]


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("[build 2/4] RUN make", Place("build", 2, 4, "RUN make")),
        ("[linux/amd64->arm64 build  2/14] RUN a [1/2] b", Place("linux/amd64->arm64 build", 2, 14, "RUN a [1/2] b")),
        ("[2/3] COPY a\n b", Place("", 2, 3, "COPY a\n b")),
        ("[context x] copy", Place("", 0, 0, "[context x] copy")),
        ("[1/2]", Place("", 0, 0, "[1/2]")),
        ("a [1/2] b", Place("", 0, 0, "a [1/2] b")),
        ("[²/2] b", Place("", 0, 0, "[²/2] b")),
    ],
)
def test_a_name_is_read(name: str, read: Place) -> None:
    assert place(name) == read


@pytest.mark.parametrize(
    ("old", "new", "pairs"),
    [
        ("FROM a|RUN b|RUN c", "FROM a|RUN b|RUN c", {0: 0, 1: 1, 2: 2}),
        ("FROM a|RUN b|RUN c", "FROM a|RUN x|RUN b|RUN c", {0: 0, 2: 1, 3: 2}),
        ("FROM a|RUN b|RUN c", "FROM a|RUN c", {0: 0, 1: 2}),
        ("FROM a|RUN b|RUN c", "FROM a|RUN changed|RUN c", {0: 0, 1: 1, 2: 2}),
        ("FROM a|RUN b|COPY c /", "FROM z|RUN b|COPY d /", {0: 0, 1: 1, 2: 2}),
        ("FROM a|RUN make all|RUN c", "FROM a|RUN apt install|RUN make all -j|RUN c", {0: 0, 2: 1, 3: 2}),
        ("FROM a|RUN b", "FROM a|COPY b /", {0: 0}),
        ("", "FROM a", {}),
    ],
)
def test_pairs(old: str, new: str, pairs: dict[int, int]) -> None:
    assert aligned(stage(*filter(None, old.split("|"))), stage(*new.split("|"))) == pairs


def test_stages_are_paired_by_title_and_a_renamed_one_by_order() -> None:
    old = stage("FROM a", "RUN b", title="build") + stage("FROM c", title="last")
    new = stage("FROM c", title="last") + stage("FROM a", "RUN b", title="builder")
    assert aligned(old, new) == {0: 2, 1: 0, 2: 1}


def test_very_many_changed_steps_are_paired_in_order() -> None:
    old, new = stage(*(f"RUN {n}" for n in range(300))), stage(*(f"RUN x{n}" for n in range(300)))
    assert aligned(old, new) == {n: n for n in range(300)}


texts = st.lists(st.sampled_from(["RUN a", "RUN b", "RUN a b", "COPY a /", "COPY b /"]), max_size=8)


@given(texts, texts)
def test_pairs_are_in_order_and_of_one_keyword(old: list[str], new: list[str]) -> None:
    pairs = aligned(stage(*old), stage(*new))
    assert sorted(pairs.items()) == sorted(pairs.items(), key=lambda pair: pair[1])
    assert len(set(pairs.values())) == len(pairs)
    assert all(new[now].split()[0] == old[before].split()[0] for now, before in pairs.items())


@given(texts, st.integers(0, 8), st.sampled_from(["RUN new", "COPY new /"]))
def test_an_inserted_step_has_no_counterpart_and_all_others_have(old: list[str], at: int, text: str) -> None:
    new = [*old[:at], text, *old[at:]]
    pairs = aligned(stage(*old), stage(*new))
    assert {now: new[now] for now in range(len(new)) if now not in pairs} == {min(at, len(old)): text}
    assert all(new[now] == old[before] for now, before in pairs.items())


def test_hostile_words_take_no_time() -> None:
    huge = " ".join(map(str, range(20_000)))
    old, new = stage(*(f"RUN {n} {huge}" for n in range(150))), stage(*(f"RUN x{n} {huge}" for n in range(150)))
    assert aligned(old, new) == {n: n for n in range(150)}
    assert place("[" + " " * 300_000 + "] x").text.endswith("] x")
