"""docs/commands.md, from what the commands say of themselves: `make docs` writes it, a test compares it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from builder.cli.main import cli

HEAD = """# Commands

Written by `make docs` from what `lapstrake COMMAND --help` says. Options that only stand for others of `docker buildx`,
or that are refused, are not in it. `--root FOLDER` goes before any command.
"""


def commands(group: click.Group = cli, prefix: str = "lapstrake") -> Iterator[tuple[str, click.Command]]:
    """(words, command) of every command, those in groups behind them."""
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def options(command: click.Command) -> list[click.Option]:
    """Those that its help shows."""
    return [p for p in command.params if isinstance(p, click.Option) and not p.hidden]


def page() -> str:
    names: dict[int, list[str]] = {}
    known: dict[int, click.Command] = {}
    for words, command in commands():
        names.setdefault(id(command.callback), []).append(words)
        known.setdefault(id(command.callback), command)
    found = {key: sorted(words, key=lambda one: (one.count(" "), one)) for key, words in names.items()}
    return HEAD + "".join(_section(found[key], known[key]) for key in sorted(found, key=lambda key: found[key][0]))


def _section(names: list[str], command: click.Command) -> str:
    words, *others = names
    text = inspect.cleandoc(command.help or "").partition("\n\n")[0].replace("\n", " ")
    also = f" Also: {', '.join(f'`{one}`' for one in others)}." if others else ""
    usage = " ".join(("lapstrake", *words.split()[1:], "[OPTIONS]", *_arguments(command)))
    rows = "".join(f"| {_names(option)} | {_cell(_meaning(option))} |\n" for option in options(command))
    table = f"\n| option | |\n|---|---|\n{rows}" if rows else ""
    return f"\n## {words}\n\n{text}{also}\n\n`{usage}`\n{table}"


def _arguments(command: click.Command) -> list[str]:
    given = [p for p in command.params if isinstance(p, click.Argument)]
    plain = [(p.name or "").upper() for p in given]
    return [p.metavar or (name if p.required else f"[{name}]") for p, name in zip(given, plain, strict=True)]


def _names(option: click.Option) -> str:
    value = "" if option.is_flag else option.metavar or _choices(option) or "VALUE"
    *short, last = [*option.opts, *option.secondary_opts]
    return _cell(", ".join([*(f"`{one}`" for one in short), f"`{f'{last} {value}'.strip()}`"]))


def _choices(option: click.Option) -> str:
    return "|".join(option.type.choices) if isinstance(option.type, click.Choice) else ""


def _meaning(option: click.Option) -> str:
    default = f" (default: `{option.default}`)" if option.show_default is True else ""
    return (option.help or "").rstrip(".") + default + "."


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")
