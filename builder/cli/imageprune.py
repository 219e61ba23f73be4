"""`lapstrake image prune`: images that nobody needs, as Docker means it; the build cache stays."""

from __future__ import annotations

import time
from collections.abc import Iterable

import click
import msgspec

from builder.cli.confirm import confirm
from builder.cli.opened import opened
from builder.cli.records import size
from builder.errors import ImageFault
from builder.images.facts import Facts, facts
from builder.images.filters import Filters
from builder.images.store import ImageStore, StoredImage
from builder.images.sweep import sweep
from builder.images.uses import is_used
from builder.progress.clean import clean
from builder.template.units import moment
from builder.upkeep.filters import duration
from cache.errors import Fault
from cache.store import Store

_HELP = """Remove images that have no name, with --all every image that no lapstrake run uses.

Steps that are in the build cache stay there, with their layers; see lapstrake prune.

\b
Examples:
  lapstrake image prune
  lapstrake image prune -a -f --filter until=240h --filter label!=keep
"""


class Wanted(msgspec.Struct, frozen=True):
    """before: seconds since 1970 that an image must be older than. labels: all that it has; without: none of these."""

    before: float | None = None
    labels: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    def fits(self, image: StoredImage, known: Facts) -> bool:
        if self.before is not None:
            made = moment(image.created)
            if made is None or made.timestamp() >= self.before:
                return False
        unwanted = any(Filters(labels=(label,)).has_labels(known.labels) for label in self.without)
        return Filters(labels=self.labels).has_labels(known.labels) and not unwanted


def parse_wanted(texts: Iterable[str], now: float) -> Wanted:
    """until= a time or a duration before now, label=, label!=. Raises ImageFault."""
    before: list[float] = []
    labels: list[str] = []
    without: list[str] = []
    for text in texts:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or key not in ("until", "label", "label!"):
            raise ImageFault(f"invalid filter '{key}'", "filters: until, label, label!")
        if key == "until":
            before.append(_moment(value, now))
        else:
            (labels if key == "label" else without).append(value)
    if len(before) > 1:
        raise ImageFault("more than one until filter specified")
    return Wanted(before[0] if before else None, tuple(labels), tuple(without))


@click.command("prune", help=_HELP)
@click.option("-a", "--all", "everything", is_flag=True, help="Images that have names, too.")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@click.option("--filter", "filters", multiple=True, metavar="KEY=VALUE", help="until=TIME, label=, label!=.")
@click.pass_context
def command(ctx: click.Context, everything: bool, force: bool, filters: tuple[str, ...]) -> None:
    wanted = parse_wanted(filters, time.time())
    if not force:
        what = "images without at least one container associated to them" if everything else "dangling images"
        confirm(f"WARNING! This will remove all {what}.\nAre you sure you want to continue?")
    with opened(ctx, freeing=True) as (store, images):
        lines = [
            line
            for image in images.list()
            if (everything or not image.names) and _goes(image, wanted, store, images)
            for line in _removed(image, images)
        ]
        _, reclaimed = sweep(store, images)
    if lines:
        click.echo("Deleted Images:\n" + "".join(f"{line}\n" for line in lines))
    click.echo(f"Total reclaimed space: {size(reclaimed)}")


def _goes(image: StoredImage, wanted: Wanted, store: Store, images: ImageStore) -> bool:
    try:
        known = facts(image, images, store.blobs, store.index)
    except Fault:
        known = Facts(str(image.descriptor.digest), 0, {})
    return not is_used(store.root, image.descriptor.digest) and wanted.fits(image, known)


def _removed(image: StoredImage, images: ImageStore) -> list[str]:
    id = images.id(image)
    for name in image.names:
        images.remove(name)
    images.forget({image.descriptor.digest})
    return [*(f"untagged: {clean(name)}" for name in image.names), f"deleted: {id}"]


def _moment(text: str, now: float) -> float:
    """A time in RFC 3339, seconds since 1970, or a duration before now."""
    found = moment(text)
    if found is not None:
        return found.timestamp()
    if text.replace(".", "", 1).isdigit():
        return float(text)
    return now - duration(text, '"until" filter')
