"""Errors of the frontends.

cache.errors.Fault
└── FrontendFault            a source text that cannot become a Program; carries the source and its lines, if known
    ├── ParseFault           the text does not follow the grammar
    ├── ExpansionFault       a variable expansion that fails: bad substitution, ${name:?text}
    └── LowerFault           the text is well formed but asks for what there is not: a stage, a scope, a permission
"""

from __future__ import annotations

from cache.errors import Fault
from frontends.text import Lines, Source


class FrontendFault(Fault):
    """lines: first and last line at fault, counted from 1, or None where the whole file is; places: all, if several."""

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        source: Source | None = None,
        lines: Lines | None = None,
        places: tuple[Lines, ...] = (),
    ) -> None:
        super().__init__(message, hint)
        self.source = source
        self.lines = places[0] if places else lines
        self.places = places or ((lines,) if lines is not None else ())

    @property
    def excerpt(self) -> str:
        """The lines at fault as BuildKit draws them, the last place first; "" where they are not known."""
        source = self.source
        return "\n".join(filter(None, map(source.excerpt, reversed(self.places)))) if source is not None else ""

    def at(self, source: Source, lines: Lines) -> FrontendFault:
        """The same fault with its place, unless it has one already."""
        if self.lines is not None:
            return self
        return type(self)(self.message, self.hint, source=source, lines=lines)


class ParseFault(FrontendFault):
    """The text does not follow the grammar."""


class ExpansionFault(FrontendFault):
    """A word of an instruction cannot be expanded."""


class LowerFault(FrontendFault):
    """An instruction that cannot be carried out in this build."""
