"""What the documents say is there, is there: files they point to, targets of make, options of the command line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import commandpage
from tests.test_imports import ROOMS

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("examples/**/*.md"))]


def text(document: Path) -> str:
    return document.read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", text(document)) + re.findall(r'src="([^"]+)"', text(document))
    missing = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_named_targets_of_make_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", text(document), re.MULTILINE))
    assert named <= targets


def test_every_option_is_in_the_page_of_commands() -> None:
    assert text(ROOT / "docs" / "commands.md") == commandpage.page(), "run: make docs"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_options_in_commands_exist(document: Path) -> None:
    """In each `lapstrake COMMAND …` of a block or within a line; hidden ones count, too."""
    known = dict(commandpage.commands())
    joined = text(document).replace("\\\n", " ")
    for line in re.findall(r"(?:^|[`;|])\s*(lapstrake [^`|;#\n]+)", joined, re.MULTILINE):
        words = line.split()
        name = next((" ".join(words[:n]) for n in (4, 3, 2) if " ".join(words[:n]) in known), None)
        if name is not None:
            there = {opt for p in known[name].params for opt in (*p.opts, *p.secondary_opts)} | {"--help", "-h"}
            assert {re.sub(r"=.*", "", word) for word in words if re.match(r"--?[a-z]", word)} <= there, line


def test_every_exit_code_of_the_program_is_documented() -> None:
    codes = set(re.findall(r"^\| (\d+) \|", text(ROOT / "docs" / "exit-codes.md"), re.MULTILINE))
    source = "".join(path.read_text() for path in ROOT.glob("*/errors.py")) + text(ROOT / "builder/cli/main.py")
    used = set(re.findall(r"^    exit_code = (\d+)|^_[A-Z]+ = (\d+)", source, re.MULTILINE))
    assert {first or second for first, second in used} | {"0", "2"} <= codes


def test_modules_named_in_the_architecture_exist() -> None:
    named = re.findall(r"`((?:builder|cache|frontends|tests)/[\w/.]*)`", text(ROOT / "docs" / "architecture.md"))
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_architecture_has_the_rule_of_imports() -> None:
    page = text(ROOT / "docs" / "architecture.md")
    for room, allowed in ROOMS.items():
        assert f"\n| {room} | {', '.join(sorted(allowed)) or 'nothing'} |\n" in page
    rows = re.findall(r"^\|[^\n]*\|", page.partition("```")[2].partition("```")[0], re.MULTILINE)
    level = {room: number for number, row in enumerate(rows) for room in re.findall(r"[\w/.]+", row)}
    assert ROOMS.keys() <= level.keys()
    assert [(r, a) for r, allowed in ROOMS.items() for a in allowed if level[a] <= level[r]] == []


def test_packages_for_the_tests_are_sorted() -> None:
    packages = (ROOT / "tests" / "packages.txt").read_text().split()
    assert packages == sorted(set(packages))
