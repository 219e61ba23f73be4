"""Sparse members of tar archives (GNU tar manual, "Sparse Formats"): where data lies, and where holes are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

HOLE = bytes(1 << 20)
_ENTRY = 24  # offset and length, 12 bytes each
_MAX_EXTENTS = 1 << 20


class SparseMap:
    """size: bytes of the file with its holes. extents: (offset, length) of its data, in order, no overlap."""

    def __init__(self, size: int, extents: list[tuple[int, int]]) -> None:
        """Raises ValueError where the extents are not in order or reach over the end."""
        self.size, self.extents = size, extents
        end = 0
        for offset, length in extents:
            if offset < end or length < 0:
                raise ValueError("extents overlap")
            end = offset + length
        if end > size or size >= 1 << 63:
            raise ValueError("extents reach over the end")

    def pieces(self) -> Iterator[tuple[bool, int]]:
        """(is a hole, length) from the start to the end of the file."""
        at = 0
        for offset, length in self.extents:
            yield True, offset - at
            yield False, length
            at = offset + length
        yield True, self.size - at


def parse_numbers(text: bytes) -> list[tuple[int, int]]:
    """Extents of `offset,length,offset,length` (formats 0.0 and 0.1)."""
    numbers = [_decimal(word) for word in text.split(b",")] if text else []
    if len(numbers) % 2:
        raise ValueError("odd number of sparse offsets")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def old_gnu_extents(block: bytes, more: Callable[[], bytes]) -> list[tuple[int, int]]:
    """Extents of a type S header; more() gives the next extension block."""
    extents = _octal_extents(block[386:482])
    extended = block[482]
    while extended:
        block = more()
        extents += _octal_extents(block[:504])
        extended = block[504]
        if len(extents) > _MAX_EXTENTS:
            raise ValueError("too many extents")
    return extents


def pax_map(pax: dict[bytes, bytes], more: Callable[[], bytes]) -> SparseMap:
    """The map of format 1.0: decimal lines at the start of the data, padded to a block."""
    if pax.get(b"GNU.sparse.minor") != b"0":
        raise ValueError("unknown sparse format")
    text = b""

    def line() -> int:
        nonlocal text
        while b"\n" not in text:
            if len(text) > 64:
                raise ValueError("number too long")
            text += more()
        word, _, text = text.partition(b"\n")
        return _decimal(word)

    count = line()
    if count > _MAX_EXTENTS:
        raise ValueError("too many extents")
    extents = [(line(), line()) for _ in range(count)]
    return SparseMap(_decimal(pax.get(b"GNU.sparse.realsize", b"")), extents)


def _decimal(word: bytes) -> int:
    if not word.isdigit() or len(word) > 20:
        raise ValueError("not a number")
    return int(word)


def _octal_extents(fields: bytes) -> list[tuple[int, int]]:
    extents = []
    for at in range(0, len(fields) - _ENTRY + 1, _ENTRY):
        pair = fields[at : at + _ENTRY]
        if not pair.strip(b"\0 "):
            break
        extents.append((_octal(pair[:12]), _octal(pair[12:])))
    return extents


def _octal(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    return int(field.strip(b" \0") or b"0", 8)
