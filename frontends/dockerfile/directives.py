"""Parser directives: `# escape=`, `# syntax=`, `# check=` on the first lines of a Dockerfile."""

from __future__ import annotations

import re

from frontends.errors import ParseFault

_DIRECTIVE = re.compile(r"([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*\Z", re.DOTALL)
_KNOWN = frozenset({"syntax", "escape", "check"})


class Directives:
    """Reads lines until the first that is no directive; values by lower-case key."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self._done = False

    @property
    def escape(self) -> str:
        return self.values.get("escape", "\\")

    def read(self, line: str) -> bool:
        """Whether the line (no leading blanks, no line end) is a directive. Raises ParseFault on a repeated one."""
        found = None if self._done else directive(line[1:]) if line.startswith("#") else None
        if found is None:
            self._done = True
            return False
        key, value = found
        if key in self.values:
            raise ParseFault(f"only one {key} parser directive can be used")
        if key == "escape" and value not in ("\\", "`"):
            raise ParseFault(f"invalid escape token '{value}' does not match ` or \\")
        if key == "syntax":
            _check_syntax(value)
        self.values[key] = value
        return True


def directive(comment: str) -> tuple[str, str] | None:
    """Key and value of a comment's text that has the form of a known directive."""
    found = _DIRECTIVE.match(comment.lstrip())
    if found is None or found[1].lower() not in _KNOWN:
        return None
    return found[1].lower(), found[2]


def _check_syntax(value: str) -> None:
    image = value.split(" ")[0]
    repository = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    if not repository.startswith("dockerfile"):
        raise ParseFault(
            f"frontend image {image} is not supported",
            "lapstrake has the docker/dockerfile frontend built in and runs no other; drop the syntax directive",
        )
