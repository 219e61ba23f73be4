"""Options that are taken from habit, and those that are refused with a word."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from builder.cli.unsupported import check_unsupported, unsupported_options
from cache.errors import Fault


@click.command()
@unsupported_options
@click.pass_context
def command(ctx: click.Context) -> None:
    check_unsupported(ctx)


@pytest.mark.parametrize(
    "args",
    [
        ["--rm", "--force-rm", "--compress"],
        ["--builder", "default"],
        ["--provenance=false", "--sbom=0"],
        ["--attest", "type=provenance,disabled=true"],
    ],
)
def test_taken(args: list[str]) -> None:
    assert CliRunner().invoke(command, args, catch_exceptions=False).exit_code == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--builder", "other"], 'no builder "other" found'),
        (["--provenance=mode=max"], "--provenance=mode=max is not supported: lapstrake makes no attestations"),
        (["--sbom=true"], "--sbom=true is not supported: lapstrake makes no attestations"),
        (["--attest=type=sbom"], "--attest=type=sbom is not supported: lapstrake makes no attestations"),
    ],
)
def test_refused(args: list[str], message: str) -> None:
    with pytest.raises(Fault) as caught:
        CliRunner().invoke(command, args, catch_exceptions=False)
    assert caught.value.message == message


def test_said_to_do_nothing() -> None:
    args = ["--squash", "--isolation=x", "--security-opt", "a", "--security-opt", "b"]
    done = CliRunner().invoke(command, args, catch_exceptions=False)
    assert done.exit_code == 0
    assert [line.partition(" ")[0] for line in done.stderr.splitlines()] == ["WARNING:"] * 3
    assert "isolation flag is deprecated with BuildKit." in done.stderr
    assert CliRunner().invoke(command, [], catch_exceptions=False).stderr == ""
