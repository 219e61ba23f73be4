"""`-f KEY=VALUE` of lists of images, with Docker's keys."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from builder.errors import ImageFault
from builder.oci.boolean import parse_bool

_KEYS = ("before", "dangling", "label", "reference", "since", "until")


class Filters(msgspec.Struct, frozen=True):
    """references: patterns, of which one must fit. labels: all must be there. dangling: None for either.

    until: times before which an image was made or named here, or durations ago.
    """

    references: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    since: tuple[str, ...] = ()
    until: tuple[str, ...] = ()
    dangling: bool | None = None

    @classmethod
    def parse(cls, texts: tuple[str, ...]) -> Filters:
        """Raises ImageFault in Docker's words."""
        found: dict[str, list[str]] = {key: [] for key in _KEYS}
        for text in texts:
            key, equals, value = text.partition("=")
            key = key.strip().lower()
            if not equals:
                raise ImageFault(f"invalid filter '{text}'", "want KEY=VALUE")
            if key not in found:
                raise ImageFault(f"invalid filter '{key}'", f"filters: {', '.join(_KEYS)}")
            found[key].append(value.strip())
        return cls(
            references=tuple(found["reference"]),
            labels=tuple(found["label"]),
            before=tuple(found["before"]),
            since=tuple(found["since"]),
            until=tuple(found["until"]),
            dangling=_boolean(found["dangling"]),
        )

    def has_labels(self, labels: dict[str, str]) -> bool:
        """Whether all of `k` and `k=v` are among an image's labels."""
        for wanted in self.labels:
            name, equals, value = wanted.partition("=")
            if name not in labels or (equals and labels[name] != value):
                return False
        return True

    def fits(self, name: str) -> bool:
        """Whether a name, `repository:tag`, fits one of the patterns; true where there are none."""
        repository = name.rpartition(":")[0]
        return not self.references or any(m(name) or m(repository) for m in map(_matcher, self.references))


def _boolean(values: list[str]) -> bool | None:
    for value in values:
        if parse_bool(value) is None:
            raise ImageFault(f"invalid filter 'dangling={value}'", "want true or false")
    return parse_bool(values[-1]) if values else None


def _matcher(pattern: str) -> Callable[[str], object]:
    """Go's path.Match: `*` and `?` do not reach over a slash."""
    text = at = ""
    rest = pattern
    while rest:
        at, rest = rest[0], rest[1:]
        if at == "*":
            text += "[^/]*"
        elif at == "?":
            text += "[^/]"
        elif at == "[" and "]" in rest[1:]:
            end = rest.index("]", 1)
            inside = rest[:end].replace("\\", "\\\\").replace("[", "\\[")
            text, rest = f"{text}[{inside}]", rest[end + 1 :]
        elif at == "\\" and rest:
            text, rest = text + re.escape(rest[0]), rest[1:]
        elif at in "[\\":
            raise ImageFault(f"invalid filter 'reference={pattern}': syntax error in pattern")
        else:
            text += re.escape(at)
    try:
        return re.compile(text).fullmatch
    except re.error:
        raise ImageFault(f"invalid filter 'reference={pattern}': syntax error in pattern") from None
