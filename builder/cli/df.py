"""`lapstrake system df`: how much disk images and the build cache take, as Docker shows it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence

import click
import msgspec

from builder.cli.kept import Whole, whole
from builder.cli.records import ago, go_time, size
from builder.images.facts import facts
from builder.images.naming import halves
from builder.images.reach import reach
from builder.images.store import StoredImage
from builder.images.uses import is_used
from builder.progress.clean import clean
from builder.template.listing import TABLE, listing
from builder.template.record import Record
from builder.template.units import human_size, local_time, since
from builder.upkeep.inventory import Inventory
from builder.upkeep.usage import Usage
from cache.digest import Digest
from cache.errors import Fault

_HEADERS = {
    "Active": "ACTIVE",
    "Reclaimable": "RECLAIMABLE",
    "Size": "SIZE",
    "TotalCount": "TOTAL",
    "Type": "TYPE",
}
_COLUMNS = ("Type", "TotalCount", "Active", "Size", "Reclaimable")
_IMAGES = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "Size": "SIZE",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
    "Containers": "CONTAINERS",
}
_CONTAINERS = ("CONTAINER ID", "IMAGE", "COMMAND", "LOCAL VOLUMES", "SIZE", "CREATED", "STATUS", "NAMES")
_VOLUMES = ("VOLUME NAME", "LINKS", "SIZE")
_CACHE = {
    "ID": "CACHE ID",
    "CacheType": "CACHE TYPE",
    "Size": "SIZE",
    "CreatedSince": "CREATED",
    "LastUsedSince": "LAST USED",
    "UsageCount": "USAGE",
    "Shared": "SHARED",
}
_RAW = "type: {{.Type}}\ntotal: {{.TotalCount}}\nactive: {{.Active}}\nsize: {{.Size}}\nreclaimable: {{.Reclaimable}}\n"
_DIGITS = 12
_HELP = """Show how much disk images and the build cache take; together that is all of the store.

There are no containers and volumes. What an image and the cache share counts as the image's.

\b
Examples:
  lapstrake system df
  lapstrake system df -v
  lapstrake system df --format '{{.Type}}: {{.Size}}'
"""


class _Space(msgspec.Struct, frozen=True):
    """What both forms are made of."""

    listed: tuple[StoredImage, ...]
    running: int
    usages: list[Usage]


@click.command("df", help=_HELP)
@click.option("-v", "--verbose", is_flag=True, help="Show each image and each record of the cache.")
@click.option("--format", "form", default="", metavar="TEMPLATE", help="table, table TEMPLATE, json, or a template.")
@click.pass_context
def command(ctx: click.Context, verbose: bool, form: str) -> None:
    now = time.time()
    with whole(ctx) as store:
        listed = store.images.list()
        running = sum(is_used(store.store.root, image.descriptor.digest) for image in listed)
        space = _Space(listed, running, Inventory(*store).all())
        if verbose:
            text = _verbose(store, space, form, now)
        else:
            rows = (_images(space), _nothing("Containers"), _nothing("Local Volumes"), _cache(space))
            text = listing(_RAW if form == "raw" else form, rows, _HEADERS, _COLUMNS)
    click.echo(text, nl=False)


def _images(space: _Space) -> Record:
    shared = [usage for usage in space.usages if usage.shared]
    total = sum(usage.size for usage in shared)
    free = sum(usage.size for usage in shared if not usage.in_use)
    share = f" ({free * 100 // total}%)" if total else ""
    return _row("Images", len(space.listed), space.running, total, size(free) + share)


def _cache(space: _Space) -> Record:
    private = _private(space)
    active = sum(usage.in_use for usage in private)
    free = sum(usage.size for usage in private if usage.reclaimable)
    return _row("Build Cache", len(private), active, sum(usage.size for usage in private), size(free))


def _nothing(kind: str) -> Record:
    return _row(kind, 0, 0, 0, "0B")


def _row(kind: str, count: int, active: int, total: int, free: str) -> Record:
    fields = {"Active": str(active), "Reclaimable": free, "Size": size(total), "TotalCount": str(count), "Type": kind}
    return Record(fields, "*formatter.diskUsageImagesContext")


def _private(space: _Space) -> list[Usage]:
    return [usage for usage in space.usages if not usage.shared]


def _verbose(store: Whole, space: _Space, form: str, now: float) -> str:
    table = form in ("", TABLE)
    images = list(_image_records(store, space.listed, now, short=table))
    private = sorted(_private(space), key=lambda usage: (usage.used or 0.0, usage.id))
    cache = [_cache_record(usage, now, short=table) for usage in private]
    if table:
        total = size(sum(usage.size for usage in private))
        return (
            f"Images space usage:\n\n{listing('', images, _IMAGES, tuple(_IMAGES))}"
            f"\nContainers space usage:\n\n{_header(_CONTAINERS)}"
            f"\nLocal Volumes space usage:\n\n{_header(_VOLUMES)}"
            f"\nBuild cache usage: {total}\n\n{listing('', cache, _CACHE, tuple(_CACHE))}"
        )
    from builder.template.evaluate import Template
    from builder.template.parse import parse

    text = "{{json .}}\n" if form == "json" else form.replace("\\t", "\t").replace("\\n", "\n")
    everything = {"Images": images, "Containers": [], "Volumes": [], "BuildCache": cache}
    return Template(text, parse(text)).render(Record(everything, "*formatter.diskUsageContext"))


def _header(names: Sequence[str]) -> str:
    return listing("", (), {name: name for name in names}, names)


def _image_records(store: Whole, listed: Iterable[StoredImage], now: float, *, short: bool) -> Iterable[Record]:
    blobs = store.store.blobs
    parts = {image.descriptor.digest: set(reach(blobs, image.descriptor)) for image in listed}
    owners = Counter(part for found in parts.values() for part in found)

    def bytes_of(digests: Iterable[Digest]) -> int:
        return sum(blobs.size(digest) for digest in digests if blobs.has(digest))

    for image in listed:
        own = parts[image.descriptor.digest]
        try:
            id = facts(image, store.images, blobs, store.store.index).id
        except Fault:
            id = str(image.descriptor.digest)
        repository, tag = halves(image.names[0] if image.names else "")
        common = bytes_of(part for part in own if owners[part] > 1)
        fields = {
            "Containers": str(int(is_used(store.store.root, image.descriptor.digest))),
            "CreatedAt": local_time(image.created),
            "CreatedSince": since(image.created, now),
            "Digest": str(image.descriptor.digest),
            "ID": id.removeprefix("sha256:")[:_DIGITS] if short else id,
            "Repository": clean(repository) or "<none>",
            "SharedSize": size(common),
            "Size": human_size(bytes_of(own)),
            "Tag": clean(tag) or "<none>",
            "UniqueSize": size(bytes_of(own) - common),
        }
        yield Record(fields, "*formatter.imageContext")


def _cache_record(usage: Usage, now: float, *, short: bool) -> Record:
    fields = {
        "CacheType": usage.type,
        "CreatedAt": go_time(usage.created),
        "CreatedSince": ago(usage.created, now),
        "Description": clean(usage.description),
        "ID": clean(usage.id[:_DIGITS] if short and usage.name.startswith(usage.id) else usage.id)
        + ("*" if usage.in_use else ""),
        "InUse": str(usage.in_use).lower(),
        "LastUsedAt": go_time(usage.used) if usage.used is not None else "",
        "LastUsedSince": ago(usage.used, now),
        "Parent": ", ".join(usage.parents),
        "Shared": str(usage.shared).lower(),
        "Size": human_size(usage.size),
        "UsageCount": str(usage.uses),
    }
    return Record(fields, "*formatter.buildCacheContext")
