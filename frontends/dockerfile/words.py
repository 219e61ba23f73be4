"""Word: text in which variables are expanded, as a tree; and its expansion (BuildKit's frontend/dockerfile/shell).

A Word is plain text where nothing is special, else a Template of parts. Trees are made by `grammar.words` and
need no grammar to be expanded.
"""

from collections.abc import Mapping

import msgspec

from frontends.dockerfile.gotext import SPACE, quote
from frontends.errors import ExpansionFault

# What variables may add to one word. Each can be made of the one before, so sizes would double with every line; the
# kernel takes no argument above 128 KiB anyway (execve(2), MAX_ARG_STRLEN).
LARGEST_GROWTH = 1 << 18


class Plain(msgspec.Struct, frozen=True, array_like=True, tag="p"):
    """Text outside quotes."""

    text: str


class Escaped(msgspec.Struct, frozen=True, array_like=True, tag="e"):
    """A character made literal. mark: the escape character, where it is kept (patterns), else ""."""

    text: str
    mark: str = ""


class Single(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """Text in single quotes, without them."""

    text: str


class Double(msgspec.Struct, frozen=True, array_like=True, tag="d"):
    """Parts in double quotes."""

    parts: tuple["Part", ...]


class Variable(msgspec.Struct, frozen=True, array_like=True, tag="v"):
    """`$name`, `${name}` or `${name<operator>operand}`. replacement: of the operators / and //."""

    name: str
    braces: bool = False
    operator: str = ""
    operand: tuple["Part", ...] = ()
    replacement: tuple["Part", ...] = ()


Part = Plain | Escaped | Single | Double | Variable


class Template(msgspec.Struct, frozen=True, array_like=True):
    """text: as written; fault: why it cannot be expanded, "" if it can."""

    text: str
    parts: tuple["Part", ...]
    fault: str = ""


Word = str | Template


def written(word: Word) -> str:
    """The word as it stands in the file."""
    return word if isinstance(word, str) else word.text


class Expander:
    """Expands words with one environment. matched and missing: names that were looked up, in order, and (not) found."""

    def __init__(self, env: Mapping[str, str], *, display: bool = False) -> None:
        """display: quotes are kept and variables that are not set stay as written, as progress shows a RUN."""
        self._env = env
        self._grown = 0
        self._display = display
        self.matched: dict[str, None] = {}
        self.missing: dict[str, None] = {}

    def expand(self, word: Word) -> str:
        """One word to one word. Raises ExpansionFault in BuildKit's words."""
        if isinstance(word, str):
            return word
        return "".join(text for text, _ in self._pieces(word))

    def split(self, word: Word) -> list[str]:
        """One word to any number: text outside quotes and variables outside quotes are split at blanks."""
        if isinstance(word, str):
            return word.split()
        words: list[str] = []
        current = ""
        for text, whole in self._pieces(word):
            for ch in (text,) if whole else text:
                if not whole and ch in SPACE:
                    words.extend([current] if current else [])
                    current = ""
                else:
                    current += ch
        return [*words, current] if current else words

    def _pieces(self, word: Template) -> list[tuple[str, bool]]:
        """Expanded parts of a word, and whether each was quoted."""
        self._grown = 0
        try:
            if word.fault:
                raise ExpansionFault(word.fault)
            return [(self._part(part), not isinstance(part, Plain | Variable)) for part in word.parts]
        except ExpansionFault as error:
            raise ExpansionFault(f"failed to process {quote(word.text)}: {error.message}") from None

    def _join(self, parts: tuple[Part, ...]) -> str:
        return "".join(map(self._part, parts))

    def _part(self, part: Part) -> str:
        if isinstance(part, Variable):
            return self._variable(part)
        if isinstance(part, Double):
            inner = self._join(part.parts)
            return f'"{inner}"' if self._display else inner
        if isinstance(part, Single):
            return f"'{part.text}'" if self._display else part.text
        return part.mark + part.text if isinstance(part, Escaped) else part.text

    def _variable(self, part: Variable) -> str:
        operand = self._join(part.operand)  # always, so that its own faults and missing names are found
        replacement = self._join(part.replacement)
        text = self._value(part, operand, replacement)
        self._grown += len(text)
        if self._grown > LARGEST_GROWTH:
            raise ExpansionFault(f"{part.name}: expands to more than {LARGEST_GROWTH} characters")
        return text

    def _value(self, part: Variable, operand: str, replacement: str) -> str:
        value = self._env.get(part.name)
        (self.missing if value is None else self.matched)[part.name] = None
        if value is None and self._display:
            return _as_written(part, operand, replacement)
        if not part.operator:
            return value or ""
        return _apply(part, value, operand, replacement)


def _as_written(part: Variable, operand: str, replacement: str) -> str:
    if not part.braces:
        return f"${part.name}"
    tail = f"/{replacement}" if part.operator in ("/", "//") else ""
    return f"${{{part.name}{part.operator}{operand}{tail}}}"


def _apply(part: Variable, value: str | None, operand: str, replacement: str) -> str:
    operator = part.operator
    given = value is not None and (value != "" or operator[0] != ":")
    if operator in ("-", ":-"):
        return value or "" if given else operand
    if operator in ("+", ":+"):
        return operand if given else ""
    if operator in ("?", ":?"):
        if not given:
            why = "unset" if value is None else "empty"
            raise ExpansionFault(f"{part.name}: {operand or f'is not allowed to be {why}'}")
        return value or ""
    from frontends.dockerfile import pattern

    if operator in ("/", "//"):
        most = LARGEST_GROWTH
        return pattern.replace(value or "", operand, replacement, every=operator == "//", most=most)
    # Doubled is not said by the word as written, but by the expanded one: `${a#"#x"}` is `${a##x}`.
    operand = operator[1:] + operand
    greedy = operand.startswith(operator[0])
    operand = operand[greedy:]
    if operator[0] == "#":
        return pattern.cut_prefix(value or "", operand, greedy=greedy)
    return pattern.cut_suffix(value or "", operand, greedy=greedy)
