"""What lies below ROOT/snapshots, ROOT/caches and ROOT/git."""

from __future__ import annotations

import os
from collections.abc import Iterator

from builder.snapshot.registry import Registered, Registry
from builder.snapshot.stub import STUB
from builder.solve.cachemounts import ABOUT, idle, read_about
from builder.source import gitrepository
from builder.upkeep.blocks import Blocks
from builder.upkeep.measured import Measured
from builder.upkeep.owners import Owners
from builder.upkeep.usage import CACHE_MOUNT, GIT, REGULAR, SHOWN, Usage
from cache.store import Store

_OWN = {STUB: ("mount points that images lack", False), ".probe": ("what the kernel can", False)}
SETTLED = 1  # the stamp of what never changes


def kept_trees(owners: Owners, registry: Registry, blocks: Blocks, measured: Measured) -> Iterator[Usage]:
    """Unpacked layers; and what running commands write just now."""
    rows = {one.id: one for one in registry.registered()}
    for name in sorted(os.listdir(registry.folder)):
        path = os.path.join(registry.folder, name)
        if name in rows:
            yield _tree(rows[name], measured.of(f"snapshots/{name}", path, SETTLED), owners, registry.is_used(name))
            continue
        what, used = _OWN.get(name, ("lock" if name.endswith(".lock") else "tree", True))
        what = f"{what} of a running command" if used else what
        yield Usage(id=f"snapshots/{name}", size=blocks.of(path), description=what, mutable=used, in_use=used)


def _tree(row: Registered, size: int, owners: Owners, used: bool) -> Usage:
    blob = owners.layers.get(row.layer) if row.layer is not None else None
    steps: list[str] = []
    if blob is not None:
        steps = [filed.what for filed in owners.results.get(blob, ()) if filed.what]
        steps += [*owners.named.get(blob, ()), *owners.bases.get(blob, ())]
    return Usage(
        id=f"tree-{row.id}",
        kind="tree",
        name=row.id,
        size=size,
        parents=(blob.hex[:SHOWN],) if blob is not None else (),
        created=row.made / 1e9 or None,
        used=row.used / 1e9 or None,
        uses=row.uses,
        in_use=used,
        description=f"unpacked: {next(iter(steps), row.key)}",
        type=REGULAR,
        kept=tuple(dict.fromkeys(steps)),
    )


def kept_caches(store: Store, blocks: Blocks, measured: Measured) -> Iterator[Usage]:
    """Caches of RUN --mount=type=cache, one for each name."""
    for name in sorted(os.listdir(store.path("caches"))):
        path = store.path("caches", name)
        if not os.path.isdir(path):
            yield Usage(id=f"caches/{name}", size=blocks.of(path), description=f"other: caches/{name}")
            continue
        try:
            yield _cache(name, path, measured)
        except FileNotFoundError:
            continue  # it was removed just now


def _cache(name: str, path: str, measured: Measured) -> Usage:
    about = read_about(path)
    with idle(path) as unused:
        used = max([os.stat(path).st_mtime_ns, *map(_date, _locks(path))])
        size = measured.of(f"caches/{name}", path, used if unused else 0)
    return Usage(
        id=name[:SHOWN],
        kind="mounts",
        name=name,
        size=size,
        created=_date(os.path.join(path, ABOUT)) / 1e9 or None,
        used=used / 1e9,
        mutable=True,
        in_use=not unused,
        description=f"cached mount {about.id if about else 'of an unknown id'}",
        type=CACHE_MOUNT,
    )


def kept_repositories(store: Store, blocks: Blocks, measured: Measured) -> Iterator[Usage]:
    """Bare repositories, each with its lock, and known hosts."""
    names = set(os.listdir(store.path("git")))
    for name in sorted(names):
        path = store.path("git", name)
        if name.removesuffix(".lock") in names and name.endswith(".lock"):
            continue
        if not os.path.isdir(path):
            what = "keys of hosts" if name == "known_hosts" else f"other: git/{name}"
            yield Usage(id=f"git/{name}", size=blocks.of(path), description=what)
            continue
        used = _date(f"{path}.lock")
        yield Usage(
            id=name[:SHOWN],
            kind="git",
            name=name,
            size=measured.of(f"git/{name}", path, used) + blocks.of(f"{path}.lock"),
            created=_date(os.path.join(path, "description")) / 1e9 or None,
            used=used / 1e9 or None,
            mutable=True,
            in_use=store.leases.is_held(gitrepository.lease(name)),
            description=f"git repository {_first_line(os.path.join(path, 'description')) or name}",
            type=GIT,
        )


def _locks(folder: str) -> list[str]:
    return [os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".lock")]


def _date(path: str) -> int:
    """When a file was written last, in ns since 1970; 0 if it is not there."""
    try:
        return os.stat(path).st_mtime_ns
    except FileNotFoundError:
        return 0


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline(4096).strip()
    except OSError:
        return ""
