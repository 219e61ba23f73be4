"""`lapstrake pin`: a Dockerfile whose FROM lines name digests."""

from __future__ import annotations

import os
import sys

import click

from builder.cli.opened import opened
from builder.errors import OutputFault, SourceFault
from cache.errors import Fault
from cache.wholefile import replacing

_LIMIT = 16 << 20


_HELP = """Print the Dockerfile FILE with each base image named by its digest in the local store.

\b
Examples:
  lapstrake pin > Dockerfile.pinned
  lapstrake pin --write ci/Dockerfile
"""


@click.command("pin", help=_HELP)
@click.argument("file", default="Dockerfile")
@click.option("-w", "--write", is_flag=True, help="Change FILE instead of printing.")
@click.pass_context
def command(ctx: click.Context, file: str, write: bool) -> None:
    from frontends.dockerfile.pin import pin

    try:
        with open(file, "rb") as source:
            text = source.read(_LIMIT)
    except OSError as error:
        raise SourceFault(f"cannot read {file}: {error.strerror}", "name the Dockerfile") from error
    with opened(ctx) as (_, images):

        def resolve(name: str) -> str:
            image = images.resolve(name)
            if image is None:
                raise Fault(f"cannot pin {name}: it is not in the local image store", "build it, or leave it as it is")
            return str(image.descriptor.digest)

        pinned = pin(text, resolve)
    if not write:
        sys.stdout.buffer.write(pinned)
    elif pinned != text:
        _replace(file, pinned)


def _replace(path: str, data: bytes) -> None:
    try:
        with replacing(path) as fd:
            os.fchmod(fd, os.stat(path).st_mode & 0o7777)
            with open(fd, "wb", closefd=False) as out:
                out.write(data)
    except OSError as error:
        raise OutputFault(f"cannot write {path}: {error.strerror}") from error
