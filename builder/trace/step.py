"""Step: all that made one step of a build, as it is kept to be compared with the next build."""

from __future__ import annotations

from typing import Any

import msgspec

from cache.digest import Digest


class Place(msgspec.Struct, frozen=True):
    """What a step's name says. stage: `build`, or with its platform `linux/amd64 build`; text: the instruction.

    number, total: of the step in its stage, 0 for what is no instruction of the Dockerfile.
    """

    stage: str
    number: int
    total: int
    text: str


class Read(msgspec.Struct, frozen=True):
    """What a selection was taken from. name: of a folder of the client (local), else of a step or a remote source."""

    name: str
    local: bool = False


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """name: as shown, `[build 2/4] RUN make`. line: of the Dockerfile, 0 for none.

    key: its digest, None where the build ended before it was known; all below is empty then. fields: those of the
    operation by their names, plain values, secrets masked. parents, contents: as in the key. reads: for each of
    contents what it was selected from.
    """

    name: str
    line: int = 0
    key: Digest | None = None
    fields: dict[str, Any] = {}
    parents: tuple[Digest, ...] = ()
    contents: tuple[Digest, ...] = ()
    reads: tuple[Read, ...] = ()

    @property
    def kind(self) -> str:
        """exec, copy, mkdir or image."""
        return str(self.fields.get("type", ""))

    @property
    def sources(self) -> list[tuple[str, bool]]:
        """What it reads by path, in the order of contents: each path, and whether there are wildcards in it."""
        selected = [one for one in self.fields.get("sources") or [] if one["type"] == "select"]
        mounts = [one for one in self.fields.get("mounts") or [] if one["kind"] == "bind" and one["input"] is not None]
        return [(one["path"], bool(one["wildcard"])) for one in selected] + [(one["source"], False) for one in mounts]

    @property
    def listings(self) -> tuple[Digest, ...]:
        """A name for the listing of each of contents: equal contents at another path are another listing."""
        both = zip(self.contents, self.sources, strict=False)
        return tuple(Digest.of(f"{contents} {path}".encode()) for contents, (path, _) in both)

    @property
    def place(self) -> Place:
        return place(self.name)


def place(name: str) -> Place:
    """Read `[build 2/4] RUN make`."""
    head, end, text = name.removeprefix("[").partition("] ")
    stage, _, numbers = head.rpartition(" ")
    number, _, total = numbers.partition("/")
    if not (name.startswith("[") and end and number.isdecimal() and total.isdecimal()):
        return Place("", 0, 0, name)
    return Place(stage.rstrip(), int(number), int(total), text)
