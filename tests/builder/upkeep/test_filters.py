from __future__ import annotations

import pytest

from builder.upkeep.filters import duration, parse_filter
from builder.upkeep.usage import Usage
from cache.errors import Fault

USAGE = Usage(
    id="abc123",
    kind="blob",
    size=1,
    description="[2/3] RUN make",
    type="regular",
    parents=("p1", "p2"),
    used=1000.0,
    shared=True,
)


@pytest.mark.parametrize(
    ("texts", "fits"),
    [
        (["id=bc1"], True),  # buildx takes the value of id as a pattern
        (["id=^bc"], False),
        (["id!=abc123"], False),
        (["ID = abc"], True),
        (["parents=p1;p2"], True),
        (["parents=p1"], False),
        (["parents~=p1"], True),
        (["description=RUN make"], False),
        (["description~=RUN m[ax]ke$"], True),
        (["type=regular"], True),
        (["type!=exec.cachemount"], True),
        (["type!=regular"], False),
        (["shared"], True),
        (["private"], False),
        (["private=false"], True),
        (["immutable"], True),
        (["mutable"], False),
        (["inuse=true"], False),
        (["until=10s"], True),
        (["until=2h"], False),
        (["unused-for=10s"], True),
        (["shared", "id=abc", "type~=^reg"], True),
        (["shared", "id=x"], False),
        ([""], True),
        (["type=regular", "type=regular"], True),
    ],
)
def test_selectors(texts, fits):
    assert parse_filter(texts).matches(USAGE, 1011.0) is fits


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["nothing"], "expected name=value"),
        (["size=3"], "expected name=value"),
        (["id"], "expected name=value"),
        (["mutable=perhaps"], "expected name=value"),
        (["until=3 days"], "expects a duration"),
        (["until=24h", "until=25h"], "expects only one value"),
        (["type=a", "type=b"], "expects only one value"),
        (["until=1h", "unused-for=1h"], "conflicting filters"),
        (["description~=("], "description~=("),
    ],
)
def test_bad_filters(texts, words):
    with pytest.raises(Fault) as caught:
        parse_filter(texts)
    assert words in caught.value.message


@pytest.mark.parametrize(("text", "seconds"), [("24h", 86400), ("2h30m", 9000), ("1.5h", 5400), (".5s", 0.5), ("0", 0)])
def test_durations(text, seconds):
    assert duration(text, "x") == seconds


@pytest.mark.parametrize("text", ["", "h", "1", "1d", "-1h", "1h ", "1.h2"])
def test_no_durations(text):
    with pytest.raises(Fault):
        duration(text, "x")
