"""A statement to its instruction: what each one takes (BuildKit's instructions/parse.go)."""

from __future__ import annotations

import re
from collections.abc import Callable

from frontends.dockerfile.copyline import add, copy
from frontends.dockerfile.flags import TEXT, Flags
from frontends.dockerfile.gotext import SPACE, parse_duration, quote
from frontends.dockerfile.instructions import (
    AnyInstruction,
    Arg,
    Argument,
    Cmd,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Label,
    Maintainer,
    Onbuild,
    Pair,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from frontends.dockerfile.runline import run
from frontends.dockerfile.statement import Statement
from frontends.errors import ParseFault
from frontends.text import did_you_mean

_ONBUILD = re.compile(r"[\t\n\f\r ]*ONBUILD[\t\n\f\r ]*", re.IGNORECASE)
_STAGE_NAME = re.compile(r"[a-z][a-z0-9\-_.]*\Z")
_HEALTHCHECK_FLAGS = dict.fromkeys(("interval", "timeout", "start-period", "start-interval", "retries"), TEXT)


def instruction(s: Statement) -> AnyInstruction:
    """Check and build one instruction. Raises ParseFault without a place; the caller knows it."""
    build = _BUILDERS.get(s.name)
    if build is None:
        raise ParseFault(f"unknown instruction: {s.keyword}{did_you_mean(s.keyword, _BUILDERS, ignore_case=True)}")
    return build(s)


def _from(s: Statement) -> From:
    words = list(s.words)
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
    for word in s.at_least_one():
        name, equals, default = word.partition("=")
        if not name:
            raise ParseFault("ARG names can not be blank")
        arguments.append(Argument(name, s.grammar.word(default) if equals else None))
    return Arg(keyword=s.keyword, lines=s.lines, comments=s.comments, arguments=tuple(arguments))


def _pairs(s: Statement) -> tuple[Pair, ...]:
    s.no_flags()
    words = s.at_least_one()
    if not all(words[::2]):
        raise ParseFault(f"{s.name} names can not be blank")
    texts = map(s.grammar.word, words)
    return tuple(Pair(key, value) for key, value in zip(texts, texts, strict=True))


def _env(s: Statement) -> Env:
    return Env(keyword=s.keyword, lines=s.lines, comments=s.comments, pairs=_pairs(s), legacy=s.legacy)


def _label(s: Statement) -> Label:
    return Label(keyword=s.keyword, lines=s.lines, comments=s.comments, pairs=_pairs(s), legacy=s.legacy)


def _cmd(s: Statement) -> Cmd:
    s.no_flags()
    return Cmd(keyword=s.keyword, lines=s.lines, comments=s.comments, command=s.command())


def _entrypoint(s: Statement) -> Entrypoint:
    s.no_flags()
    return Entrypoint(keyword=s.keyword, lines=s.lines, comments=s.comments, command=s.command())


def _shell(s: Statement) -> Shell:
    s.no_flags()
    words = s.at_least_one()
    if not s.is_array:
        raise ParseFault("SHELL requires the arguments to be in JSON form", 'write SHELL ["/bin/sh", "-c"]')
    return Shell(keyword=s.keyword, lines=s.lines, comments=s.comments, words=words)


def _healthcheck(s: Statement) -> Healthcheck:
    kind, *words = s.at_least_one()
    kind = kind.upper()
    if kind == "NONE":
        if words:
            raise ParseFault("HEALTHCHECK NONE takes no arguments")
        return Healthcheck(keyword=s.keyword, lines=s.lines, comments=s.comments, test=("NONE",))
    flags = Flags(s.flags, _HEALTHCHECK_FLAGS)
    if kind != "CMD":
        raise ParseFault(f"Unknown type {quote(kind)} in HEALTHCHECK (try CMD)")
    if not words:
        raise ParseFault("Missing command after HEALTHCHECK CMD")
    return Healthcheck(
        keyword=s.keyword,
        lines=s.lines,
        comments=s.comments,
        test=("CMD" if s.is_array else "CMD-SHELL", *words),
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
    if not re.fullmatch(r"([+-]?[0-9]+)?", text):
        raise ParseFault(f"strconv.ParseInt: parsing {quote(text)}: invalid syntax", "--retries takes a whole number")
    sign, digits = text[: len(text) - len(text.lstrip("+-"))], text.lstrip("+-0")
    if len(digits) > 10:
        raise ParseFault(f"strconv.ParseInt: parsing {quote(text)}: value out of range")
    retries = int(f"{sign}{digits or 0}")
    if retries < 0:
        raise ParseFault(f"--retries cannot be negative ({retries})")
    if retries >= 2**31:
        raise ParseFault(f"strconv.ParseInt: parsing {quote(text)}: value out of range")
    return retries


def _expose(s: Statement) -> Expose:
    ports = sorted(s.at_least_one())
    s.no_flags()
    words = tuple(map(s.grammar.word, ports))
    return Expose(keyword=s.keyword, lines=s.lines, comments=s.comments, ports=words)


def _user(s: Statement) -> User:
    user = s.grammar.word(s.single())
    s.no_flags()
    return User(keyword=s.keyword, lines=s.lines, comments=s.comments, user=user)


def _workdir(s: Statement) -> Workdir:
    path, display = s.grammar.word(s.single()), s.grammar.word(s.text)
    s.no_flags()
    return Workdir(keyword=s.keyword, lines=s.lines, comments=s.comments, path=path, display=display)


def _volume(s: Statement) -> Volume:
    paths = [word.strip(SPACE) for word in s.at_least_one()]
    s.no_flags()
    if not all(paths):
        raise ParseFault("VOLUME specified can not be an empty string")
    words = tuple(map(s.grammar.word, paths))
    return Volume(keyword=s.keyword, lines=s.lines, comments=s.comments, paths=words)


def _stopsignal(s: Statement) -> StopSignal:
    return StopSignal(keyword=s.keyword, lines=s.lines, comments=s.comments, signal=s.grammar.word(s.single()))


def _onbuild(s: Statement) -> Onbuild:
    keyword = s.at_least_one()[0].upper()
    s.no_flags()
    if keyword == "ONBUILD":
        raise ParseFault("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if keyword in ("MAINTAINER", "FROM"):
        raise ParseFault(f"{keyword} isn't allowed as an ONBUILD trigger")
    text = _ONBUILD.sub("", s.line)
    trigger = "\n".join([text, *(document.data + document.name for document in s.documents)])
    return Onbuild(keyword=s.keyword, lines=s.lines, comments=s.comments, trigger=trigger)


def _maintainer(s: Statement) -> Maintainer:
    name = s.single()
    s.no_flags()
    return Maintainer(keyword=s.keyword, lines=s.lines, comments=s.comments, name=name)


_BUILDERS: dict[str, Callable[[Statement], AnyInstruction]] = {
    "ADD": add, "ARG": _arg, "CMD": _cmd, "COPY": copy, "ENTRYPOINT": _entrypoint, "ENV": _env, "EXPOSE": _expose,
    "FROM": _from, "HEALTHCHECK": _healthcheck, "LABEL": _label, "MAINTAINER": _maintainer, "ONBUILD": _onbuild,
    "RUN": run, "SHELL": _shell, "STOPSIGNAL": _stopsignal, "USER": _user, "VOLUME": _volume, "WORKDIR": _workdir,
}  # fmt: skip
