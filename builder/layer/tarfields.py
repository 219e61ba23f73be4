"""The fields of a tar header and its pax records, as numbers and names; each checked, since archives are hostile.

POSIX.1-2017 pax interchange format; GNU tar manual, "Basic Tar Format" (base-256 numbers).
"""

from __future__ import annotations

from zlib import adler32

from builder.layer.tarfmt import BLOCK, XATTR

_HALF = BLOCK // 2


class MalformedField(Exception):
    """What is wrong with a member, as the end of a sentence that names it."""


def check_sum(block: bytes) -> None:
    """Compare a header with its checksum; MalformedField if it has another one."""
    stored = number(block[148:156], "checksum")
    # The low half of Adler-32 (RFC 1950) is one more than the sum of the bytes, if those are no more than half a block.
    whole = (adler32(block[:_HALF]) & 0xFFFF) + (adler32(block[_HALF:]) & 0xFFFF) - 2
    plain = whole - sum(block[148:156]) + 8 * 32
    if stored != plain and stored != plain - 256 * sum(
        byte > 127 for byte in block[:148] + block[156:]
    ):  # old tars summed signed bytes
        raise MalformedField("has a header with a wrong checksum")


def records(body: bytes, into: dict[bytes, bytes], offsets: list[bytes]) -> None:
    """Take the pax records of an extended header into a table; of sparse format 0.0 the values into offsets."""
    at = 0
    while at < len(body):
        space = body.find(b" ", at, at + 12)
        digits = body[at:space] if space > 0 else b""
        end = at + int(digits) if digits.isdigit() else 0
        key, equals, value = body[space + 1 : end - 1].partition(b"=")
        if not space + 3 < end <= len(body) or body[end - 1 : end] != b"\n" or not equals or not key:
            raise MalformedField("has a malformed pax record")
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            offsets.append(value)  # sparse format 0.0 repeats its keys
        else:
            into[key] = value
        at = end


def number(field: bytes, what: str) -> int:
    """A field of octal digits, or of base 256; 0 where it is blank. what: its name in a fault."""
    if field[0] & 0x80:  # GNU base-256, big-endian two's complement, the top bit is the mark
        first = field[0] & 0x7F
        return int.from_bytes(bytes([first | (first & 0x40) << 1]) + field[1:], "big", signed=True)
    text = field.strip(b" \0").partition(b"\0")[0].strip()
    if not text:
        return 0
    if text.strip(b"01234567"):
        raise MalformedField(f"has a malformed {what}")
    return int(text, 8)


def pax_number(pax: dict[bytes, bytes], key: bytes, default: int) -> int:
    """0 to 2^63-1, by the record of that key, else as the header has it."""
    text = pax.get(key)
    if text:
        if not text.isdigit() or len(text) > 20:
            raise MalformedField(f"has a malformed {key.decode()}")
        default = int(text)
    if default < 0 or default >= 1 << 63:
        raise MalformedField(f"has a {key.decode()} out of range")
    return default


def owner(pax: dict[bytes, bytes], key: bytes, field: bytes) -> int:
    """A user's or group's number, of 32 bits."""
    value = pax_number(pax, key, number(field, key.decode()))
    if value >= 1 << 32:
        raise MalformedField(f"has a {key.decode()} out of range")
    return value


def mtime(pax: dict[bytes, bytes], block: bytes) -> int:
    """Whole seconds since 1970, rounded down."""
    text = pax.get(b"mtime")
    if not text:
        value = number(block[136:148], "mtime")
    else:
        whole, _, fraction = text.partition(b".")
        if not whole.removeprefix(b"-").isdigit() or len(whole) > 20 or fraction.strip(b"0123456789"):
            raise MalformedField("has a malformed mtime")
        value = int(whole)
        if whole.startswith(b"-") and fraction.strip(b"0"):
            value -= 1  # whole seconds are rounded down
    if not -(1 << 63) <= value < 1 << 63:
        raise MalformedField("has an mtime out of range")
    return value


def device(block: bytes) -> tuple[int, int]:
    """(major, minor)"""
    major, minor = number(block[329:337], "device"), number(block[337:345], "device")
    if not (0 <= major < 1 << 12 and 0 <= minor < 1 << 20):  # what Linux has, makedev(3)
        raise MalformedField("has a device number out of range")
    return major, minor


def ustar_name(block: bytes) -> bytes:
    """The name in the header itself, which may be in two fields."""
    name = block[:100].partition(b"\0")[0]
    if block[257:263] == b"ustar\0":
        prefix = block[345:500].partition(b"\0")[0]
        if prefix:
            return prefix + b"/" + name
    return name


def xattrs(pax: dict[bytes, bytes]) -> tuple[tuple[bytes, bytes], ...]:
    """(name, value), sorted."""
    if not pax:
        return ()
    return tuple(
        sorted((key[len(XATTR) :], value) for key, value in pax.items() if key.startswith(XATTR) and key != XATTR)
    )
