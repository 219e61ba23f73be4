"""The lint rules that need the tree alone: casing, names of stages, comments."""

from __future__ import annotations

from collections import Counter

from frontends.dockerfile.gotext import quote
from frontends.dockerfile.instructions import AnyInstruction, Arg, From, Maintainer, Tree
from frontends.dockerfile.lint import Lint
from frontends.text import Lines

_SECRET = frozenset({
    "apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token",
})  # fmt: skip
_HARMLESS = frozenset({"public", "file", "version"})


def check_style(tree: Tree, lint: Lint) -> None:
    """Report what can be seen of single instructions, whether their stage is built or not."""
    for lines in tree.blanks:
        lint.report("NoEmptyContinuation", Lines(lines.last, lines.last), ())
    in_stages = False
    names: set[str] = set()
    for instruction in tree.instructions:
        in_stages = in_stages or isinstance(instruction, From)
        if isinstance(instruction, From):
            _check_from(instruction, names, lint)
        elif isinstance(instruction, Arg):
            _check_description("ARG", [a.name for a in instruction.arguments], instruction, lint)
        elif isinstance(instruction, Maintainer):
            lint.report("MaintainerDeprecated", instruction.lines, instruction.comments)
    _check_casing(tree, lint)


def holds_secret(name: str) -> bool:
    """Whether a variable's name looks like a secret's: api_key, DATABASE_PASSWORD, but not KEY_FILE."""
    words = set(name.lower().split("_"))
    return bool(words & _SECRET) and not words & _HARMLESS


def _check_from(stage: From, names: set[str], lint: Lint) -> None:
    if stage.stage_written != stage.stage:
        lint.report("StageNameCasing", stage.lines, stage.comments, stage.stage_written)
    if stage.as_keyword and _case(stage.keyword) and _case(stage.as_keyword) != _case(stage.keyword):
        lint.report("FromAsCasing", stage.lines, stage.comments, stage.as_keyword, stage.keyword)
    if stage.stage in ("context", "scratch"):
        lint.report("ReservedStageName", stage.lines, (), quote(stage.stage))
    if stage.stage in names:
        lint.report("DuplicateStageName", stage.lines, (), quote(stage.stage))
    if stage.stage:
        names.add(stage.stage)
        _check_description("FROM", [stage.stage], stage, lint)


def _check_description(keyword: str, names: list[str], instruction: AnyInstruction, lint: Lint) -> None:
    comments = instruction.comments
    if comments and comments[-1].split(" ")[0] not in names:
        example = names[0] if len(names) == 1 else "<arg_key>"
        lint.report("InvalidDefinitionDescription", instruction.lines, comments, keyword, example)


def _case(word: str) -> str:
    return "lowercase" if word == word.lower() else "uppercase" if word == word.upper() else ""


def _check_casing(tree: Tree, lint: Lint) -> None:
    first = next((i for i, found in enumerate(tree.instructions) if isinstance(found, From)), 0)
    counted = tree.instructions[first:]
    cases = Counter(_case(instruction.keyword) for instruction in counted)
    majority = "lowercase" if cases["lowercase"] > cases["uppercase"] else "uppercase"
    for instruction in counted:
        if _case(instruction.keyword) != majority:
            lint.report("ConsistentInstructionCasing", instruction.lines, (), instruction.keyword, majority)
