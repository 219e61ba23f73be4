"""`lapstrake cache mounts …`: the caches of RUN --mount=type=cache, listed, carried elsewhere and removed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import click

from builder.cli.kept import whole
from builder.cli.records import ago, go_time, size
from builder.errors import OutputFault, SourceFault
from builder.progress.clean import clean
from builder.solve.cachefolders import Cache, CacheFolders
from builder.template.listing import listing
from builder.template.record import Record
from builder.upkeep.keptfolders import kept_caches
from builder.upkeep.usage import Usage
from cache.store import Store

_HEADERS = {
    "CreatedAt": "CREATED AT",
    "CreatedSince": "CREATED",
    "ID": "ID",
    "InUse": "IN USE",
    "LastUsedSince": "LAST USED",
    "Mode": "MODE",
    "Name": "NAME",
    "Owner": "OWNER",
    "Size": "SIZE",
}
_COLUMNS = ("ID", "Name", "Size", "CreatedSince", "LastUsedSince")
_FORMS = ("zstd", "gzip", "uncompressed")


@click.group("mounts")
def command() -> None:
    """The caches that RUN --mount=type=cache keeps between builds, by the id that the Dockerfile gives them.

    A cache without id= has its target as id; BUILDKIT_CACHE_MOUNT_NS stands in front of it.
    """


@command.command("ls")
@click.option("--format", "form", default="", metavar="TEMPLATE", help="table, table TEMPLATE, json, or a template.")
@click.pass_context
def listed(ctx: click.Context, form: str) -> None:
    """List the caches.

    \b
    Examples:
      lapstrake cache mounts ls
      lapstrake cache mounts ls --format '{{.ID}} {{.Size}}'
    """
    from builder.upkeep.blocks import Blocks
    from builder.upkeep.measured import Measured

    now = time.time()
    with whole(ctx) as (store, _, _):
        caches = _folders(store).all()
        blocks = Blocks()
        measured = Measured(store, blocks, quick=False)
        usages = {usage.name: usage for usage in kept_caches(store, blocks, measured)} if caches else {}
    rows = (_record(cache, usages[cache.name], now) for cache in caches if cache.name in usages)
    click.echo(listing(form, rows, _HEADERS, _COLUMNS), nl=False)


@command.command("export")
@click.argument("id")
@click.option("-o", "--output", "dest", default="-", metavar="FILE", help="Write to a file, not standard output.")
@click.option("--compression", type=click.Choice(_FORMS), default="zstd", show_default=True, help="Of the archive.")
@click.option("--max-size", default="", metavar="BYTES", help="Export nothing if the cache's files have more.")
@click.pass_context
def exported(ctx: click.Context, id: str, dest: str, compression: str, max_size: str) -> None:
    """Write the cache ID to a tar archive, with owners, modes and attributes.

    It waits until no step uses the cache.

    \b
    Examples:
      lapstrake cache mounts export /root/.cache/go-build -o go.tar.zst
      lapstrake cache mounts export --max-size 2gb pip > pip.tar.zst
    """
    from builder.cli.request import byte_count
    from builder.export.target import Target
    from builder.layer.codec import codec

    if dest == "-" and os.isatty(1):
        raise OutputFault("cowardly refusing to write to a terminal. Use the -o flag or redirect")
    limit = byte_count("--max-size", max_size) if max_size else None
    target, form = Target(dest, "tar"), codec(compression)
    target.check()

    def sink(chunks: Iterator[bytes]) -> None:
        with target.open() as out:
            for data in form.compress(chunks):
                out.write(data)

    with whole(ctx) as (store, _, _):
        folders = _folders(store)
        folders.write(folders.one(id), sink, limit)


@command.command("import")
@click.argument("id")
@click.argument("file", default="-")
@click.pass_context
def imported(ctx: click.Context, id: str, file: str) -> None:
    """Fill the cache ID from an archive that export wrote (FILE, else standard input), or from any tar.

    What the cache had before is gone. If anything is wrong with the archive, the cache stays as it was.

    \b
    Examples:
      lapstrake cache mounts import /root/.cache/go-build go.tar.zst
      lapstrake cache mounts import pip < pip.tar.zst
    """
    from builder.cli.bounds import unpack_limits

    if file == "-" and os.isatty(0):
        raise SourceFault("the archive is not given", "name a file, or send it to the standard input")
    if not id:
        raise SourceFault("the id is empty")
    limits = unpack_limits(os.environ)
    fd = 0 if file == "-" else _opened(file)
    with whole(ctx) as (store, _, _):
        unpacked = _folders(store).read(id, _File(fd, file), limits, "standard input" if file == "-" else file)
    for text in unpacked.warnings():
        click.echo(f"WARNING: {text}", err=True)


@command.command("rm")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Remove every cache.")
@click.pass_context
def removed(ctx: click.Context, ids: tuple[str, ...], everything: bool) -> int:
    """Remove caches that no step uses just now.

    \b
    Examples:
      lapstrake cache mounts rm /root/.cache/go-build
      lapstrake cache mounts rm --all
    """
    if bool(ids) == everything:
        raise click.UsageError("give ids, or --all")
    failed = 0
    with whole(ctx) as (store, _, _):
        folders = _folders(store)
        for cache in folders.all() if everything else [one for id in ids for one in folders.find(id)]:
            if folders.remove(cache):
                click.echo(clean(cache.id) or cache.name)
            else:
                click.echo(f"ERROR: cache {clean(cache.id) or cache.name} is in use", err=True)
                failed = 1
    return failed


def _folders(store: Store) -> CacheFolders:
    return CacheFolders(store.path("caches"), store.path("tmp"))


def _record(cache: Cache, usage: Usage, now: float) -> Record:
    about = cache.about
    fields = {
        "CreatedAt": go_time(usage.created),
        "CreatedSince": ago(usage.created, now),
        "ID": clean(cache.id) or "<unknown>",
        "InUse": str(usage.in_use).lower(),
        "LastUsedSince": ago(usage.used, now),
        "Mode": f"{about.mode:04o}" if about else "",
        "Name": cache.name,
        "Owner": f"{about.uid}:{about.gid}" if about else "",
        "Size": size(usage.size),
    }
    return Record(fields, "*cache.mountContext")


def _opened(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise SourceFault(f"cannot read {path}: {error.strerror}") from error


class _File:
    """A file or pipe; name: as given."""

    def __init__(self, fd: int, name: str) -> None:
        self._fd, self._name = fd, name

    def read(self, count: int, /) -> bytes:
        try:
            return os.read(self._fd, count)
        except OSError as error:
            raise SourceFault(f"cannot read {self._name}: {error.strerror}") from error
