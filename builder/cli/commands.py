"""A group of commands, each in a module of its own that is imported when it is called."""

from __future__ import annotations

import importlib
from typing import Any

import click


class Commands(click.Group):
    """modules: command name to the module that has it as `command`. summaries: a line for the help of each.

    groups: headings of the help, with the commands below each in this order; the others come last, by name.
    """

    def __init__(
        self,
        *args: Any,
        modules: dict[str, str],
        summaries: dict[str, str],
        groups: dict[str, tuple[str, ...]] | None = None,
        **attributes: Any,
    ) -> None:
        super().__init__(*args, **attributes)
        self._modules, self._summaries, self._groups = modules, summaries, groups or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = self._modules.get(cmd_name)
        if module is None:
            return None
        found: click.Command = importlib.import_module(module).command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self._modules and not args[0].startswith("-"):
            raise click.UsageError(f"unknown command {args[0]!r}{self._suggestion(args[0])}", ctx)
        name, found, rest = super().resolve_command(ctx, args)
        if found is not None and not isinstance(found, click.Group):
            from builder.cli.flagforms import plain_forms

            rest = plain_forms(found, ctx, rest)
        return name, found, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        grouped = {name for names in self._groups.values() for name in names}
        others = tuple(name for name in self.list_commands(ctx) if name not in grouped)
        for heading, names in {**self._groups, "Commands": others}.items():
            if names:
                with formatter.section(heading):
                    formatter.write_dl([(name, self._summaries[name]) for name in names])

    def _suggestion(self, word: str) -> str:
        import difflib

        close = difflib.get_close_matches(word, self._modules, 1)
        return f" (did you mean {close[0]}?)" if close else ""
