"""Opening all of the store for commands that account for it or clear it up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import click

from builder.cli.opened import opened
from builder.images.store import ImageStore
from builder.sandbox import namespace
from builder.snapshot.registry import Registry
from builder.upkeep.inventory import Inventory
from builder.upkeep.usage import Usage
from cache.store import Store


class Whole(NamedTuple):
    """A store with its parts."""

    store: Store
    images: ImageStore
    registry: Registry


@contextmanager
def whole(ctx: click.Context) -> Iterator[Whole]:
    """The store at --root, what killed commands left in it deleted."""
    namespace.enter()  # trees may belong to users that only our namespace can act as
    with opened(ctx, freeing=True) as (store, images):
        store.tidy()
        registry = Registry(store.root, lambda text: click.echo(f"WARNING: {text}", err=True))
        try:
            yield Whole(store, images, registry)
        finally:
            registry.close()


def kept(ctx: click.Context) -> list[Usage]:
    """All that the store at --root holds."""
    with whole(ctx) as (store, images, registry):
        return Inventory(store, images, registry).all()
