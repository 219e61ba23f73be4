from __future__ import annotations

import fnmatch
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.errors import SourceFault
from builder.source.ignore import Ignore, read_patterns
from builder.source.pattern import clean, match_wildcard
from tests.builder.source.bruteforce import hidden

HERE = Path(__file__).parent

# patterns (split at blanks), path, excluded
VERDICTS = [
    ("a", "a", True),
    ("a", "b", False),
    ("a", "a/b", True),
    ("a", "a/b/c", True),
    ("a", "b/a", False),
    ("a", "ab", False),
    ("a/b", "a/b", True),
    ("a/b", "a", False),
    ("a/b", "a/b/c", True),
    ("a/b", "a/c", False),
    ("a/", "a", True),
    ("./a", "a", True),
    ("a/../b", "b", True),
    ("a/../b", "a", False),
    ("*", "a", True),
    ("*", ".hidden", True),
    ("*", "a/b", True),
    ("*.txt", "a.txt", True),
    ("*.txt", "d/a.txt", False),
    ("*.txt", "a.txtx", False),
    ("*/*.txt", "d/a.txt", True),
    ("*/*.txt", "a.txt", False),
    ("a*", "a", True),
    ("a*", "abc", True),
    ("a*b*c", "aXbYc", True),
    ("a*b*c", "abc", True),
    ("a*b*c", "acb", False),
    ("a?", "ab", True),
    ("a?", "a", False),
    ("?", "é", True),
    ("a?b", "a/b", False),
    ("a*b", "a/b", False),
    ("[a-c]", "b", True),
    ("[a-c]", "d", False),
    ("[^a-c]", "d", True),
    ("[^a-c]", "b", False),
    ("[abx-z]*", "yes", True),
    ("[\\]]", "]", True),
    ("\\*", "*", True),
    ("\\*", "a", False),
    ("\\!a", "!a", True),
    ("a.b", "axb", False),
    ("a+b", "a+b", True),
    ("(a|b)", "(a|b)", True),
    ("(a|b)", "a", False),
    ("{a,b}", "a", False),
    ("a$", "a$", True),
    ("**", "a/b/c", True),
    ("**/a", "a", True),
    ("**/a", "x/a", True),
    ("**/a", "x/y/a", True),
    ("**/a", "xa", False),
    ("**/a", "x/a/b", True),
    ("**/a/b", "x/a/b", True),
    ("**/a/b", "a/x/b", False),
    ("**/*.pyc", "m.pyc", True),
    ("**/*.pyc", "p/q/m.pyc", True),
    ("**/*.pyc", "p/q/m.py", False),
    ("**.pyc", "p/q/m.pyc", True),
    ("a/**", "a", False),
    ("a/**", "a/b", True),
    ("a/**", "a/b/c", True),
    ("a/**/b", "a/b", True),
    ("a/**/b", "a/x/b", True),
    ("a/**/b", "a/x/y/b", True),
    ("a/**/b", "a/x/c", False),
    ("a/**/b/**/c", "a/1/b/2/3/c", True),
    ("a/**/b/**/c", "a/c/b", False),
    ("**/x/**", "a/x/b", True),
    ("**/x/**", "a/x", False),
    ("a/**/*.c", "a/x/y/z.c", True),
    ("* !a", "a", False),
    ("* !a", "b", True),
    ("* !a", "a/b", False),
    ("* !a/b", "a/b", False),
    ("* !a/b", "a/c", True),
    ("!a *", "a", True),
    ("a !a/b a/b/c", "a/b", False),
    ("a !a/b a/b/c", "a/b/c", True),
    ("a !a/b a/b/c", "a/b/d", False),
    ("a !a/b a/b/c", "a/x", True),
    ("*.md !README*.md README-secret.md", "README.md", False),
    ("*.md !README*.md README-secret.md", "README-secret.md", True),
    ("*.md !README*.md README-secret.md", "other.md", True),
    ("*.md !README.md", "docs/x.md", False),
    ("** !**/*.go", "a/b.go", False),
    ("** !**/*.go", "a/b.c", True),
    ("a/b !a", "a/b", True),  # moby/patternmatcher: a parent's exception is only tried where it could change a verdict
]


@pytest.mark.parametrize(("patterns", "path", "excluded"), VERDICTS)
def test_verdict(patterns: str, path: str, excluded: bool) -> None:
    assert Ignore(patterns.split(" ")).excluded(path) is excluded


@pytest.mark.parametrize(
    ("patterns", "folder", "descend"),
    [
        ("*", "a", False),
        ("* !a", "a", False),
        ("* !a/b", "a", True),
        ("* !a/b", "b", False),
        ("* !a/b/c", "a/b", True),
        ("* !a/b/c", "a/x", False),
        ("* !*/c", "x", True),
        ("* !x*/c", "abc", False),
        ("* !**/c", "a/b/c/d", True),
        ("* !a/**", "a/b", True),
        ("* !a/**", "b", False),
        ("* ![ab]/x", "a", True),
        ("* !a\\*/x", "a*", True),
        ("* !a\\*/x", "ab", False),
    ],
)
def test_descend_only_where_an_exception_can_reach(patterns: str, folder: str, descend: bool) -> None:
    assert Ignore(patterns.split(" ")).descend(folder) is descend


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("abc", "abc", True),
        ("*", "abc", True),
        ("*c", "abc", True),
        ("a*", "a", True),
        ("a*/b", "abc/b", True),
        ("a*/b", "a/c/b", False),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/f", True),
        ("a*b?c*x", "abxbbxdbxebxczzx", True),
        ("a*b?c*x", "abxbbxdbxebxczzy", False),
        ("ab[c]", "abc", True),
        ("ab[b-d]", "abc", True),
        ("ab[e-g]", "abc", False),
        ("ab[^c]", "abc", False),
        ("ab[^e-g]", "abc", True),
        ("a\\*b", "a*b", True),
        ("a\\*b", "ab", False),
        ("a[^a]b", "a☺b", True),
        ("a???b", "a☺b", False),
        ("[a-ζ]*", "α", True),
        ("*[a-ζ]", "A", False),
        ("a?b", "a/b", False),
        ("a*b", "a/b", False),
        ("[\\]a]", "]", True),
        ("[\\-]", "-", True),
        ("[x\\-]", "x", True),
        ("[x\\-]", "z", False),
        ("**", "ab", True),
        ("**", "a/b", False),
        ("[z-a]", "b", False),
        ("[^z-a]", "b", True),
    ],
)
def test_match_wildcard_as_go_does(pattern: str, name: str, matches: bool) -> None:
    assert match_wildcard(pattern, name) is matches


@pytest.mark.parametrize("pattern", ["[", "[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[^", "[^bc", "a[", "a\\", "[a"])
def test_malformed_pattern_is_a_fault(pattern: str) -> None:
    with pytest.raises(SourceFault, match="syntax error in pattern"):
        match_wildcard(pattern, "a")
    with pytest.raises(SourceFault, match="syntax error in pattern"):
        Ignore([pattern])


def _read(text: str) -> str:
    return text.encode("latin-1", "backslashreplace").decode("unicode_escape")


TABLE = [line for line in (HERE / "ignore.txt").read_text("utf-8").split("\n") if line and not line.startswith("# ")]


@pytest.mark.parametrize("line", TABLE)
def test_table_of_verdicts(line: str) -> None:
    path, _, text = line[7:].partition("\t")
    assert Ignore(read_patterns(_read(text).encode())).excluded(_read(path)) is (line[:7] == "hidden ")


_PATTERNS = st.lists(
    st.lists(
        st.sampled_from(["a", "b", "/", "/", "*", "**", "**/", "?", "[ab]", "[^a]", "\\b"]), min_size=1, max_size=6
    )
    .map("".join)
    .flatmap(lambda text: st.sampled_from(["", "", "!"]).map(lambda sign: sign + text)),
    min_size=1,
    max_size=5,
)


@settings(max_examples=3000)
@given(_PATTERNS, st.text("ab/", min_size=1, max_size=8))
def test_verdicts_are_those_of_a_matcher_that_tries_everything(texts: list[str], path: str) -> None:
    path = clean(path).strip("/")
    if path:
        patterns = [pattern for pattern in read_patterns("\n".join(texts).encode()) if pattern not in ("!", "!/")]
        assert Ignore(patterns).excluded(path) is hidden(patterns, path)


def test_read_patterns() -> None:
    text = b"\xef\xbb\xbf# comment\n\n  a/b/  \r\n/abs\n! /x/../y \n #not a comment\n\\#file\n/\n.\n!\n"
    assert read_patterns(text) == ("a/b", "abs", "!y", "#not a comment", "\\#file", "/", ".", "!")


def test_lone_exclamation_mark_is_a_fault() -> None:
    with pytest.raises(SourceFault) as caught:
        Ignore(["a", "!"])
    assert caught.value.message == 'illegal exclusion pattern: "!"'


def test_names_that_are_not_utf8() -> None:
    ignore = Ignore(read_patterns(b"\xff*\n"))
    assert ignore.excluded("\udcffabc")
    assert not ignore.excluded("\udcfeabc")
    assert Ignore(["?"]).excluded("\n")


def test_hides_is_only_sure_without_exceptions() -> None:
    assert Ignore(["a"]).hides("a/b")
    assert not Ignore(["a", "!a/b"]).hides("a/c")
    assert Ignore(["*"]).hides("")
    assert not Ignore(["a"]).hides("")


@settings(max_examples=500, deadline=None)
@given(_PATTERNS, st.lists(st.text("ab/", min_size=1, max_size=8), min_size=2, max_size=12))
def test_what_was_asked_before_changes_no_verdict(texts: list[str], paths: list[str]) -> None:
    patterns = [pattern for pattern in read_patterns("\n".join(texts).encode()) if pattern not in ("!", "!/")]
    ignore = Ignore(patterns)
    for path in filter(None, (clean(path).strip("/") for path in paths)):
        folder, _, name = path.rpartition("/")
        assert ignore.inside(folder)(name) is ignore.excluded(path) is hidden(patterns, path)


def test_folders_that_each_have_rules_of_their_own() -> None:
    """More than are compiled one by one."""
    ignore = Ignore([f"d{i}/{i}*" for i in range(200)] + ["!d*/*9"] + [f"d{i}/*/x" for i in range(200)])
    for i in range(200):
        judge = ignore.inside(f"d{i}")
        assert [name for name in ("0", f"{i}", f"{i}a", f"{i}9", "a", "9") if judge(name)] == [
            name for name in ("0", f"{i}", f"{i}a", f"{i}9", "a", "9") if name.startswith(f"{i}") and name[-1] != "9"
        ]
        assert ignore.inside(f"d{i}/y")("x")
        assert not ignore.inside(f"d{i}/y/y")("x")


def test_very_deep_path() -> None:
    assert Ignore(["**/x"]).excluded("a/" * 3000 + "x")


@pytest.mark.parametrize("pattern", ["a*" * 40 + "b", "**/a/" * 20 + "b", "*" * 200 + "b", "**/*a" * 15])
def test_no_pattern_takes_exponential_time(pattern: str) -> None:
    start = time.process_time()
    Ignore([pattern]).excluded("/".join(["a" * 60] * 40))
    assert time.process_time() - start < 20  # backtracking would take longer than the age of the universe


@given(st.text("ab/*?", max_size=8), st.text("ab", min_size=1, max_size=6))
def test_one_segment_is_matched_as_fnmatch_does(pattern: str, name: str) -> None:
    pattern = pattern.replace("/", "")
    if pattern:
        assert match_wildcard(pattern, name) is fnmatch.fnmatchcase(name, pattern)


@given(st.lists(st.text(max_size=12), max_size=5), st.text("ab/.", max_size=8))
def test_any_pattern_gives_a_verdict_or_a_fault(patterns: list[str], path: str) -> None:
    try:
        verdict = Ignore(patterns).excluded(clean(path))
    except SourceFault as error:
        assert error.message.startswith(("syntax error in pattern: ", "illegal exclusion pattern: "))
        return
    assert verdict is Ignore(patterns).excluded(clean(path))
    assert not verdict or any(not pattern.startswith("!") for pattern in patterns)  # something has to exclude it
