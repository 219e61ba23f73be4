"""Options as Docker's command line takes them: the same command in click's forms is what comes out."""

from __future__ import annotations

import click
import pytest

from builder.cli.flagforms import plain_forms


def parsed(*args: str, interspersed: bool = True) -> list[str]:
    @click.command(context_settings={"allow_interspersed_args": interspersed})
    @click.option("-t", "--tag", multiple=True)
    @click.option("-f", "--file")
    @click.option("-i", "--interactive", is_flag=True)
    @click.option("-q", "--quiet", is_flag=True)
    @click.option("-H", "--human", type=bool, default=True, is_flag=False, flag_value=True)
    @click.argument("words", nargs=-1)
    def command(**options: object) -> None:
        pass

    return plain_forms(command, click.Context(command), args)


@pytest.mark.parametrize(
    ("args", "plain"),
    [
        (["-t=a", "-f=b=c", "."], ["-t", "a", "-f", "b=c", "."]),
        (["-ta", "-t", "=a", "-t", "-i=false"], ["-ta", "-t", "=a", "-t", "-i=false"]),
        (["--tag=a", "--tag", "b", "--tag", "--quiet=x"], ["--tag=a", "--tag", "b", "--tag", "--quiet=x"]),
        (["--quiet=true", "--interactive=false", "-q=1", "-i=F"], ["--quiet", "-q"]),
        (["-iq", "-iqt=x", "-qf", "-i=x"], ["-i", "-q", "-i", "-q", "-t", "x", "-q", "-f", "-i=x"]),
        (["-t="], ["-t", ""]),
        (["-H", "x", "-H=false", "--human=0"], ["--human=true", "x", "--human=false", "--human=false"]),
        (["a", "--", "-t=a"], ["a", "--", "-t=a"]),
        (["-", "-t=a"], ["-", "-t", "a"]),
        (["-x=y", "-ix", "--none=1"], ["-x=y", "-i", "-x", "--none=1"]),
        (["--help"], ["--help"]),
        (["-t"], ["-t"]),
    ],
)  # fmt: skip
def test_forms(args: list[str], plain: list[str]) -> None:
    assert parsed(*args) == plain


def test_what_follows_the_first_word_is_the_command_s() -> None:
    assert parsed("-t=a", "image", "-t=a", "-q=false", interspersed=False) == ["-t", "a", "image", "-t=a", "-q=false"]


@pytest.mark.parametrize("args", [["--quiet=maybe"], ["-q="], ["-iq=2"]])
def test_a_flag_is_true_or_false(args: list[str]) -> None:
    with pytest.raises(click.UsageError, match="invalid argument"):
        parsed(*args)
