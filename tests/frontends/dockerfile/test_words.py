from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache import record
from frontends.dockerfile.gotext import quote
from frontends.dockerfile.grammar import grammar
from frontends.dockerfile.words import LARGEST_GROWTH, Expander, Template, Word, written
from frontends.errors import ExpansionFault
from tests.frontends.dockerfile.scanner import Refused, Scanner

HERE = Path(__file__).parent
ENV = {"home": "/root", "empty": "", "name": "a b  c", "file": "dir/sub/file.tar.gz", "stars": "x*y?z", "ü": "u"}


def word(text: str, escape: str = "\\") -> Word:
    return grammar(escape).word(text)


EXPANDED = [
    ("", ""),
    ("plain", "plain"),
    ("with blanks  kept", "with blanks  kept"),
    ("$home", "/root"),
    ("${home}", "/root"),
    ("x$home/y", "x/root/y"),
    ("x${home}y", "x/rooty"),
    ("$homes", ""),
    ("$home.d", "/root.d"),
    ("$unset", ""),
    ("a${unset}b", "ab"),
    ("$empty|", "|"),
    ("$ü", "u"),
    ("${ü}", "u"),
    # quotes
    ("'$home'", "$home"),
    ('"$home"', "/root"),
    ("'a\\b'", "a\\b"),
    ("'\"'", '"'),
    ("\"'$home'\"", "'/root'"),
    ("''", ""),
    ('""', ""),
    ("a'b'\"c\"d", "abcd"),
    ('"a b"', "a b"),
    ("pre'mid'$home\"post\"", "premid/rootpost"),
    # escapes
    ("a\\tb", "atb"),
    ("\\\\", "\\"),
    ("\\$home", "$home"),
    ("\\\\$home", "\\/root"),
    ("\\'", "'"),
    ('\\"', '"'),
    ("end\\", "end"),
    ("\\ ", " "),
    ('"\\$home"', "$home"),
    ('"\\\\"', "\\"),
    ('"\\""', '"'),
    ('"a\\tb"', "a\\tb"),
    ("\\é", "é"),
    # defaults
    ("${unset:-w}", "w"),
    ("${unset-w}", "w"),
    ("${empty:-w}", "w"),
    ("${empty-w}", ""),
    ("${home:-w}", "/root"),
    ("${home-w}", "/root"),
    ("${unset:-}", ""),
    ("${unset:-$home}", "/root"),
    ("${unset:-${empty:-deep}}", "deep"),
    ("${unset:-a b}", "a b"),
    ("${unset:-'a}b'}", "a}b"),
    ('${unset:-"a}b"}', "a}b"),
    ("${unset:-a\\}b}", "a}b"),
    ("${unset:-{x}}", "{x}"),
    ('"${unset:-w}"', "w"),
    ("\"${unset:-'w'}\"", "w"),
    ("${1:-w}", "w"),
    ("${@:-w}", "w"),
    ("${-:-w}", "w"),
    ("${#:-w}", "w"),
    # alternatives
    ("${home:+w}", "w"),
    ("${home+w}", "w"),
    ("${empty:+w}", ""),
    ("${empty+w}", "w"),
    ("${unset:+w}", ""),
    ("${unset+w}", ""),
    ("${home:+$home$home}", "/root/root"),
    # required
    ("${home:?m}", "/root"),
    ("${home?m}", "/root"),
    ("${empty?m}", ""),
    # cutting
    ("${file#*/}", "sub/file.tar.gz"),
    ("${file##*/}", "file.tar.gz"),
    ("${file%.*}", "dir/sub/file.tar"),
    ("${file%%.*}", "dir/sub/file"),
    ("${file%/*}", "dir/sub"),
    ("${file%%/*}", "dir"),
    ("${file#dir}", "/sub/file.tar.gz"),
    ("${file#sub}", "dir/sub/file.tar.gz"),
    ("${file#???}", "/sub/file.tar.gz"),
    ("${file%?}", "dir/sub/file.tar.g"),
    ("${file#}", "dir/sub/file.tar.gz"),
    ("${file%%*}", ""),
    ("${file##*}", ""),
    ("${file#$unset}", "dir/sub/file.tar.gz"),
    ("${stars#x\\*}", "y?z"),
    ("${stars%\\?z}", "x*y"),
    ("${stars##*\\*}", "y?z"),
    ("${unset#x}", ""),
    ("${file#'dir'/}", "sub/file.tar.gz"),
    # replacing
    ("${file/sub/SUB}", "dir/SUB/file.tar.gz"),
    ("${file/\\//:}", "dir:sub/file.tar.gz"),
    ("${file//\\//:}", "dir:sub:file.tar.gz"),
    ("${file//i/}", "dr/sub/fle.tar.gz"),
    ("${file/*/all}", "all"),
    ("${file//?/x}", "xxxxxxxxxxxxxxxxxxx"),
    ("${file/nothing/x}", "dir/sub/file.tar.gz"),
    ("${file/sub/$home}", "dir//root/file.tar.gz"),
    ("${empty/a/b}", ""),
    ("${unset//a/b}", ""),
    ("${stars/\\*/+}", "x+y?z"),
    # dollars that are none
    ("$", "$"),
    ("a$", "a$"),
    ("$.", "$."),
    ("$/x", "$/x"),
    ("$(x)", "$(x)"),
    ('"$"', "$"),
    ("$1x", "x"),
    ("$12x", "x"),
    ("$$x", "x"),
    ("$@$*$#$?$-$!$0", ""),
    ("$1home", "home"),
    ("~", "~"),
    ("<<EOF", "<<EOF"),
    ("한${home}국", "한/root국"),
]


@pytest.mark.parametrize(("text", "expanded"), EXPANDED)
def test_expansion(text: str, expanded: str) -> None:
    assert Expander(ENV).expand(word(text)) == expanded


TABLE_ENV = {
    "full": "/opt/app", "empty": "", "words": "one  two", "path": "srv/www/index.tar.gz",
    "glob": "m*n?o", "hash": "#id#", "Größe": "9",
}  # fmt: skip
TABLE = [line for line in (HERE / "expansion.txt").read_text("utf-8").split("\n") if line and not line.startswith("# ")]


@pytest.mark.parametrize("line", TABLE)
def test_table_of_expansions(line: str) -> None:
    text, _, expected = line[2:].partition("\t")
    try:
        found = "= " + Expander(TABLE_ENV).expand(word(text, line[0]))
    except ExpansionFault as fault:
        found = "! " + fault.message.removeprefix(f"failed to process {quote(text)}: ")
    assert found == expected


_TOKENS = st.sampled_from(
    [
        "$home", "${", "${home", "${empty", "${unset", "${file", ":-", "-", ":+", "+", ":?", "?", "#", "##", "%", "%%",
        "/", "//", "}", "}", "}", "'", '"', "\\", "\\*", "*", " ", "x", "a", "`", "$", "{", "é", "\x1c", "/b}",
    ]
)  # fmt: skip


@given(st.lists(_TOKENS, max_size=12).map("".join), st.sampled_from("\\`"), st.booleans())
@settings(max_examples=600)
def test_expansion_is_that_of_a_second_expander(text: str, escape: str, quotes: bool) -> None:
    found = expected = None
    try:
        expected = Scanner(text, ENV, escape, quotes=quotes).expand()
    except Refused:
        pass
    try:
        found = Expander(ENV).expand(grammar(escape, quotes=quotes).word(text))
    except ExpansionFault:
        pass
    assert found == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("'x", "unexpected end of statement while looking for matching single-quote"),
        ('"x', "unexpected end of statement while looking for matching double-quote"),
        ('"x\\"', "unexpected end of statement while looking for matching double-quote"),
        ("'x\\''", "unexpected end of statement while looking for matching single-quote"),
        ("${}", "syntax error: bad substitution"),
        ("${:}", "syntax error: bad substitution"),
        ("${{x}", "syntax error: bad substitution"),
        ("${unset:-${}}", "syntax error: bad substitution"),
        ("${", "syntax error: missing '}'"),
        ("${home", "unsupported modifier (\ufffd) in substitution"),
        ('a"b${home', "unsupported modifier (\ufffd) in substitution"),
        ('"a${home}', "unexpected end of statement while looking for matching double-quote"),
        ('"${home:-x}', "unexpected end of statement while looking for matching double-quote"),
        ('${x-"${home}', "syntax error: missing '}'"),
        ("${home-${x", "syntax error: missing '}'"),
        ("${home:", "syntax error: missing '}'"),
        ("${home:-x", "syntax error: missing '}'"),
        ("${home:-'x}", "syntax error: missing '}'"),
        ("${home:-${x}", "syntax error: missing '}'"),
        ("${home/a}", "syntax error: missing '/' in ${}"),
        ("${home/a/b", "syntax error: missing '}'"),
        ("${home:=w}", "unsupported modifier (:=) in substitution"),
        ("${home=w}", "unsupported modifier (=) in substitution"),
        ("${home:#w}", "unsupported modifier (:#) in substitution"),
        ("${home^}", "unsupported modifier (^) in substitution"),
        ("${.}", "unsupported modifier (.) in substitution"),
        ("${unset?}", "unset: is not allowed to be unset"),
        ("${unset:?}", "unset: is not allowed to be unset"),
        ("${empty:?}", "empty: is not allowed to be empty"),
        ("${unset:?say $home}", "unset: say /root"),
        ("${home#\\x}", "invalid pattern (\\x) in substitution: invalid escape '\\x'"),
    ],
)
def test_faults_in_buildkits_words(text: str, message: str) -> None:
    with pytest.raises(ExpansionFault) as caught:
        Expander(ENV).expand(word(text))
    assert caught.value.message.endswith(message)
    assert caught.value.message.startswith('failed to process "')


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("80 443", ["80", "443"]),
        ("$name", ["a", "b", "c"]),
        ('"$name"', ["a b  c"]),
        ("x$name", ["xa", "b", "c"]),
        ("$name'x y'", ["a", "b", "cx y"]),
        ("a\\ b", ["a b"]),
        ("$unset", []),
        ("  x  ", ["x"]),
    ],
)
def test_split(text: str, words: list[str]) -> None:
    assert Expander(ENV).split(word(text)) == words


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("RUN echo $home '$home' \"$home\"", "RUN echo /root '$home' \"/root\""),
        ("RUN echo $unset ${unset} ${unset:-x}", "RUN echo $unset ${unset} ${unset:-x}"),
        ("RUN ${unset/a/b}", "RUN ${unset/a/b}"),
    ],
)
def test_display_keeps_quotes_and_what_is_not_set(text: str, shown: str) -> None:
    assert Expander(ENV, display=True).expand(word(text)) == shown


def test_backtick_as_escape_character() -> None:
    assert Expander(ENV).expand(word("C:\\dir `$home $home", "`")) == "C:\\dir $home /root"


def test_body_of_a_heredoc_keeps_quotes() -> None:
    body = grammar("\\", quotes=False).word("it's \"$home\" \\$home \\\\ \\x ${unset:-'q'}\n")
    assert Expander(ENV).expand(body) == "it's \"/root\" $home \\ x 'q'\n"


def test_names_looked_up_are_kept_even_in_operands_not_used() -> None:
    expander = Expander(ENV)
    expander.expand(word("$home ${home:-$other} $unset $empty"))
    assert list(expander.matched) == ["home", "empty"]
    assert list(expander.missing) == ["other", "unset"]


def test_plain_text_is_no_tree() -> None:
    assert word("abc def") == "abc def"
    template = word("a$b")
    assert isinstance(template, Template)
    assert written(template) == "a$b"


def test_growth_is_bounded() -> None:
    env = {"a": "x" * 50_000}
    with pytest.raises(ExpansionFault, match=str(LARGEST_GROWTH)):
        Expander(env).expand(word("$a" * 10))
    with pytest.raises(ExpansionFault, match=str(LARGEST_GROWTH)):
        Expander(env).expand(word("${a//x/" + "y" * 60 + "}"))


def test_depth_is_bounded() -> None:
    with pytest.raises(ExpansionFault, match="nested"):
        Expander({}).expand(word("${a:-" * 5000 + "}" * 5000))


@given(st.text("ab$ {}:-+?#%/*\\'\"=.\n`", max_size=30))
@settings(max_examples=300)
def test_any_text_expands_or_is_a_fault_and_survives_the_record(text: str) -> None:
    for parser in (grammar("\\"), grammar("`"), grammar("\\", quotes=False)):
        tree = parser.word(text)
        assert record.decode(record.encode(tree), Template | str) == tree  # type: ignore[arg-type]
        try:
            Expander(ENV).expand(tree)
        except ExpansionFault:
            pass


# What dash does is the oracle for words without what only the builder forbids or reads differently.
_ATOM = st.sampled_from(
    ["a", "b/c", "$home", "${home}", "$unset", "${empty}", "'q $x'", '"d $home"', "\\$", "\\a", '"\\$"']
)
_OPERATION = st.builds(
    lambda name, operator, operand: f"${{{name}{operator}{operand}}}",
    st.sampled_from(["home", "unset", "empty", "file"]),
    st.sampled_from([":-", "-", ":+", "+", "#", "##", "%", "%%"]),
    st.sampled_from(["x", "*", "*/", ".*", "?", "", "$home", "dir"]),
)


@pytest.mark.skipif(not shutil.which("dash"), reason="dash is the oracle")
@given(st.lists(st.lists(st.one_of(_ATOM, _OPERATION), max_size=5).map("".join), min_size=1, max_size=20))
@settings(max_examples=25)
def test_expansion_is_that_of_dash(texts: list[str]) -> None:
    script = "".join(f"x={text}; printf '%s\\0' \"$x\"\n" for text in texts)
    env = {name: value for name, value in ENV.items() if name.isascii()} | {"PATH": os.defpath}
    done = subprocess.run(["dash", "-c", script], env=env, capture_output=True, check=True, timeout=60)
    assert [Expander(env).expand(word(text)) for text in texts] == done.stdout.decode().split("\0")[:-1]
