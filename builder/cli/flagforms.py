"""Forms of options that Docker's command line takes and click does not (Go's pflag): `-f=VALUE`, and `--flag=false`.

They are put into the forms that click knows, by what the command says of its options, before click sees them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from builder.oci.boolean import parse_bool


def plain_forms(command: click.Command, ctx: click.Context, args: Sequence[str]) -> list[str]:
    """The same arguments. Raises click.UsageError where a flag is given a value that is none."""
    return list(_Forms(command, ctx).words(list(args)))


class _Forms:
    def __init__(self, command: click.Command, ctx: click.Context) -> None:
        self._ctx = ctx
        settings = command.context_settings
        self._interspersed = settings.get("allow_interspersed_args", command.allow_interspersed_args)
        options = [param for param in command.get_params(ctx) if isinstance(param, click.Option)]
        self._options = {name: option for option in options for name in (*option.opts, *option.secondary_opts)}

    def words(self, args: list[str]) -> Iterator[str]:
        while args:
            arg = args.pop(0)
            if arg == "--" or not (arg.startswith("-") and len(arg) > 1):
                yield arg
                if arg == "--" or not self._interspersed:
                    yield from args
                    return
            elif arg.startswith("--"):
                name, equals, value = arg.partition("=")
                yield from self._option(arg, name, value if equals else None, args)
            else:
                yield from self._cluster(arg, args)

    def _cluster(self, arg: str, args: list[str]) -> Iterator[str]:
        """`-itv=x`: flags, of which the last may have a value."""
        for at, letter in enumerate(arg[1:], 1):
            name, rest = f"-{letter}", arg[at + 1 :]
            option = self._options.get(name)
            if option is None:  # click says so
                yield f"-{arg[at:]}"
                return
            if rest.startswith("="):
                yield from self._option(name, name, rest[1:], args)
                return
            if not _is_bool(option):
                yield f"{name}{rest}"
                if not rest:
                    yield from args[:1]
                    del args[:1]
                return
            yield from self._option(name, name, None, args)

    def _option(self, arg: str, name: str, value: str | None, args: list[str]) -> Iterator[str]:
        """arg: as it was written, for options of which nothing is to be changed."""
        option = self._options.get(name)
        if option is None:
            yield arg
        elif _is_bool(option):
            yield from self._flag(option, name, value)
        elif value is None:
            yield arg
            yield from args[:1]
            del args[:1]
        elif name.startswith("--"):
            yield arg
        else:
            yield from (name, value)

    def _flag(self, option: click.Option, name: str, value: str | None) -> Iterator[str]:
        on = value is None or parse_bool(value)
        if on is None:
            raise click.UsageError(f'invalid argument "{value}" for "{name}" flag: want true or false', self._ctx)
        if not option.is_flag:
            yield f"{max(option.opts, key=len)}={'true' if on else 'false'}"
        elif on:
            yield name


def _is_bool(option: click.Option) -> bool:
    return option.is_flag or option.type is click.BOOL
