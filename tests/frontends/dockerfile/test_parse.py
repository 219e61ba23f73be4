from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.digest import Digest
from frontends.dockerfile.instructions import AnyInstruction, Copy, Env, Onbuild, Run
from frontends.dockerfile.parse import parse
from frontends.dockerfile.words import Expander
from frontends.errors import FrontendFault, ParseFault
from frontends.text import Lines, Source


def tree(text: str | bytes) -> tuple[AnyInstruction, ...]:
    return parse(Source("Dockerfile", text.encode() if isinstance(text, str) else text)).tree.instructions


def only(line: str) -> AnyInstruction:
    return tree(f"FROM a\n{line}")[1]


LINE_FAULTS = [
    ("FORM a", "unknown instruction: FORM (did you mean FROM?)"),
    ("form a", "unknown instruction: form (did you mean from?)"),
    ("XYZZY a", "unknown instruction: XYZZY"),
    ("FROM", "FROM requires either one or three arguments"),
    ("FROM a b", "FROM requires either one or three arguments"),
    ("FROM a IS b", "FROM requires either one or three arguments"),
    (
        "FROM a AS 1b",
        'invalid name for build stage: "1b", name can\'t start with a number or contain symbols',
    ),
    ("FROM --platfrom=x a", "unknown flag: --platfrom (did you mean platform?)"),
    ("ARG", "ARG requires at least one argument"),
    ("ARG =x", "ARG names can not be blank"),
    ("ENV", "ENV requires at least one argument"),
    ("ENV =x", "ENV names can not be blank"),
    ("ENV --x=1 a=b", "unknown flag: --x"),
    ("RUN --mont=x y", "unknown flag: --mont (did you mean mount?)"),
    ("RUN --mount y", "missing a value on flag: --mount"),
    ("RUN --network=fast y", 'invalid network mode "fast"'),
    ("RUN --security=none y", 'security "none" is not valid'),
    ("RUN --network=none --network=none y", "duplicate flag specified: --network"),
    ("RUN --mount=from=$x,target=/y z", "'from' doesn't support variable expansion, define alias stage instead"),
    (
        "COPY a",
        "COPY requires at least two arguments, but only one was provided. Destination could not be determined",
    ),
    (
        "ADD a",
        "ADD requires at least two arguments, but only one was provided. Destination could not be determined",
    ),
    ("COPY --link=maybe a b", "expecting boolean value for flag --link, not: maybe"),
    ("COPY --link= a b", "missing a value on flag: --link"),
    ("COPY --chown a b", "missing a value on flag: --chown"),
    ("COPY --chown=1 --chown=2 a b", "duplicate flag specified: --chown"),
    ("ADD --parents a b", "unknown flag: --parents"),
    ("COPY a <<EOF\nEOF", "COPY cannot accept a heredoc as a destination"),
    ("SHELL []", "SHELL requires at least one argument"),
    ("SHELL sh -c", "SHELL requires the arguments to be in JSON form"),
    ("WORKDIR", "WORKDIR requires exactly one argument"),
    ("USER", "USER requires exactly one argument"),
    ("STOPSIGNAL", "STOPSIGNAL requires exactly one argument"),
    ("MAINTAINER", "MAINTAINER requires exactly one argument"),
    ("EXPOSE", "EXPOSE requires at least one argument"),
    ("VOLUME", "VOLUME requires at least one argument"),
    ('VOLUME ["a", " "]', "VOLUME specified can not be an empty string"),
    ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
    ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
    ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
    ("HEALTHCHECK curl x", 'Unknown type "CURL" in HEALTHCHECK (try CMD)'),
    ("HEALTHCHECK --interval=1us CMD x", 'Interval "interval" cannot be less than 1ms'),
    ("HEALTHCHECK --interval=5 CMD x", 'time: missing unit in duration "5"'),
    ("HEALTHCHECK --interval=5x CMD x", 'time: unknown unit "x" in duration "5x"'),
    ("HEALTHCHECK --timeout=soon CMD x", 'time: invalid duration "soon"'),
    ("HEALTHCHECK --retries=-1 CMD x", "--retries cannot be negative (-1)"),
    ("HEALTHCHECK --retries=2147483648 CMD x", 'strconv.ParseInt: parsing "2147483648": value out of range'),
    (f"HEALTHCHECK --retries={'9' * 30} CMD x", f'strconv.ParseInt: parsing "{"9" * 30}": value out of range'),
    ("HEALTHCHECK --retries=x CMD x", 'strconv.ParseInt: parsing "x": invalid syntax'),
    ("HEALTHCHECK --retry=1 CMD x", "unknown flag: --retry"),
    ("ONBUILD", "ONBUILD requires at least one argument"),
    ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
    ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
    ("ONBUILD MAINTAINER x", "MAINTAINER isn't allowed as an ONBUILD trigger"),
]


# Of the text and not of an instruction: BuildKit does not say the line in these, but draws it.
TEXT_FAULTS = [
    ("ENV X", "ENV must have two arguments"),
    ("ENV a=1 w", 'Syntax error - can\'t find = in "w". Must be of the form: name=value'),
    ("LABEL a=1 w", 'Syntax error - can\'t find = in "w". Must be of the form: name=value'),
    ("LABEL X", "LABEL must have two arguments"),
    ('RUN ["a", 1]', "when using JSON array syntax, arrays must be comprised of strings only"),
    ('RUN ["a\\u0000"]', "instruction holds a NUL byte"),
    ("RUN a\0b", "instruction holds a NUL byte"),
    ("COPY <<EOF /x", "unterminated heredoc"),
    ("RUN <<EOF\n EOF", "unterminated heredoc"),
    (
        "COPY --from=$x a b",
        (
            "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope "
            "as a workaround"
        ),
    ),
]


@pytest.mark.parametrize(
    ("line", "message"),
    [*((line, f"dockerfile parse error on line 3: {text}") for line, text in LINE_FAULTS), *TEXT_FAULTS],
)
def test_fault_names_line_and_draws_it(line: str, message: str) -> None:
    with pytest.raises(FrontendFault) as caught:
        tree(f"FROM a\n# comment\n{line}\n")
    assert caught.value.message == message
    assert caught.value.excerpt.startswith("Dockerfile:3\n" + "-" * 20)
    assert f"   3 | >>> {line.splitlines()[0]}\n" in caught.value.excerpt


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "the Dockerfile cannot be empty"),
        (b"# only\n\n", "file with no instructions"),
        (b"# escape=x\nFROM a", "invalid escape token 'x' does not match ` or \\"),
        (
            b"# escape=`\n# escape=`\nFROM a",
            "only one escape parser directive can be used",
        ),
        (
            b"FROM a\nRUN " + b"x" * 65536,
            "dockerfile line greater than max allowed size of 65535",
        ),
        (b"FROM a\nRUN \xff\n", "instruction is not valid UTF-8"),
        (b"FROM a\nRUN <<E\n\xff\nE\n", "heredoc is not valid UTF-8"),
    ],
)
def test_fault_of_the_file(text: bytes, message: str) -> None:
    with pytest.raises(ParseFault) as caught:
        tree(text)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("RUN echo a \\\n  b", ["echo a   b"]),
        ("RUN a \\\n# c\n\n  && b", ["a   && b"]),
        ("RUN a \\ \t\nb", ["a b"]),
        ("RUN echo a \\\\\nRUN b", ["echo a \\\\", "b"]),
        ("RUN a \\", ["a"]),
        ("RUN a # no comment", ["a # no comment"]),
        ("  run\tspaced  ", ["spaced"]),
        ("RUN a\r\nRUN b\r\n", ["a", "b"]),
        ("RUN ['a']", ["['a']"]),
        ("RUN [ -f x ] && y", ["[ -f x ] && y"]),
        ("RUN -- --x", ["--x"]),
        ("RUN \\\n\\\nx", ["x"]),
    ],
)
def test_lines_are_joined(text: str, commands: list[str]) -> None:
    runs = [found for found in tree("FROM a\n" + text) if isinstance(found, Run)]
    assert [run.command.words[0] for run in runs] == commands
    assert all(run.command.shell for run in runs)


def test_comments_above_belong_to_the_instruction() -> None:
    found = tree("# one\n\n# two\n# three\nFROM a\n")[0]
    assert found.comments == ("one", "two", "three")  # blank lines mean nothing


@pytest.mark.parametrize(
    ("line", "words", "shell"),
    [
        ('RUN ["a", "b"]', ("a", "b"), False),
        ('RUN  [ "a" ] ', ("a",), False),
        ('RUN ["a",]', ('["a",]',), True),
        ('RUN ["a"] x', ('["a"] x',), True),
        ("RUN []", (), False),
        ("RUN [NaN]", ("[NaN]",), True),
        ('RUN ["\\ud800"]', ("�",), False),
        ("RUN", (), True),
    ],
)
def test_json_or_shell_form(line: str, words: tuple[str, ...], shell: bool) -> None:
    found = only(line)
    assert isinstance(found, Run)
    assert (found.command.words, found.command.shell) == (words, shell)


@pytest.mark.parametrize(
    ("line", "pairs"),
    [
        ("ENV a=1 b=2", [("a", "1"), ("b", "2")]),
        ("ENV a b c", [("a", "b c")]),
        ("ENV a=b=c", [("a", "b=c")]),
        ("ENV a=b\\ c d='e f' g=\"h i\"", [("a", "b\\ c"), ("d", "'e f'"), ("g", '"h i"')]),
        ("ENV a= b=", [("a", ""), ("b", "")]),
        ("ENV a=x\\", [("a", "x")]),
        ('ENV "a b"=c', [('"a b"', "c")]),
    ],
)
def test_pairs(line: str, pairs: list[tuple[str, str]]) -> None:
    found = only(line)
    assert isinstance(found, Env)
    texts = [(getattr(p.key, "text", p.key), getattr(p.value, "text", p.value)) for p in found.pairs]
    assert texts == pairs


def test_flags_with_quotes_and_escapes() -> None:
    found = only("COPY --chown=\"a:b\" --exclude='x y' --exclude=z\\ w --link src dest")
    assert isinstance(found, Copy)
    assert (found.chown, found.exclude, found.link) == ("a:b", ("x y", "z w"), True)
    assert (found.paths, found.dest) == (("src",), "dest")


def test_heredocs_of_copy() -> None:
    found = only("COPY <<A <<-'B' plain /d/\n$x\nA\n\t\t$y\n\tB\n")
    assert isinstance(found, Copy)
    assert found.paths == ("plain",)
    first, second = found.inlines
    assert (first.name, getattr(first.data, "text", "")) == ("A", "$x\n")
    assert (second.name, second.data) == ("B", "$y\n")
    assert found.lines == Lines(2, 6)


def test_body_of_a_heredoc_is_raw() -> None:
    found = only("RUN <<EOF\n# escape=`\nFROM x \\\n\n\tEOF\nEOF")
    assert isinstance(found, Run)
    assert found.command.documents[0].data == "# escape=`\nFROM x \\\n\n\tEOF\n"


class Shelf:
    """A Memo; empty, and so false, until something is put."""

    def __init__(self) -> None:
        self.records: dict[Digest, bytes] = {}

    def __len__(self) -> int:
        return len(self.records)

    def get(self, key: Digest) -> bytes | None:
        return self.records.get(key)

    def put(self, key: Digest, value: bytes) -> None:
        self.records[key] = value


ALL = b"""# check=skip=none
ARG V=1
FROM --platform=$BUILDPLATFORM a:${V:-2} AS b
ENV a=$V 'b'="c"
LABEL x y
RUN --mount=type=cache,target=/x --network=none <<E
body
E
COPY --from=b --chmod=644 <<F x /y
$z
F
ADD --unpack=false --checksum=$c a b
CMD ["x"]
ENTRYPOINT y
SHELL ["/bin/sh"]
HEALTHCHECK --interval=5s CMD x
EXPOSE 80 $p
USER u
WORKDIR /w
VOLUME /v
STOPSIGNAL 9
ONBUILD RUN x
MAINTAINER me
"""


def test_memo_gives_the_same_tree() -> None:
    shelf = Shelf()
    first = parse(Source("D", ALL), shelf)
    (key,) = shelf.records
    assert parse(Source("D", ALL), shelf) == first
    shelf.records[key] = b"damaged"
    assert parse(Source("D", ALL), shelf) == first
    assert shelf.records[key] != b"damaged"


def test_a_fault_is_not_remembered() -> None:
    shelf = Shelf()
    with pytest.raises(ParseFault):
        parse(Source("D", b"FORM a"), shelf)
    assert not shelf.records


def test_a_remembered_file_needs_no_lark() -> None:
    shelf = Shelf()
    parse(Source("D", ALL), shelf)
    (value,) = shelf.records.values()
    script = (
        "import sys\nfrom frontends.dockerfile.parse import parse\nfrom frontends.text import Source\n"
        "import frontends.dockerfile.lower\n"
        f"class Memo:\n  def get(self, key): return {value!r}\n  def put(self, key, value): raise SystemExit('put')\n"
        f"parse(Source('D', {ALL!r}), Memo())\n"
        "assert 'lark' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


_FRAGMENTS = st.sampled_from([
    "FROM", "RUN", "COPY", "ENV", "ARG", "ONBUILD", "HEALTHCHECK", "CMD", "EXPOSE", "LABEL", "ADD", "--mount=", "--",
    "--from=x", "<<E", "<<-'E'", "\nE\n", "\n", "\n", "\\\n", "#", "${", "}", "$x", "'q'", '"', "[", "]", '["a"]', "=",
    "a=b", "escape=`", "\t", " ", " ", "\r\n", "\x00", "é", "type=cache,target=/x", "`",
])  # fmt: skip


@given(st.lists(_FRAGMENTS, max_size=25).map("".join))
@settings(max_examples=300)
def test_text_of_fragments_parses_or_is_a_fault(text: str) -> None:
    try:
        tree(text)
    except FrontendFault as fault:
        assert fault.message
        assert isinstance(fault.excerpt, str)


@given(st.binary(max_size=60))
@settings(max_examples=200)
def test_any_bytes_parse_or_are_a_fault(data: bytes) -> None:
    for text in (data, b"FROM a\nRUN " + data, b"FROM a\nCOPY " + data + b" /x"):
        last = text.count(b"\n") + 1
        try:
            found = tree(text)
        except FrontendFault as error:
            assert error.message
            continue
        assert [1 <= one.lines.first <= one.lines.last <= last for one in found] == [True] * len(found) != []


# What is printed here is read back as it was: values through quotes and expansion, arguments through JSON, and bodies.
_TEXTS = st.text(st.characters(blacklist_categories=("Cs", "Cc")) | st.sampled_from("$\"'\\ #=`"), max_size=12)


def _quoted(text: str, escape: str) -> str:
    for special in (escape, '"', "$"):
        text = text.replace(special, escape + special)
    return f'"{text}"'


@given(st.lists(_TEXTS, min_size=1, max_size=6), st.sampled_from("\\`"))
@settings(max_examples=300)
def test_values_that_are_printed_are_read_back(values: list[str], escape: str) -> None:
    line = " ".join(f"K{n}={_quoted(value, escape)}" for n, value in enumerate(values))
    env = tree(f"# escape={escape}\nFROM a\nENV {line}")[1]
    assert isinstance(env, Env)
    assert [Expander({}).expand(pair.value) for pair in env.pairs] == values


@given(
    st.lists(st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0")), min_size=1, max_size=6)
)
@settings(max_examples=200)
def test_arguments_that_are_printed_as_json_are_read_back(words: list[str]) -> None:
    run = tree(f"FROM a\nRUN {json.dumps(words)}")[1]
    assert isinstance(run, Run)
    assert (run.command.words, run.command.shell) == (tuple(words), False)


@given(st.lists(st.text("ab$\\\t #'\"", max_size=8).filter(lambda line: line != "END"), max_size=6))
@settings(max_examples=200)
def test_bodies_that_are_printed_are_read_back(lines: list[str]) -> None:
    body = "".join(f"{line}\n" for line in lines)
    run, user = tree(f"FROM a\nRUN <<END\n{body}END\nUSER x")[1:]
    assert isinstance(run, Run)
    assert run.command.documents[0].data == body
    assert user.keyword == "USER"


def test_the_text_is_read_before_any_instruction_is_looked_at() -> None:
    with pytest.raises(ParseFault, match=r"^unterminated heredoc$"):
        tree("FROM a\nFORM b\nRUN <<E\n")


def test_an_onbuild_trigger_is_looked_at_when_it_runs() -> None:
    trigger = only("ONBUILD COPYY x\ty ")
    assert isinstance(trigger, Onbuild)
    assert trigger.trigger == "COPYY x\ty "


def test_the_frontend_of_the_build_argument_stands_in() -> None:
    source, shelf = Source("D", b"# syntax=other/x\nFROM a"), Shelf()
    assert parse(source, shelf, "docker/dockerfile:1 words").tree.instructions[0].keyword == "FROM"
    with pytest.raises(ParseFault, match="other/x"):
        parse(source, shelf)
    with pytest.raises(ParseFault, match="other/y"):
        parse(Source("D", b"FROM a"), shelf, " other/y words")
