from __future__ import annotations

import pytest

from builder.cli.bounds import byte_limit, unpack_limits
from builder.layer.limits import Limits
from cache.errors import Fault


def test_a_number_of_bytes_or_nothing() -> None:
    assert byte_limit({}, "X") is None
    assert byte_limit({"X": "10"}, "X") == 10
    assert unpack_limits({}) == Limits()
    assert unpack_limits({"LAPSTRAKE_UNPACK_LIMIT": "5120"}) == Limits.of_size(5120)
    assert Limits.of_size(5120).entries == 10


@pytest.mark.parametrize("text", ["-1", "1G", "x", "9" * 19, "\u0663"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(Fault, match="invalid X"):
        byte_limit({"X": text}, "X")
