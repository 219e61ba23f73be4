"""What changed between two listings: the names of members, and in what they differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from builder.trace.listing import Member, order


class Change(msgspec.Struct, frozen=True):
    """what: `changed (content)`, `changed (mode 0644 -> 0755)`, `added`, `removed`, ….  folder: it is one."""

    path: bytes
    what: str
    folder: bool = False


class Summary(msgspec.Struct, frozen=True):
    """first: the change to name, None if there is none. count: of all that are worth counting."""

    first: Change | None
    count: int


def changes(old: Iterable[Member], new: Iterable[Member]) -> Iterator[Change]:
    """In order of the paths. Both must be in that order; neither is held in memory."""
    a, b = iter(old), iter(new)
    before, now = next(a, None), next(b, None)
    while before is not None or now is not None:
        if before is not None and now is not None and before.path == now.path:
            if before != now:
                yield Change(now.path, _difference(before, now), now.kind == "dir")
            before, now = next(a, None), next(b, None)
        elif now is None or (before is not None and order(before.path) < order(now.path)):
            assert before is not None
            yield Change(before.path, "removed", before.kind == "dir")
            before = next(a, None)
        else:
            yield Change(now.path, "added", now.kind == "dir")
            now = next(b, None)


def summed_up(found: Iterable[Change]) -> Summary:
    """A folder that came or went with what is in it does not count besides that; nor does one that is a mere parent."""
    first: Change | None = None
    folder: Change | None = None
    files = folders = 0
    for change in found:
        if change.folder:
            folder, folders = folder or change, folders + 1
        else:
            first, files = first or change, files + 1
    if first is None:
        return Summary(folder, folders)
    return Summary(first, files)


def _difference(before: Member, now: Member) -> str:
    if before.kind != now.kind:
        return f"changed ({before.kind} -> {now.kind})"
    if before.digest != now.digest:
        return "changed (content)"
    if before.mode != now.mode:
        return f"changed (mode {before.mode:04o} -> {now.mode:04o})"
    if before.link != now.link:
        return f"changed (link {_text(before.link)} -> {_text(now.link)})"
    return "changed (attributes)"


def _text(link: bytes) -> str:
    return link.decode(errors="backslashreplace")
