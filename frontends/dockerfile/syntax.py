"""A logical line to its instruction: the shape of each one's arguments (BuildKit's instructions/parse.go)."""

from __future__ import annotations

import re
from collections.abc import Callable

from frontends.dockerfile import heredoc
from frontends.dockerfile.flags import BOOL, MANY, TEXT, Flags
from frontends.dockerfile.gotext import parse_duration, quote
from frontends.dockerfile.grammar import Grammar, grammar
from frontends.dockerfile.instructions import (
    Add,
    AnyInstruction,
    Arg,
    Argument,
    Cmd,
    Command,
    Copy,
    Document,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    InlineSource,
    Label,
    Maintainer,
    MountField,
    Onbuild,
    Pair,
    Run,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from frontends.dockerfile.lines import BLANKS, SPACE, LogicalLine, split_instruction, string_array
from frontends.dockerfile.words import Word
from frontends.errors import ParseFault
from frontends.text import Lines, did_you_mean

_STAGE_NAME = re.compile(r"[a-z][a-z0-9\-_.]*\Z")
_RUN_FLAGS = {"mount": MANY, "network": TEXT, "security": TEXT, "device": MANY}
_COPY_FLAGS = {"chown": TEXT, "chmod": TEXT, "link": BOOL, "exclude": MANY, "from": TEXT, "parents": BOOL}
_ADD_FLAGS = {
    "chown": TEXT, "chmod": TEXT, "link": BOOL, "exclude": MANY,
    "keep-git-dir": BOOL, "checksum": TEXT, "unpack": BOOL,
}  # fmt: skip
_HEALTHCHECK_FLAGS = dict.fromkeys(("interval", "timeout", "start-period", "start-interval", "retries"), TEXT)


class Statement:
    """One logical line on its way to an instruction: keyword, flags and the rest of the line."""

    def __init__(self, line: LogicalLine, grammar: Grammar) -> None:
        self.grammar = grammar
        self.text = line.text.strip(SPACE)
        self.keyword, tail = split_instruction(line.text)
        self.name = self.keyword.upper()
        self.flags, rest = grammar.tail(tail)
        self.rest = rest.strip(SPACE)
        self.documents = line.documents
        self.lines: Lines = line.lines
        self.comments = line.comments

    def words(self) -> tuple[str, ...]:
        """JSON strings, else the rest split at blanks."""
        array = string_array(self.rest)
        if array is not None:
            return array
        return tuple(BLANKS.split(self.rest)) if self.rest else ()

    def command(self) -> Command:
        """A JSON array for exec, else one string for the shell."""
        array = string_array(self.rest)
        if array is not None:
            return Command(array, False)
        return Command((self.rest,) if self.rest else (), True, self.documents)

    def single(self) -> str:
        """The rest, which must be there."""
        if not self.rest:
            raise ParseFault(f"{self.name} requires exactly one argument")
        return self.rest

    def at_least_one(self, words: tuple[str, ...]) -> tuple[str, ...]:
        if not words:
            raise ParseFault(f"{self.name} requires at least one argument")
        return words

    def no_flags(self) -> None:
        Flags(self.flags, {})


def instruction(line: LogicalLine, escape: str) -> AnyInstruction:
    """Parse one instruction. Raises ParseFault without a place; the caller knows it."""
    statement = Statement(line, grammar(escape))
    build = _BUILDERS.get(statement.name)
    if build is None:
        nearest = did_you_mean(statement.keyword, _BUILDERS, ignore_case=True)
        raise ParseFault(f"unknown instruction: {statement.keyword}{nearest}")
    return build(statement)


def _from(s: Statement) -> From:
    words = BLANKS.split(s.rest) if s.rest else []
    stage = ""
    if len(words) == 3 and words[1].lower() == "as":
        stage = words[2].lower()
        if not _STAGE_NAME.match(stage):
            raise ParseFault(
                f"invalid name for build stage: {quote(words[2])}, name can't start with a number or contain symbols"
            )
    elif len(words) != 1:
        raise ParseFault("FROM requires either one or three arguments", "write FROM IMAGE, or FROM IMAGE AS NAME")
    flags = Flags(s.flags, {"platform": TEXT})
    platform = flags.text("platform")
    return From(
        keyword=s.keyword,
        lines=s.lines,
        comments=s.comments,
        base=s.grammar.word(words[0]),
        platform=s.grammar.word(platform) if platform else None,
        stage=stage,
        as_keyword=words[1] if stage else "",
        stage_written=words[2] if stage else "",
    )


def _arg(s: Statement) -> Arg:
    arguments = []
    for word in s.at_least_one(s.grammar.words(s.rest)):
        name, equals, default = word.partition("=")
        if not name:
            raise ParseFault("ARG names can not be blank")
        arguments.append(Argument(name, s.grammar.word(default) if equals else None))
    return Arg(keyword=s.keyword, lines=s.lines, comments=s.comments, arguments=tuple(arguments))


def _pairs(s: Statement) -> tuple[tuple[Pair, ...], bool]:
    words = s.grammar.words(s.rest)
    legacy = bool(words) and "=" not in words[0]
    if legacy:
        key, *value = BLANKS.split(s.rest, maxsplit=1)
        if not value:
            raise ParseFault(f"{s.name} must have two arguments", f"write {s.name} {key}=VALUE")
        found = [(key, value[0])]
    else:
        found = []
        for word in words:
            key, equals, text = word.partition("=")
            if not equals:
                raise ParseFault(f"Syntax error - can't find = in {quote(word)}. Must be of the form: name=value")
            found.append((key, text))
    s.no_flags()
    s.at_least_one(words)
    if any(not key for key, _ in found):
        raise ParseFault(f"{s.name} names can not be blank")
    return tuple(Pair(s.grammar.word(key), s.grammar.word(text)) for key, text in found), legacy


def _env(s: Statement) -> Env:
    pairs, legacy = _pairs(s)
    return Env(keyword=s.keyword, lines=s.lines, comments=s.comments, pairs=pairs, legacy=legacy)


def _label(s: Statement) -> Label:
    pairs, legacy = _pairs(s)
    return Label(keyword=s.keyword, lines=s.lines, comments=s.comments, pairs=pairs, legacy=legacy)


def _run(s: Statement) -> Run:
    flags = Flags(s.flags, _RUN_FLAGS)
    network, security = flags.text("network", "default"), flags.text("security", "sandbox")
    if network not in ("default", "none", "host"):
        raise ParseFault(f"invalid network mode {quote(network)}", "it is one of default, none, host")
    if security not in ("sandbox", "insecure"):
        raise ParseFault(f"security {quote(security)} is not valid", "it is one of sandbox, insecure")
    command = s.command()
    return Run(
        keyword=s.keyword,
        lines=s.lines,
        comments=s.comments,
        command=command,
        display=s.grammar.word(s.text + _summary(command)),
        mounts=tuple(_mount(value, s.grammar) for value in flags.many("mount")),
        network=network,
        security=security,
        devices=flags.many("device"),
    )


def _summary(command: Command) -> str:
    """The first line of a RUN's only heredoc, for progress."""
    if not command.documents or heredoc.mark(command.words[0]) is None:
        return ""
    body = command.documents[0].data.strip(SPACE).replace("\r\n", "\n")
    first, newline, _ = body.partition("\n")
    return f" ({first}{'...' if newline else ''})"


def _mount(text: str, grammar: Grammar) -> tuple[MountField, ...]:
    fields = []
    for field in _csv(text):
        key, equals, value = field.partition("=")
        key = key.lower()
        if key == "from" and equals and "$" in value[:-1]:
            raise ParseFault("'from' doesn't support variable expansion, define alias stage instead")
        fields.append(MountField(key, field, grammar.word(value) if equals else None))
    return tuple(fields)


def _csv(text: str) -> list[str]:
    if '"' not in text:
        return text.split(",")
    import csv

    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise ParseFault(f"failed to parse csv mounts: {error}", "put quotes around a whole field") from None


def _sources(s: Statement) -> tuple[tuple[Word, ...], tuple[InlineSource, ...], Word]:
    words = s.words()
    if len(words) < 2:
        raise ParseFault(
            f"{s.name} requires at least two arguments, but only one was provided. Destination could not be determined",
            f"write {s.name} SOURCE... DESTINATION",
        )
    *sources, dest = words
    if heredoc.mark(dest):
        raise ParseFault(f"{s.name} cannot accept a heredoc as a destination")
    documents = {document.name: document for document in s.documents}
    paths, inlines = [], []
    for source in sources:
        mark = heredoc.mark(source)
        if mark is None:
            paths.append(s.grammar.word(source))
        else:
            inlines.append(_inline(mark, documents.get(mark.name)))
    return tuple(paths), tuple(inlines), s.grammar.word(dest)


def _inline(mark: heredoc.Mark, document: Document | None) -> InlineSource:
    body = document.data if document else ""
    body = heredoc.chomp(body) if mark.chomp else body
    # A body's rules are fixed: the escape character is the backslash, and quotes are text.
    return InlineSource(mark.name, grammar("\\", quotes=False).word(body) if mark.expand else body)


def _copy(s: Statement) -> Copy:
    flags = Flags(s.flags, _COPY_FLAGS)
    if not isinstance(s.grammar.word(flags.text("from")), str):
        raise ParseFault(
            "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope "
            "as a workaround"
        )
    paths, inlines, dest = _sources(s)
    return Copy(
        keyword=s.keyword,
        lines=s.lines,
        comments=s.comments,
        paths=paths,
        inlines=inlines,
        dest=dest,
        display=s.grammar.word(s.text),
        chown=s.grammar.word(flags.text("chown")),
        chmod=s.grammar.word(flags.text("chmod")),
        link=flags.switch("link") or False,
        exclude=flags.many("exclude"),
        source_stage=flags.text("from"),
        parents=flags.switch("parents") or False,
    )


def _add(s: Statement) -> Add:
    flags = Flags(s.flags, _ADD_FLAGS)
    paths, inlines, dest = _sources(s)
    return Add(
        keyword=s.keyword,
        lines=s.lines,
        comments=s.comments,
        paths=paths,
        inlines=inlines,
        dest=dest,
        display=s.grammar.word(s.text),
        chown=s.grammar.word(flags.text("chown")),
        chmod=s.grammar.word(flags.text("chmod")),
        link=flags.switch("link") or False,
        exclude=flags.many("exclude"),
        checksum=s.grammar.word(flags.text("checksum")),
        keep_git_dir=flags.switch("keep-git-dir"),
        unpack=flags.switch("unpack"),
    )


def _cmd(s: Statement) -> Cmd:
    s.no_flags()
    return Cmd(keyword=s.keyword, lines=s.lines, comments=s.comments, command=s.command())


def _entrypoint(s: Statement) -> Entrypoint:
    s.no_flags()
    return Entrypoint(keyword=s.keyword, lines=s.lines, comments=s.comments, command=s.command())


def _shell(s: Statement) -> Shell:
    s.no_flags()
    command = s.command()
    words = s.at_least_one(command.words)
    if command.shell:
        raise ParseFault(f"SHELL requires the arguments to be in JSON form: {s.text}", 'write SHELL ["/bin/sh", "-c"]')
    return Shell(keyword=s.keyword, lines=s.lines, comments=s.comments, words=words)


def _healthcheck(s: Statement) -> Healthcheck:
    kind, rest = s.grammar.healthcheck(s.rest)
    kind = s.at_least_one((kind,) if kind else ())[0].upper()
    if kind == "NONE":
        if rest:
            raise ParseFault("HEALTHCHECK NONE takes no arguments")
        return Healthcheck(keyword=s.keyword, lines=s.lines, comments=s.comments, test=("NONE",))
    flags = Flags(s.flags, _HEALTHCHECK_FLAGS)
    if kind != "CMD":
        raise ParseFault(f"Unknown type {quote(kind)} in HEALTHCHECK (try CMD)")
    array = string_array(rest)
    words = array if array is not None else (rest,) if rest else ()
    if not words:
        raise ParseFault("Missing command after HEALTHCHECK CMD")
    return Healthcheck(
        keyword=s.keyword,
        lines=s.lines,
        comments=s.comments,
        test=("CMD" if array is not None else "CMD-SHELL", *words),
        interval=_interval(flags, "interval"),
        timeout=_interval(flags, "timeout"),
        start_period=_interval(flags, "start-period"),
        start_interval=_interval(flags, "start-interval"),
        retries=_retries(flags.text("retries")),
    )


def _interval(flags: Flags, name: str) -> int:
    text = flags.text(name)
    nanoseconds = parse_duration(text) if text else 0
    if nanoseconds and nanoseconds < 10**6:
        raise ParseFault(f"Interval {quote(name)} cannot be less than 1ms")
    return nanoseconds


def _retries(text: str) -> int:
    if not re.fullmatch(r"([+-]?[0-9]{1,10})?", text):
        raise ParseFault(f"strconv.ParseInt: parsing {quote(text)}: invalid syntax", "--retries takes a whole number")
    retries = int(text or "0")
    if retries < 0:
        raise ParseFault(f"--retries cannot be negative ({retries})")
    if retries >= 2**31:
        raise ParseFault(f"strconv.ParseInt: parsing {quote(text)}: value out of range")
    return retries


def _expose(s: Statement) -> Expose:
    s.no_flags()
    ports = sorted(s.at_least_one(tuple(BLANKS.split(s.rest)) if s.rest else ()))
    words = tuple(map(s.grammar.word, ports))
    return Expose(keyword=s.keyword, lines=s.lines, comments=s.comments, ports=words)


def _user(s: Statement) -> User:
    s.no_flags()
    return User(keyword=s.keyword, lines=s.lines, comments=s.comments, user=s.grammar.word(s.single()))


def _workdir(s: Statement) -> Workdir:
    s.no_flags()
    path, display = s.grammar.word(s.single()), s.grammar.word(s.text)
    return Workdir(keyword=s.keyword, lines=s.lines, comments=s.comments, path=path, display=display)


def _volume(s: Statement) -> Volume:
    s.no_flags()
    paths = [word.strip(SPACE) for word in s.at_least_one(s.words())]
    if not all(paths):
        raise ParseFault("VOLUME specified can not be an empty string")
    words = tuple(map(s.grammar.word, paths))
    return Volume(keyword=s.keyword, lines=s.lines, comments=s.comments, paths=words)


def _stopsignal(s: Statement) -> StopSignal:
    return StopSignal(keyword=s.keyword, lines=s.lines, comments=s.comments, signal=s.grammar.word(s.single()))


def _onbuild(s: Statement) -> Onbuild:
    s.no_flags()
    if not s.rest:
        raise ParseFault("ONBUILD requires at least one argument")
    keyword = split_instruction(s.rest)[0].upper()
    if keyword == "ONBUILD":
        raise ParseFault("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if keyword in ("MAINTAINER", "FROM"):
        raise ParseFault(f"{keyword} isn't allowed as an ONBUILD trigger")
    line = LogicalLine(s.rest, s.lines, (), s.documents, blank=False)
    _BUILDERS.get(keyword, _unknown)(Statement(line, s.grammar))  # a fault now is better than one in a child's build
    trigger = "\n".join([s.rest, *(document.data + document.name for document in s.documents)])
    return Onbuild(keyword=s.keyword, lines=s.lines, comments=s.comments, trigger=trigger)


def _unknown(s: Statement) -> AnyInstruction:
    nearest = did_you_mean(s.keyword, _BUILDERS, ignore_case=True)
    raise ParseFault(f"unknown instruction: {s.keyword}{nearest}")


def _maintainer(s: Statement) -> Maintainer:
    s.no_flags()
    return Maintainer(keyword=s.keyword, lines=s.lines, comments=s.comments, name=s.single())


_BUILDERS: dict[str, Callable[[Statement], AnyInstruction]] = {
    "ADD": _add, "ARG": _arg, "CMD": _cmd, "COPY": _copy, "ENTRYPOINT": _entrypoint, "ENV": _env, "EXPOSE": _expose,
    "FROM": _from, "HEALTHCHECK": _healthcheck, "LABEL": _label, "MAINTAINER": _maintainer, "ONBUILD": _onbuild,
    "RUN": _run, "SHELL": _shell, "STOPSIGNAL": _stopsignal, "USER": _user, "VOLUME": _volume, "WORKDIR": _workdir,
}  # fmt: skip
