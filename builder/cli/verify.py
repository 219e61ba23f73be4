"""`lapstrake build --verify`: the same build once more in other surroundings, and what came out differently."""

from __future__ import annotations

import fcntl
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice

from msgspec.structs import replace

from builder.cli.again import Order, surroundings
from builder.cli.bounds import unpack_limits
from builder.cli.request import BuildRequest
from builder.cli.session import Session
from builder.export.options import IMAGES, OutputSpec
from builder.images.difference import Difference, Making, differences
from builder.images.index import AnyImage, ImageIndex
from builder.images.naming import BASE_MEMO
from builder.images.store import ImageStore
from builder.layer.entry import Item, Kind
from builder.layer.remove import remove
from builder.layer.unpack import apply_plain
from builder.oci.descriptor import INDEXES, Descriptor
from builder.oci.manifest import read_index
from builder.progress.clean import clean, clean_bytes
from builder.source.context import LocalContext
from cache import record
from cache.store import Store
from cache.wholefile import replace_file, temp_name

_TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_SOURCES = (BASE_MEMO, "download", "import")  # memos that only say what a source is: those of steps are not passed on
_MOST = 100_000  # lines that are kept of what differs
_TAIL = 4096  # bytes of a failed second build's log that are shown


class _Failed(Exception):
    """The second build failed. args: the end of what it printed."""


def verified(session: Session, store: Store, outputs: Sequence[OutputSpec]) -> tuple[AnyImage, tuple[str, ...]]:
    """Build, deliver, and build again: the image, and lines on what the second build gave otherwise.

    outputs: where the session delivers to.
    """
    second = _SecondBuild(session, store)
    image = session.run()
    step = session.report.begin("building again in other surroundings")
    time.sleep(1 - time.time() % 1)  # what a RUN makes is dated in whole seconds: the second build has others
    lines = second.compared(image, outputs)
    session.report.done(step)
    return image, lines


class _SecondBuild:
    """To be made before the first one gives its image a name, which may be that of a base."""

    def __init__(self, session: Session, store: Store) -> None:
        self._session, self._store = session, store
        self._names = _read(store.path("index.json"))

    def compared(self, image: AnyImage, outputs: Sequence[OutputSpec]) -> tuple[str, ...]:
        """Lines on what comes out differently from image, which the first build has made for its outputs."""
        definition, contexts = self._session.definition, self._session.folders.contexts
        with _scratch(self._store.path("tmp")) as folder:
            copies = {name: _copied(context, f"{folder}/{n}") for n, (name, context) in enumerate(contexts.items())}
            order = Order(
                root=self._prepared(f"{folder}/store"),
                request=self._again(copies),
                definition=replace(definition, context=copies.get("context", definition.context)),
                outputs=tuple(_kept(spec) for spec in outputs if spec.kind in IMAGES),
            )
            try:
                descriptor = _build(order, f"{folder}/log")
            except _Failed as error:
                return ("The second build failed, unlike the first one:", *error.args)
            second = Store(order.root)
            try:
                ours, theirs = Making(image, self._store.blobs), Making(_loaded(second, descriptor), second.blobs)
                return tuple(islice(_lines(differences(ours, theirs, unpack_limits(os.environ))), _MOST))
            finally:
                second.close()

    def _prepared(self, root: str) -> str:
        """A new store that knows of no step, and what this one knows of sources."""
        second = Store(root)
        try:
            for digest in self._store.blobs.digests():
                with suppress(FileNotFoundError):  # pruned just now, so no blob of ours
                    os.link(self._store.blobs.path(digest), second.blobs.path(digest))
            for kind in _SOURCES:
                for key, value, _ in self._store.index.memos_of(kind):
                    second.index.put_memo(kind, key, value)
            if self._names:
                replace_file(second.path("index.json"), self._names)
            if os.path.isdir(self._store.path("git")):
                os.symlink(self._store.path("git"), second.path("git"))
        finally:
            second.close()
        return root

    def _again(self, copies: Mapping[str, str]) -> BuildRequest:
        """The request without what the first build has seen to."""
        request = self._session.reading.request
        named = tuple((name, copies.get(name, path)) for name, path in request.named_folders)
        return replace(
            request,
            named_folders=named,
            no_cache=True,
            no_cache_filter=(),
            pull=False,
            tags=(),
            outputs=(),
            iidfile="",
            metadata_file="",
            cache_from=(),
            cache_to=tuple(spec for spec in request.cache_to if spec.kind == "inline"),  # it is in the image
        )


def _lines(found: Iterable[Difference]) -> Iterator[str]:
    """For a person to read, each step or document named once."""
    where = None
    for one in found:
        if one.where != where:
            where = one.where
            yield f"{clean(where)}:"
        values = f" {one.first} != {one.second}" if one.second else f" {one.first}"
        yield f"  {clean(one.what)}:{clean(values)}"


@contextmanager
def _scratch(tmp: str) -> Iterator[str]:
    """A new folder that Store.tidy leaves alone, and which is gone afterwards."""
    folder = temp_name(f"{tmp}/verify-")
    os.mkdir(folder, 0o700)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    parent = os.open(tmp, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield folder
    finally:
        remove(parent, os.fsencode(os.path.basename(folder)))
        os.close(parent)
        os.close(fd)


def _copied(context: LocalContext, folder: str) -> str:
    """What a context shows, at another place: other inodes, owners and times."""
    os.mkdir(folder)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        apply_plain(_items(context), fd)
    finally:
        os.close(fd)
    root = context.lookup(b"")
    os.chmod(folder, root.mode if root is not None else 0o755)
    return folder


def _items(context: LocalContext) -> Iterator[Item]:
    for entry in context.walk(b""):
        yield entry, context.content(entry.path) if entry.kind is Kind.FILE else None


def _kept(spec: OutputSpec) -> OutputSpec:
    """An output of the same form that stays in the store."""
    return replace(spec, kind="image", dest="", names=(), push=False, by_digest=False)


def _build(order: Order, log: str) -> Descriptor:
    paths = os.pathsep.join(filter(None, (_TOP, os.environ.get("PYTHONPATH"))))
    environment = {**surroundings(dict(os.environ)), "PYTHONPATH": paths}
    words = [sys.executable, "-m", "builder.cli.again"]
    with open(log, "w+b") as file:
        with subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, env=environment
        ) as done:
            said, _ = done.communicate(pickle.dumps(order))
        if done.returncode:
            file.seek(max(file.tell() - _TAIL, 0))
            raise _Failed(*(clean_bytes(line) for line in file.read().splitlines()))
    return record.decode(said, Descriptor)


def _loaded(store: Store, descriptor: Descriptor) -> AnyImage:
    images = ImageStore(store.root, store.blobs)
    if descriptor.media_type not in INDEXES:
        return images.load(descriptor)
    raw = store.blobs.read(descriptor.digest)
    return ImageIndex(images.members(descriptor), read_index(raw), raw, descriptor)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""
