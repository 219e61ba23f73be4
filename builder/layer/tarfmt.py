"""Our tar header writer: what it writes decides every diff_id, so a change of any rule here changes all of them.

The rules (POSIX.1-2017 pax interchange format; OCI image-spec layer.md):
  - one ustar block per member where the values fit, and a pax extended header ('x') in front of it where not
  - a path or link over 100 bytes goes into a pax record; the ustar prefix field is never used
  - names are raw bytes as the file system has them, ASCII or not; directories end with a slash, the root is `./`
  - uid and gid above 0o7777777, sizes of 8 GiB and more, times outside 0..8589934591: pax, with 0 in the block
  - extended attributes are SCHILY.xattr.* records; pax records are sorted by key
  - uname and gname are empty; times are whole seconds; the archive ends with two zero blocks and no more
"""

from __future__ import annotations

from zlib import adler32

from builder.errors import LayerFault
from builder.layer.entry import Entry, Kind, shown

BLOCK = 512
END = bytes(2 * BLOCK)
XATTR = b"SCHILY.xattr."

_NAME = 100
_MAX_ID = 0o7777777
_MAX_NUMBER = 0o77777777777
_ZEROS = bytes(BLOCK)
_TYPES = {
    Kind.FILE: b"0",
    Kind.HARDLINK: b"1",
    Kind.SYMLINK: b"2",
    Kind.CHAR: b"3",
    Kind.BLOCK: b"4",
    Kind.DIR: b"5",
    Kind.FIFO: b"6",
}
_TAIL = b"\0" * 167  # prefix and padding


def padding(size: int) -> bytes:
    """The zeros that fill the last block of `size` bytes of content."""
    return _ZEROS[: -size % BLOCK]


def header(entry: Entry) -> bytes:
    """The header blocks of one member; content and `padding` follow if it is a FILE.

    WHITEOUT and OPAQUE have no tar type: `builder.layer.whiteout.to_oci` turns them into files first.
    """
    kind = _TYPES.get(entry.kind)
    if kind is None:
        raise LayerFault(f"a {entry.kind.value} mark cannot be written as a tar member: {shown(entry.path)}")
    name = entry.path
    if entry.kind is Kind.DIR:
        name = name + b"/" if name else b"./"
    mtime, size = entry.mtime, entry.size if entry.kind is Kind.FILE else 0
    uid, gid, link = entry.uid, entry.gid, entry.link
    records: list[tuple[bytes, bytes]] = []
    if len(name) > _NAME:
        records.append((b"path", name))
        name = name[:_NAME]
    if len(link) > _NAME:
        records.append((b"linkpath", link))
        link = link[:_NAME]
    if not 0 <= mtime <= _MAX_NUMBER:
        records.append((b"mtime", b"%d" % mtime))
        mtime = 0
    if size > _MAX_NUMBER:
        records.append((b"size", b"%d" % size))
        size = 0
    if uid > _MAX_ID:
        records.append((b"uid", b"%d" % uid))
        uid = 0
    if gid > _MAX_ID:
        records.append((b"gid", b"%d" % gid))
        gid = 0
    for key, value in entry.xattrs:
        records.append((XATTR + key, value))
    block = _block(name, entry.mode, uid, gid, size, mtime, kind, link, entry.device)
    if not records:
        return block
    return _pax(records, name) + block


def _block(
    name: bytes, mode: int, uid: int, gid: int, size: int, mtime: int, kind: bytes, link: bytes,
    device: tuple[int, int],
) -> bytes:  # fmt: skip
    major, minor = device
    if not (0 <= major <= _MAX_ID and 0 <= minor <= _MAX_ID and min(uid, gid) >= 0):
        raise LayerFault(f"numbers of {shown(name)} do not fit a tar header")
    front = b"%b%07o\0%07o\0%07o\0%011o\0%011o\0" % (
        name.ljust(_NAME, b"\0"), mode & 0o7777, uid, gid, size, mtime,
    )  # fmt: skip
    back = b"%b%bustar\00000%b%07o\0%07o\0%b" % (
        kind, link.ljust(_NAME, b"\0"), _ZEROS[:64], major, minor, _TAIL,
    )  # fmt: skip
    # The low half of Adler-32 (RFC 1950) is one more than the sum of the bytes, which in a header is below its modulus.
    return b"%b%06o\0 %b" % (front, (adler32(back, adler32(front)) & 0xFFFF) - 1 + 8 * 32, back)


def _pax(records: list[tuple[bytes, bytes]], name: bytes) -> bytes:
    body = b"".join(_record(key, value) for key, value in sorted(records))
    # The name of the extended header itself is never used; a fixed prefix keeps it recognisable in listings.
    block = _block((b"PaxHeaders.0/" + name.rstrip(b"/"))[:_NAME], 0o644, 0, 0, len(body), 0, b"x", b"", (0, 0))
    return block + body + padding(len(body))


def _record(key: bytes, value: bytes) -> bytes:
    """`LENGTH key=value\\n`, where LENGTH counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) > len(str(rest)):
        length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)
