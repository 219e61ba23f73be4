"""Blobs of pulled images that turn out to be damaged or gone are fetched again, by digest, from where they came."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import click

from builder.cli.bounds import unpack_limits
from builder.cli.passing import passing
from builder.errors import RegistryFault, SourceFault, TransportFault
from builder.images.origin import origin_of
from builder.progress.clean import clean
from cache.digest import Digest
from cache.errors import DamagedBlob, Fault
from cache.store import Store

T = TypeVar("T")


def with_refetch(store: Store, work: Callable[[], T], *, again: bool = True) -> T:
    """What work gives. again: it is called anew for each blob that was damaged, which is then gone or fetched.

    Raises DamagedBlob, its hint saying what to do now, where that may not be or nothing is known of where it came from;
    and what a fetch raises.
    """
    store.blobs.suppliers.append(lambda digest: _fetched(store, digest))
    while True:
        try:
            return work()
        except Fault as error:
            damage = passing(error)
            if not isinstance(damage, DamagedBlob):
                raise
            digest = Digest(damage.name)
            if not store.blobs.delete(digest) or origin_of(store.index, digest) is None:
                damage.hint = "load, import or build the image again: nothing is known of where it came from"
                raise damage from None
            if not again:
                _fetched(store, digest)
                damage.hint = "the blob is whole again: run the command once more"
                raise damage from None


def _fetched(store: Store, blob: Digest) -> bool:
    origin = origin_of(store.index, blob)
    if origin is None:
        return False
    from builder.cli.registries import opened_registries
    from builder.source.pulled import Pulled

    name = clean(origin.name)
    click.echo(f"WARNING: blob {blob} was damaged or gone; it is fetched again from {name}", err=True)
    try:
        with opened_registries(os.environ) as registries:
            Pulled(registries, store.blobs, unpack_limits(os.environ)).fetch_one(
                origin.reference, origin.layer, lambda layer, word, count: None
            )
    except (RegistryFault, TransportFault, SourceFault) as error:
        error.hint = f"{error.hint + '; ' if error.hint else ''}later: lapstrake pull {name}"
        raise
    return True
