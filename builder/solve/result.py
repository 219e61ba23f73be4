"""Result: what the store keeps of a step that succeeded."""

import msgspec

from builder.layer.layer import Layer
from cache import record
from cache.digest import Digest
from cache.errors import CacheFault
from cache.store import Store


class Result(msgspec.Struct, frozen=True):
    """layer: the one layer that the step made; its blob is on disk before the result is filed.

    on: the ChainIDs of the trees that shaped it, in order of the vertex's inputs. A step that is made anew under its
    key need not give the same bytes again; on another tree than these the result is not to be used. files: members of
    the layer that are no folders, None where nobody counted. form: the fingerprint of the codec, "" for the usual one.
    """

    layer: Layer
    on: tuple[Digest, ...] = ()
    files: int | None = None
    form: str = ""


def find(store: Store, key: Digest) -> Result | None:
    """The result under a key, if its blob is still whole in size; a record that cannot be read is forgotten."""
    data = store.index.result(key)
    if data is None:
        return None
    try:
        result = record.decode(data, Result)
    except CacheFault:
        store.index.delete_result(key)
        return None
    return result if store.blobs.has(result.layer.blob.digest, result.layer.blob.size) else None


def file(store: Store, key: Digest, result: Result, now: float, what: str = "") -> None:
    """Remember a result; the last act of a step. what: its name, for people."""
    store.index.put_result(key, record.encode(result), now, what)
