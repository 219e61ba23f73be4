"""Owners: whose the members of an archive are, kept beside what is unpacked of it.

An ordinary user can give no file away, and on which owners a user namespace maps no layer may depend.
"""

from __future__ import annotations

from builder.layer.entry import Entry, Kind

Owner = tuple[int, int]
"""uid and gid."""


class Owners:
    """Told of each member in the archive's order; all names of one file have one owner, the last one that was given."""

    def __init__(self) -> None:
        self._known: dict[bytes, list[int]] = {}  # one list a file, shared by its names; who is not here is 0:0
        self._below: dict[bytes, set[bytes]] = {}  # what is in the folders above those

    def tell(self, entry: Entry) -> None:
        """Of what is unpacked without devices (builder.layer.unpack.apply_plain)."""
        path, ids = entry.path, [entry.uid, entry.gid]
        if entry.kind in (Kind.CHAR, Kind.BLOCK):
            return  # left out: what was there before stays
        if entry.kind is not Kind.DIR and path in self._below:
            self._forget(path)
        if entry.kind is Kind.HARDLINK:
            shared = self._known.setdefault(entry.link, [0, 0])
            shared[:] = ids
            self._put(entry.link, shared)
            self._put(path, shared)
        elif ids != [0, 0]:
            self._put(path, ids)
        else:
            self._known.pop(path, None)

    def by_path(self) -> dict[bytes, Owner]:
        """Of all members that are not 0:0."""
        return {path: (uid, gid) for path, (uid, gid) in self._known.items() if uid or gid}

    def _put(self, path: bytes, ids: list[int]) -> None:
        self._known[path] = ids
        while path:
            folder = path.rpartition(b"/")[0]
            members = self._below.setdefault(folder, set())
            if path in members:
                return
            members.add(path)
            path = folder

    def _forget(self, folder: bytes) -> None:
        """It became something else, and all that was in it is gone."""
        gone = [folder]
        while gone:
            for path in self._below.pop(gone.pop(), ()):
                self._known.pop(path, None)
                gone.append(path)
