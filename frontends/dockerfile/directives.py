"""Parser directives: `# escape=`, `# syntax=`, `# check=` on the first lines of a Dockerfile (parser/directives.go)."""

from __future__ import annotations

import json
import re

from frontends.dockerfile.gotext import SPACE
from frontends.errors import ParseFault
from frontends.text import Lines, Source

# The blanks within are those of Go's regular expressions, which are fewer than SPACE.
_DIRECTIVE = re.compile(r"([A-Za-z][A-Za-z0-9]*)[\t\n\f\r ]*=[\t\n\f\r ]*(.+?)[\t\n\f\r ]*\Z")
_KNOWN = frozenset({"syntax", "escape", "check"})
_MOST_LINES = len(_KNOWN) + 1  # more cannot be directives


class Directives:
    """Reads lines until the first that is no directive; values by lower-case key."""

    def __init__(self, mark: str = "#") -> None:
        self.values: dict[str, str] = {}
        self._done = False
        self._mark = mark

    @property
    def escape(self) -> str:
        return self.values.get("escape", "\\")

    def read(self, line: str) -> bool:
        """Whether the line (no line end) is a directive. Raises ParseFault on a repeated one."""
        found = None if self._done or not line.startswith(self._mark) else directive(line[len(self._mark) :])
        if found is None:
            self._done = True
            return False
        key, value = found
        if key in self.values:
            raise ParseFault(f"only one {key} parser directive can be used")
        if key == "escape" and value not in ("\\", "`"):
            raise ParseFault(f"invalid escape token '{value}' does not match ` or \\")
        self.values[key] = value
        return True


def directive(comment: str) -> tuple[str, str] | None:
    """Key and value of a comment's text that has the form of a known directive."""
    found = _DIRECTIVE.match(comment.lstrip(SPACE))
    if found is None or found[1].lower() not in _KNOWN:
        return None
    return found[1].lower(), found[2]


def check_directive(data: bytes) -> str:
    """The value of `# check=`, which may stand below a first line `#!…`; "" if there is none."""
    return _first("check", data, "#")[0].partition(" ")[0]


def refuse_other_syntax(source: Source) -> None:
    """Raise ParseFault, with its place, where a file asks for a frontend that is not ours.

    It asks with `# syntax=`, with `// syntax=`, or with the key `syntax` of a JSON object: files of other frontends
    need not look like a Dockerfile.
    """
    value, line = _first("syntax", source.data, "#")
    if not value:
        value, line = _first("syntax", source.data, "//")
    if not value:
        value, line = _of_json(source.data), 1
    if value:
        check_frontend(value, source, Lines(line, line))


def check_frontend(value: str, source: Source, lines: Lines | None = None) -> None:
    """Raise ParseFault where the image that `syntax=` names is not a build of our frontend."""
    image = value.partition(" ")[0]
    repository = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    if not repository.startswith("dockerfile"):
        raise ParseFault(
            f"frontend image {image} is not supported",
            "lapstrake has the docker/dockerfile frontend built in and runs no other; drop the syntax directive",
            source=source,
            lines=lines,
        )


def _first(key: str, data: bytes, mark: str) -> tuple[str, int]:
    """Value and line of a directive that a frontend is chosen by: no blanks before the mark; "" if there is none."""
    found = Directives(mark)
    text, skipped = _without_shebang(data)
    for number, line in enumerate(text.split(b"\n", _MOST_LINES), skipped + 1):
        try:
            if not found.read(line.removesuffix(b"\r").decode("utf-8", "replace")):
                break
        except ParseFault:
            break
        if key in found.values:
            return found.values[key], number
    return "", 0


def _without_shebang(data: bytes) -> tuple[bytes, int]:
    """The text without byte order mark and a first line `#!…`, and how many lines that took away."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    return (data.partition(b"\n")[2], 1) if data.startswith(b"#!") else (data, 0)


def _of_json(data: bytes) -> str:
    text = _without_shebang(data)[0].lstrip()
    if not text.startswith(b"{"):
        return ""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    return value["syntax"] if isinstance(value, dict) and isinstance(value.get("syntax"), str) else ""
