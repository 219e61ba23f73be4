from __future__ import annotations

import pytest

from builder.template.units import human_duration, human_size, local_time, since


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"),
        (119, "About a minute"),
        (3599, "59 minutes"), (3600, "About an hour"), (5400, "2 hours"), (47 * 3600, "47 hours"),
        (2 * 86400, "2 days"),
        (14 * 86400, "2 weeks"), (60 * 86400, "2 months"), (729 * 86400, "24 months"), (730 * 86400, "2 years"),
        (-5, "Less than a second"),
    ],
)  # fmt: skip
def test_durations(seconds: int, words: str) -> None:
    assert human_duration(seconds) == words


@pytest.mark.parametrize(
    ("size", "digits", "words"),
    [
        (0, 3, "0B"),
        (999, 3, "999B"),
        (1000, 3, "1kB"),
        (1536, 3, "1.54kB"),
        (1536, 4, "1.536kB"),
        (123456789, 3, "123MB"),
    ],
)
def test_sizes(size: int, digits: int, words: str) -> None:
    assert human_size(size, digits) == words


def test_moments() -> None:
    assert since("2020-09-13T12:26:40Z", 1_600_000_000 + 7200) == "2 hours ago"
    assert since("2020-09-13T12:26:40.123456789Z", 1_600_000_000 + 3) == "2 seconds ago"
    assert since("", 0) == since("yesterday", 0) == local_time("") == "N/A"
