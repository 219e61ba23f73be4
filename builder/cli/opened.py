"""Opening the store for a command that only looks at images or changes their names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import click

from builder.cli.root import store_root
from builder.images.store import ImageStore
from cache.store import Store, drop_ballast


@contextmanager
def opened(ctx: click.Context, *, freeing: bool = False) -> Iterator[tuple[Store, ImageStore]]:
    """The store at --root; says on stderr if something in it was damaged and had to be set right.

    freeing: whether it is opened to delete something, which must go on a full disk, too.
    """
    root = store_root((ctx.obj or {}).get("root"), os.environ, os.geteuid())
    if freeing:
        drop_ballast(root)
    store = Store(root)
    try:
        images = ImageStore(store.root, store.blobs)
        yield store, images
        for text in (store.index.rebuilt, images.rebuilt):
            if text:
                click.echo(f"WARNING: {text}", err=True)
    finally:
        if freeing:
            store.load_ballast()
        store.close()
