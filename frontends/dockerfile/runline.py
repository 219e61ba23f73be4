"""A RUN to its instruction: flags, the fields of its mounts, command (instructions/parse.go, commands_run*.go)."""

from __future__ import annotations

from builder.oci import csvfields
from cache.errors import Fault
from frontends.dockerfile import heredoc
from frontends.dockerfile.flags import MANY, TEXT, Flags
from frontends.dockerfile.gotext import SPACE, quote
from frontends.dockerfile.grammar import Grammar
from frontends.dockerfile.instructions import Command, MountField, Run
from frontends.dockerfile.statement import Statement
from frontends.errors import ParseFault

_RUN_FLAGS = {"mount": MANY, "network": TEXT, "security": TEXT, "device": MANY}


def run(s: Statement) -> Run:
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
    for field in _csv_fields(text):
        key, equals, value = field.partition("=")
        key = key.lower()
        if key == "from" and equals and "$" in value[:-1]:
            raise ParseFault("'from' doesn't support variable expansion, define alias stage instead")
        fields.append(MountField(key, field, grammar.word(value) if equals else None))
    return tuple(fields)


def _csv_fields(text: str) -> list[str]:
    try:
        return csvfields.fields(text)
    except Fault as error:
        raise ParseFault(f"failed to parse csv mounts: {error.message}", error.hint) from None
