"""`lapstrake import`: the archive of a root file system becomes an image of one layer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from builder.cli.bounds import byte_limit, unpack_limits
from builder.cli.opened import opened
from builder.cli.request import epoch
from builder.errors import ImageFault, SourceFault
from builder.images.image import assemble
from builder.images.imported import import_tar
from builder.oci.config import DEFAULT_EPOCH, History, ImageConfig, RuntimeConfig
from builder.oci.platform import Platform, host
from builder.oci.reference import Reference
from builder.solve.assemble import rfc3339
from builder.source.remotes import DOWNLOAD_LIMIT
from builder.transport.address import shown

if TYPE_CHECKING:
    from builder.layer.tarread import Readable
    from builder.transport.response import Response

_HELP = """Make an image of a tar archive with a root file system, compressed or not.

Its config is empty but for the instructions given with --change. It is dated by SOURCE_DATE_EPOCH, else 1980-01-02, so
that the same archive gives the same image.

\b
Examples:
  lapstrake import -c 'CMD ["sh"]' -c 'ENV LANG=C.UTF-8' rootfs.tar.xz team/base:1
  mmdebstrap bookworm - | lapstrake import --message bookworm - debian:bookworm
"""


@click.command("import", help=_HELP)
@click.argument("source", metavar="FILE|URL|-")
@click.argument("name", metavar="[REPOSITORY[:TAG]]", default="")
@click.option("-c", "--change", "changes", multiple=True, metavar="INSTRUCTION", help="Apply one of a Dockerfile's.")
@click.option("-m", "--message", default="", metavar="TEXT", help="Comment in the image's history.")
@click.option(
    "--platform", default=lambda: os.environ.get("DOCKER_DEFAULT_PLATFORM", ""), metavar="OS/ARCH[/VARIANT]",
    help="What the image is for (default: this machine's).",
)  # fmt: skip
@click.pass_context
def command(ctx: click.Context, source: str, name: str, changes: tuple[str, ...], message: str, platform: str) -> None:
    reference = Reference.parse(name) if name else None
    if reference is not None and reference.digest:
        raise ImageFault("cannot import digest reference", "give a name and a tag")
    wanted = Platform.parse(platform) if platform else host()
    runtime = _runtime(changes, wanted)
    said = epoch(os.environ.get("SOURCE_DATE_EPOCH", ""))
    created = rfc3339(DEFAULT_EPOCH if said is None else said)
    remote = source.startswith(("http://", "https://"))
    entry = History(created=created, comment=message or f"Imported from {shown(source) if remote else '-'}")
    with opened(ctx) as (store, images), store.using():
        with _opened(source) if not remote else _fetched(source) as stream:
            what = shown(source) if remote else "standard input" if source == "-" else source
            layer = import_tar(stream, what, store.blobs, unpack_limits(os.environ))
        config = ImageConfig(platform=wanted, runtime=runtime, created=created, history=(entry,))
        image = assemble(config, (layer,))
        store.blobs.put(image.config_raw)
        store.blobs.put(image.manifest_raw)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if reference is None:
            images.keep(image.descriptor, now)
        else:
            images.tag(reference, image.descriptor, now)
    click.echo(str(image.id))


def _runtime(changes: tuple[str, ...], platform: Platform) -> RuntimeConfig:
    from frontends.dockerfile.changes import changed

    return changed(changes, platform)


@contextmanager
def _opened(source: str) -> Iterator[Readable]:
    if source == "-":
        yield _File(0, "-")
        return
    try:
        fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise SourceFault(f"open {source}: {(error.strerror or '').lower()}", "give a file, a URL, or -") from error
    try:
        yield _File(fd, source)
    finally:
        os.close(fd)


class _File:
    """A file or pipe; name: as given."""

    def __init__(self, fd: int, name: str) -> None:
        self._fd, self._name = fd, name

    def read(self, size: int, /) -> bytes:
        try:
            return os.read(self._fd, size)
        except OSError as error:
            raise SourceFault(f"read {self._name}: {(error.strerror or '').lower()}") from error


@contextmanager
def _fetched(url: str) -> Iterator[Readable]:
    from builder.cli.registries import make_transport

    limit = byte_limit(os.environ, "LAPSTRAKE_DOWNLOAD_LIMIT")
    transport = make_transport(os.environ)
    try:
        with transport.stream("GET", url) as response:
            if not 200 <= response.status < 300:
                raise SourceFault(f"failed to GET {shown(url)} with status {response.status}", "check the URL")
            click.echo(f"Downloading from {shown(url)}")
            yield _Body(response, DOWNLOAD_LIMIT if limit is None else limit, shown(url))
    except KeyboardInterrupt:
        transport.cancel()
        raise
    finally:
        transport.close()


class _Body:
    """An answer's bytes."""

    def __init__(self, response: Response, limit: int, where: str) -> None:
        self._chunks, self._left, self._where = response.chunks(), limit, where
        self._data = b""

    def read(self, size: int, /) -> bytes:
        if not self._data:
            self._data = next(self._chunks, b"")
            self._left -= len(self._data)
            if self._left < 0:
                hint = "raise LAPSTRAKE_DOWNLOAD_LIMIT, in bytes, if it is meant to be that large"
                raise SourceFault(f"{self._where}: more bytes than may be downloaded", hint)
        data, self._data = self._data[:size], self._data[size:]
        return data
