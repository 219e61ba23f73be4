"""`lapstrake context ls`: what a folder holds for a build, after the ignore rules, largest first."""

from __future__ import annotations

import os
import time

import click

from builder.cli.definition import Definition
from builder.cli.root import store_root
from builder.errors import SourceFault
from builder.layer.entry import Entry, Kind
from builder.oci.config import DEFAULT_EPOCH
from builder.progress.clean import clean
from builder.source.context import LocalContext
from builder.template.listing import TABLE, listing
from builder.template.record import Record
from builder.template.units import human_size
from cache.digest import Digest
from cache.stats import StatIndex

_HEADERS = {"Kind": "KIND", "Mode": "MODE", "Path": "PATH", "Size": "SIZE"}
_HELP = """List what CONTEXT (default: the working folder) holds after the ignore rules, largest first.

\b
Examples:
  lapstrake context ls --size .
  lapstrake context ls -f ci/Dockerfile --format json . | head
"""


@click.command("ls", help=_HELP)
@click.argument("context", metavar="[CONTEXT]", default=".")
@click.option("--size", is_flag=True, help="Show sizes, and their sum.")
@click.option("-f", "--file", metavar="FILE", help="The Dockerfile, which may have an ignore file of its own.")
@click.option("--format", "form", default="", metavar="TEMPLATE", help="table, table TEMPLATE, json, or a template.")
@click.pass_context
def command(ctx: click.Context, context: str, size: bool, file: str | None, form: str) -> None:
    root = store_root((ctx.obj or {}).get("root"), os.environ, os.geteuid())
    members = held(context, file, root)
    members.sort(key=lambda entry: (-entry.size, entry.path))
    if form in ("", TABLE) and not size:
        click.echo("".join(f"{_path(entry)}\n" for entry in members), nl=False)
        return
    columns = ("Size", "Path")
    click.echo(listing(form, map(_row, members), _HEADERS, columns), nl=False)
    if form in ("", TABLE):
        files = [entry for entry in members if entry.kind is not Kind.DIR]
        size_once = sum(entry.size for entry in files if entry.kind is not Kind.HARDLINK)
        click.echo(f"{human_size(size_once)} in {len(files)} {'file' if len(files) == 1 else 'files'}")


def held(context: str, file: str | None, root: str) -> list[Entry]:
    """All that a build of a folder can see. root: of the store, which knows some of the files. Raises SourceFault."""
    folder = os.path.abspath(context)
    if not os.path.isdir(folder):
        wrong = f"context must be a directory: {folder}" if os.path.exists(folder) else f"path {context!r} not found"
        raise SourceFault(f"unable to prepare context: {wrong}", "give a folder")
    definition = local_definition(folder, file)
    real = os.path.realpath(folder)
    known = os.path.join(root, "stats", Digest.of(os.fsencode(real)).hex)
    stats = StatIndex(known, os.stat(real).st_dev, time.time_ns())
    seen = LocalContext(real, definition.ignore(folder), stats, DEFAULT_EPOCH)
    try:
        return list(seen.walk(b""))
    finally:
        seen.close()


def local_definition(folder: str, file: str | None) -> Definition:
    """The definition of a folder and the Dockerfile that -f names, as far as ignore files go. folder: absolute."""
    dockerfile = os.path.join(folder, "Dockerfile") if file is None or file == "-" or "://" in file else file
    return Definition(os.path.basename(dockerfile), b"", folder, f"{dockerfile}.dockerignore")


def _path(entry: Entry) -> str:
    return clean(entry.path.decode(errors="backslashreplace")) + ("/" if entry.kind is Kind.DIR else "")


def _row(entry: Entry) -> Record:
    fields = {
        "Kind": entry.kind.value,
        "Mode": f"{entry.mode:04o}",
        "Path": _path(entry),
        "Size": human_size(entry.size),
    }
    return Record(fields, "*context.member", in_json={"Size": entry.size})
