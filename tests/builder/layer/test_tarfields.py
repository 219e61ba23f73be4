from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.layer.tarfields import MalformedField, check_sum, number


def summed(front: bytes, back: bytes, signed: bool = False) -> bytes:
    """A header of 148 and 356 bytes around its checksum, of bytes with or without sign."""
    total = sum(byte - 256 * (signed and byte > 127) for byte in front + back) + 8 * ord(" ")
    field = b"%06o\0 " % total if total >= 0 else (total & (1 << 64) - 1).to_bytes(8, "big")
    return front + field + back


@given(st.binary(min_size=504, max_size=504), st.booleans())
def test_a_checksum_counts_bytes_with_or_without_sign(rest: bytes, signed: bool) -> None:
    check_sum(summed(rest[:148], rest[148:], signed))


@pytest.mark.parametrize("byte", [b"\0", b"\x7f", b"\x80", b"\xff"])
@pytest.mark.parametrize("signed", [False, True])
def test_the_sum_of_the_largest_bytes(byte: bytes, signed: bool) -> None:
    block = summed(byte * 148, byte * 356, signed)
    check_sum(block)
    for place in (0, 147, 156, 255, 256, 511):
        changed = block[:place] + bytes([block[place] ^ 1]) + block[place + 1 :]
        with pytest.raises(MalformedField, match="wrong checksum"):
            check_sum(changed)


@pytest.mark.parametrize(
    ("field", "value"),
    [(b"0000644\0", 0o644), (b"   644 \0", 0o644), (b"\0" * 8, 0), (b"\x80\0\0\0\0\0\1\0", 256), (b"\xff" * 8, -1)],
)
def test_numbers_are_octal_or_of_base_256(field: bytes, value: int) -> None:
    assert number(field, "size") == value


def test_a_number_that_is_none() -> None:
    with pytest.raises(MalformedField, match="has a malformed size"):
        number(b"0000648\0", "size")
