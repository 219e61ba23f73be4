"""Reasons: why a step was not in the cache, in one line, against the nearest earlier build of the same thing.

The first that applies: a member of what it reads, a variable, the instruction, an option; then what is not its own:
the base image, or the step below that changed first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from builder.graph.key import KEY_VERSION
from builder.trace.align import aligned
from builder.trace.changes import Summary
from builder.trace.mask import shown
from builder.trace.step import Read, Step, place
from builder.trace.trace import Outcome, Trace
from cache.digest import Digest

_LONGEST = 60  # characters of a value or an instruction that is quoted
# What decides a step is named as in the Dockerfile or on the command line.
_OPTIONS = {
    "cwd": "WORKDIR",
    "user": "USER",
    "network": "--network",
    "security": "--security",
    "hosts": "--add-host",
    "ulimits": "--ulimit",
    "shm_size": "--shm-size",
    "mounts": "--mount",
    "devices": "--device",
    "hostname": "BUILDKIT_SANDBOX_HOSTNAME",
    "chown": "--chown",
    "chmod": "--chmod",
    "link": "--link",
    "parents": "--parents",
    "exclude": "--exclude",
}
_INSTRUCTION = ("type", "argv", "files", "sources", "dest", "path")


class Earlier(msgspec.Struct, frozen=True):
    """An earlier build. steps: by their keys. states: what became of them, by key; {} if all was in the cache."""

    trace: Trace
    steps: dict[Digest, Step]
    states: dict[str, str]

    @classmethod
    def of(cls, trace: Trace, outcomes: Sequence[Outcome]) -> Earlier:
        return cls(trace, trace.by_key(), {outcome.key: outcome.state for outcome in outcomes})


class Reasons:
    """earlier: builds of the same identity, last one first. now: of this build, by vertex, each step's name, and its
    key where that is known so far. images: the base images of this build, by vertex.

    what: the Dockerfile, as it is called. changed(before, now): what changed between two listings, None if that is not
    known any more. variable(name): ARG or ENV, "" if the Dockerfile does not set it. secret(name): whether its values
    are not to be shown.
    """

    def __init__(
        self,
        earlier: Sequence[Earlier],
        now: Mapping[Digest, tuple[str, Digest | None]],
        images: Mapping[Digest, Step],
        what: str,
        changed: Callable[[Digest, Digest], Summary | None],
        variable: Callable[[str], str],
        secret: Callable[[str], bool],
    ) -> None:
        self._earlier, self._names, self._images, self._what = earlier, now, images, what
        self._changed, self._variable, self._secret = changed, variable, secret
        self._nearest, self._pairs = _counterparts(earlier, now)
        self._texts = {place(name).text for name, _ in now.values()}
        old = self._nearest.trace.steps if self._nearest is not None else ()
        self._old_texts = {step.place.text for step in old}
        self._origins: dict[Digest, str] = {}

    def why(self, vertex: Digest, step: Step, parents: Sequence[Digest]) -> str:
        """parents: the vertices that step.parents are the keys of; asked about before it if they were missed too."""
        text, below = self._why(vertex, step, parents)
        self._origins[vertex] = below
        return shown(text)

    def remade(self, vertex: Digest, name: str, text: str) -> str:
        """A step runs again for a reason that has nothing to do with its key."""
        self._origins[vertex] = f"because {quoted(name)} was made anew"
        return text

    def of_parent(self, parent: Digest, name: str) -> str:
        """What is said of a step that stands on one that is not what it was."""
        return self._origins.get(parent) or f"because {quoted(name)} changed"

    def _why(self, vertex: Digest, step: Step, parents: Sequence[Digest]) -> tuple[str, str]:
        """The reason, and what is said of those that stand on the step."""
        known = self._of_key(step.key) if step.key is not None else ""
        if known:
            return known, f"because {quoted(step.name)} was made anew"
        if self._nearest is None:
            text = f"no earlier build of {self._what}"
            return text, text
        if self._nearest.trace.keys != KEY_VERSION:
            text = f"the form of keys changed (version {self._nearest.trace.keys} -> {KEY_VERSION})"
            return text, text
        if vertex not in self._pairs:
            if place(step.name).text in self._old_texts:
                return "instruction moved", f"because {quoted(step.name)} was moved"
            return "new instruction", f"because {quoted(step.name)} is new"
        build, olds = self._pairs[vertex]
        before = olds[vertex]
        own = self._own(before, step)
        if own:
            return own, f"because {quoted(step.name)} changed"
        inherited = self._inherited(build, olds, before, step, parents) or _left(before, step)
        return inherited, inherited if not inherited.startswith("base") else f"because {quoted(step.name)} changed"

    def _of_key(self, key: Digest) -> str:
        """Why a step that was there before is not there now; "" if it was not."""
        for earlier in self._earlier:
            if key not in earlier.steps:
                continue
            state = earlier.states.get(str(key), "")
            if state in ("failed", "canceled"):
                return f"it {'failed' if state == 'failed' else 'was canceled'} in an earlier build"
            if not state and not {"failed", "canceled"}.isdisjoint(earlier.states.values()):
                return "it was not reached in an earlier build"
            return "its result was evicted from the cache"
        return ""

    def _own(self, before: Step, now: Step) -> str:
        """What is the step's own: its files, variables, words, options."""
        old, new = before.fields, now.fields
        if before.contents != now.contents and _selects(old) == _selects(new):
            return self._files(before, now)
        variables = self._variables(old.get("env") or [], new.get("env") or [])
        if variables:
            return variables
        differing = [name for name in _INSTRUCTION if old.get(name) != new.get(name)]
        if differing:
            was, text = place(before.name).text, place(now.name).text
            return f"instruction changed, was {quoted(was)}" if was != text else _unwritten(differing[0], old, new)
        for name in new:
            if name != "env" and old.get(name) != new.get(name):
                return f"{_OPTIONS.get(name, name)} changed{_values(old.get(name), new.get(name))}"
        return ""

    def _files(self, before: Step, now: Step) -> str:
        index = next(n for n, pair in enumerate(zip(before.contents, now.contents, strict=True)) if pair[0] != pair[1])
        read = now.reads[index] if index < len(now.reads) else Read("what it reads")
        of = "" if read.local and read.name == "context" else f" of {_source(read)}"
        found = self._changed(before.listings[index], now.listings[index])
        if found is None or found.first is None:
            return f"files{of or ' of the context'} changed"
        more = f" and {found.count - 1} more" if found.count > 1 else ""
        path = found.first.path.decode(errors="backslashreplace") or "/"
        return f"{path}{of} {found.first.what}{more}"

    def _variables(self, before: Sequence[str], now: Sequence[str]) -> str:
        old = dict(entry.partition("=")[::2] for entry in before)
        new = dict(entry.partition("=")[::2] for entry in now)
        changed = [name for name in (*new, *(n for n in old if n not in new)) if old.get(name) != new.get(name)]
        if self._bases_differ():  # a base brings variables of its own, and is the better word for them
            changed = [name for name in changed if self._variable(name)]
        if not changed:
            return ""
        name = changed[0]
        what = "added" if name not in old else "removed" if name not in new else "changed"
        values = "" if self._secret(name) else _values(old.get(name), new.get(name))
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        return f"{self._variable(name) or 'ENV'} {name} {what}{values}{more}"

    def _bases_differ(self) -> bool:
        assert self._nearest is not None
        old = {str(step.fields.get("manifest")) for step in self._nearest.trace.steps if step.kind == "image"}
        return old != {str(step.fields.get("manifest")) for step in self._images.values()}

    def _inherited(
        self, build: Earlier, olds: Mapping[Digest, Step], before: Step, now: Step, parents: Sequence[Digest]
    ) -> str:
        """What it stands on: the first tree that is another one."""
        for index, (parent, key) in enumerate(zip(parents, now.parents, strict=True)):
            was = build.steps.get(before.parents[index]) if index < len(before.parents) else None
            if was is not None and was.key == key:
                continue
            image, mine = self._images.get(parent), olds.get(parent)
            name = self._names[parent][0]
            if was is None:
                return f"because it stands on {quoted(name)} now"
            if image is not None and was.kind == "image":
                return _base(was, image)
            if mine is was or (mine is None and image is None):
                return self.of_parent(parent, name)
            moved = was.place.text in self._texts
            return f"because {quoted(was.name)} is {'no longer below it' if moved else 'gone'}"
        return "because it stands on nothing now" if len(before.parents) > len(now.parents) else ""


def _source(read: Read) -> str:
    stage = place(read.name).stage
    return f"stage {stage}" if stage and not read.local else quoted(read.name)


def quoted(text: str) -> str:
    """A name, or words of a Dockerfile, on one line and not too long."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _counterparts(
    earlier: Sequence[Earlier], now: Mapping[Digest, tuple[str, Digest | None]]
) -> tuple[Earlier | None, dict[Digest, tuple[Earlier, dict[Digest, Step]]]]:
    """The build that shares most keys with this one, of equals the last; and with which build each vertex is to be
    compared, and what all vertices were in that.

    A step whose key that build did not come to know, since it failed, is looked for in the next nearest.
    """
    keys = {key for _, key in now.values()}
    ranked = sorted(earlier, key=lambda one: -len(keys & one.steps.keys()))
    found: dict[Digest, tuple[Earlier, dict[Digest, Step]]] = {}
    left = list(now)
    for one in ranked:
        steps, vertices, left = one.trace.steps, left, []
        pairs = aligned([step.place for step in steps], [place(now[vertex][0]) for vertex in now])
        olds = {vertex: steps[pairs[n]] for n, vertex in enumerate(now) if n in pairs}
        for vertex in vertices:
            if vertex in olds and olds[vertex].key is None:
                left.append(vertex)
            elif vertex in olds:
                found[vertex] = (one, olds)
        if not left:
            break
    return ranked[0] if ranked else None, found


def _unwritten(name: str, old: dict[str, Any], new: dict[str, Any]) -> str:
    """What changed in an instruction whose own line reads as before."""
    if name in ("dest", "path"):  # relative to a WORKDIR
        return f"{'WORKDIR' if name == 'path' else 'destination'} changed{_values(old.get(name), new.get(name))}"
    if name == "argv" and old["argv"][:-1] != new["argv"][:-1]:
        return f"SHELL changed{_values(old['argv'][:-1], new['argv'][:-1])}"
    return "heredoc changed"


def _selects(fields: dict[str, Any]) -> list[Any]:
    """The words that name what a step reads."""
    binds = [one for one in fields.get("mounts") or [] if one.get("kind") == "bind"]
    return [one for one in fields.get("sources") or [] if one.get("type") == "select"] + [
        (one.get("input"), one.get("source")) for one in binds
    ]


def _base(was: Step, now: Step) -> str:
    old, new = was.name.rpartition("FROM ")[2], now.name.rpartition("FROM ")[2]
    if old != new:
        return f"base image changed ({quoted(old)} -> {quoted(new)})"
    return f"base image {quoted(new)} changed ({_short(was)} -> {_short(now)})"


def _left(before: Step, now: Step) -> str:
    """What is left if nothing else was found."""
    return "variables in another order" if before.fields.get("env") != now.fields.get("env") else "its key changed"


def _short(image: Step) -> str:
    return str(image.fields.get("manifest", ""))[: len("sha256:") + 12]


def _values(old: object, new: object) -> str:
    """` (old -> new)` for texts that are short enough to be read."""
    if old is None or new is None:
        only = old if new is None else new
        return f" ({quoted(only)})" if isinstance(only, str) and only else ""
    if not isinstance(old, str) or not isinstance(new, str):
        return f" ({_words(old)} -> {_words(new)})" if _plain(old) and _plain(new) else ""
    return f" ({quoted(old) or 'empty'} -> {quoted(new) or 'empty'})"


def _plain(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _words(value: object) -> str:
    assert isinstance(value, list)
    return quoted(" ".join(value)) or "none"
