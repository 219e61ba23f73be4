"""Templates: what they print, and Go's words for what is wrong with them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.errors import TemplateFault
from builder.template.evaluate import Template
from builder.template.listing import listing
from builder.template.parse import parse
from builder.template.record import Record

DATA = Record(
    {
        "ID": "abc",
        "Tags": ["a:1", "b:2"],
        "Labels": {"x": "1", "y": "2"},
        "Size": 1234,
        "Config": Record({"Env": ["P=1"], "Cmd": None}, "container.Config"),
        "Ratio": 1.5,
        "Empty": "",
    },
    "*formatter.imageContext",
    {"Label": lambda name: f"label {name}"},
)


def render(text: str, strict: bool = False) -> str:
    return Template(text, parse(text)).render(DATA, strict=strict)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("{{.ID}}", "abc"),
        ("a  {{- /* comment */ -}}  b", "ab"),
        ("{{ .ID -}}  x  {{- .Size }}", "abcx1234"),
        ("{{range .Tags}}<{{.}}>{{end}}", "<a:1><b:2>"),
        ("{{range $i, $t := .Tags}}{{$i}}={{$t}} {{end}}", "0=a:1 1=b:2 "),
        ("{{range $k, $v := .Labels}}{{$k}}={{$v}} {{end}}", "x=1 y=2 "),
        ('{{range .Tags}}{{if eq . "b:2"}}{{break}}{{end}}{{.}}{{end}}', "a:1"),
        ('{{range .Tags}}{{if eq . "a:1"}}{{continue}}{{end}}{{.}}{{end}}', "b:2"),
        ("{{range .Config.Cmd}}x{{else}}none{{end}}", "none"),
        ("{{range 3}}{{.}}{{end}}", "012"),
        ("{{range .Tags}}{{$.ID}}{{end}}", "abcabc"),
        ("{{json .Labels}} {{json .Tags}} {{json nil}}", '{"x":"1","y":"2"} ["a:1","b:2"] null'),
        ("{{.Labels.x}} {{.Labels.none}}", "1 <no value>"),
        ('{{index .Labels "y"}} {{index .Tags 1}}', "2 b:2"),
        ("{{.Label `k`}}", "label k"),
        ('{{if eq .ID "x" "abc"}}yes{{else}}no{{end}}', "yes"),
        ("{{if .Config.Cmd}}a{{else if .ID}}b{{else}}c{{end}}", "b"),
        ("{{with .Config}}{{.Env}}{{else}}none{{end}}", "[P=1]"),
        ("{{with .Empty}}x{{else with .ID}}{{.}}{{end}}", "abc"),
        ("{{(.Config).Env}} {{len .Tags}} {{len .ID}}", "[P=1] 2 3"),
        ('{{.ID | upper | printf "%s-%5d|%-5s|%05d" | printf "%s"}}', "ABC-%!d(MISSING)|%!s(MISSING)|%!d(MISSING)"),
        ('{{printf "%q %v %x %05d %.2f %t %T" "a" .Tags 255 -7 .Ratio true .Size}}',
         '"a" [a:1 b:2] ff -0007 1.50 true int'),
        ('{{printf "%d" "a"}} {{printf "a" 1}}', "%!d(string=a) a%!(EXTRA int=1)"),
        ('{{join .Tags ","}} {{split .ID "b"}} {{truncate .ID 2}} {{pad .ID 1 2}}|', "a:1,b:2 [a c] ab  abc  |"),
        ('{{title "hello world"}} {{lower "AB"}}', "Hello World ab"),
        ("{{println .ID .Size}}", "abc 1234\n"),
        ("{{print .ID .Size 1 2}}", "abc1234 1 2"),
        ('{{$x := .ID}}{{$x}}{{if true}}{{$x = "q"}}{{end}}{{$x}}', "abcq"),
        ("{{and .ID .Size}} {{or .Empty .ID}} {{not .ID}}", "1234 abc false"),
        ("{{or true (index .Tags 9)}}", "true"),
        ("{{lt 1 2}} {{le 2 2}} {{gt 1 2}} {{ge 1 2}} {{ne 1 2}}", "true true false false true"),
        ("{{1.0}} {{1e3}} {{0x10}} {{010}} {{'a'}} {{`raw`}} {{1e21}}", "1 1000 16 8 97 raw 1e+21"),
        ('{{"a\\tb\\u00e9"}}', "a\tb\u00e9"),
        ("{{slice .ID 1}} {{slice .ID 1 2}} {{slice .Tags 1}}", "bc b [b:2]"),
        ('{{html "<a>"}} {{urlquery "a b"}}', "&lt;a&gt; a+b"),
    ],
)  # fmt: skip
def test_what_is_printed(text: str, shown: str) -> None:
    assert render(text) == shown


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{.ID", ":1: unclosed action"),
        ("a\n{{.ID", ":2: unclosed action"),
        ("{{end}}", ":1: unexpected {{end}}"),
        ("{{if}}x{{end}}", ":1: missing value for if"),
        ("{{}}", ":1: missing value for command"),
        ("{{.ID | }}", ":1: missing value for command"),
        ("{{if .ID}}", ":1: unexpected EOF"),
        ("{{nope}}", ':1: function "nope" not defined'),
        ("{{$z}}", ':1: undefined variable "$z"'),
        ('{{"abc}}', ":1: unterminated quoted string"),
        ("{{(.ID}}", ":1: unclosed left paren"),
        ("{{)}}", ":1: unexpected right paren"),
        ("x{{/* a", ":1: unclosed comment"),
        ("{{break}}", ":1: {{break}} outside {{range}}"),
        ("{{.Foo}}", ':1:2: executing "" at <.Foo>: can\'t evaluate field Foo in type *formatter.imageContext'),
        ("{{.Config.Foo}}", ':1:9: executing "" at <.Config.Foo>: can\'t evaluate field Foo in type container.Config'),
        ("{{.ID.X}}", ':1:5: executing "" at <.ID.X>: can\'t evaluate field X in type string'),
        ("{{index .Tags 5}}", ':1:2: executing "" at <index>: error calling index: index out of range: 5'),
        ("{{upper .Size}}", ':1:2: executing "" at <upper>: wrong type for value; expected string; got int'),
        ("{{upper}}", ':1:2: executing "" at <upper>: wrong number of args for upper: want 1 got 0'),
        ("{{nil}}", ':1:2: executing "" at <nil>: nil is not a command'),
        ("{{eq 1 `a`}}", ':1:2: executing "" at <eq>: error calling eq: incompatible types for comparison'),
    ],
)  # fmt: skip
def test_what_is_wrong(text: str, words: str) -> None:
    with pytest.raises(TemplateFault) as caught:
        render(text)
    assert caught.value.message == f"template parsing error: template: {words}"


def test_a_missing_key_where_that_is_an_error() -> None:
    with pytest.raises(TemplateFault, match='map has no entry for key "none"'):
        render("{{.Labels.none}}", strict=True)


@pytest.mark.parametrize(
    "text",
    [
        "{{range 100000000}}{{end}}",
        "{{range 100000}}{{range 100000}}x{{end}}{{end}}",
        "{{pad `x` 20000000 0}}",
        "{{range 100000}}{{pad `x` 1000 0}}{{end}}",
        "{{" + "(" * 5000 + ".ID" + ")" * 5000 + "}}",
        "{{if .ID}}" * 3000 + "{{end}}" * 3000,
        "x" * 100_000,
    ],
)
def test_work_is_bounded(text: str) -> None:
    with pytest.raises(TemplateFault):
        render(text)


@given(
    st.lists(
        st.sampled_from(
            ["{{", "}}", "{{- ", " -}}", ".ID", " ", ".Tags", "range", "if", "end", "else", "|", "(", ")", "$x", ":=",
             "1",
             '"a"', "index", "join", "printf", ".", "/*", "*/", ",", "nil", "x", "with", "`", "'", "%d", ".Config.Cmd"]
        ),
        max_size=25,
    )
)  # fmt: skip
@settings(max_examples=300)
def test_nothing_but_our_error_is_raised(words: list[str]) -> None:
    try:
        render("".join(words))
    except TemplateFault as error:
        assert "\n" not in error.message or "\n" in "".join(words)


ROWS = [Record({"ID": "1", "Name": "long-name-of-something"}), Record({"ID": "22", "Name": ""})]
HEADERS = {"ID": "IMAGE ID", "Name": "NAME"}


def test_tables() -> None:
    assert (
        listing("", ROWS, HEADERS, ("ID", "Name"))
        == "IMAGE ID   NAME\n1          long-name-of-something\n22         \n"
    )
    assert listing("table", [], HEADERS, ("Name", "ID")) == "NAME      IMAGE ID\n"
    assert listing(r"table {{.Name}}\t{{upper .ID}}", ROWS, HEADERS, ()) == (
        "NAME                     IMAGE ID\nlong-name-of-something   1\n                         22\n"
    )
    assert listing("table {{.ID}}", [], HEADERS, ()) == "IMAGE ID\n"
    assert listing("table {{.Other}}", [], HEADERS, ()) == "<no value>\n"


def test_other_forms() -> None:
    assert listing("json", ROWS[:1], HEADERS, ()) == '{"ID":"1","Name":"long-name-of-something"}\n'
    assert listing("{{.ID}}", ROWS, HEADERS, ()) == "1\n22\n"
    assert listing("{{.ID}}", [], HEADERS, ()) == ""


def test_the_usual_forms_need_no_grammar() -> None:
    program = (
        "import sys; from builder.template.listing import listing; from builder.template.record import Record;"
        "listing('', [Record({'A': '1'})], {'A': 'A'}, ('A',)); listing('json', [Record({'A': '1'})], {}, ());"
        "sys.exit('lark' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
