"""A base image, an engine and a store of one's own, for as long as cases are compared."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.differential.pair import Pair
from tests.e2e.engine import ROOT, Engine
from tests.e2e.lapstrake import Lapstrake

_EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@contextmanager
def both(folder: Path) -> Iterator[Pair]:
    """folder: empty, on a disk that overlay takes. Needs root and the engine of tests/engine.sh."""
    if not ROOT.is_dir():
        raise SystemExit(f"no engine in {ROOT}: bash tests/engine.sh {ROOT}")
    context = folder / "base"
    context.mkdir(parents=True)
    for name in ("Dockerfile", ".dockerignore"):
        shutil.copy(_EXAMPLES / "base" / name, context / name)
    subprocess.run(["bash", str(_EXAMPLES / "busybox.sh"), str(context / "busybox")], check=True)
    archive = folder / "base.tar"
    Lapstrake(folder / "store").built(context, "-t", "base", "-o", f"type=docker,dest={archive}")
    with Engine(folder, containerd=True) as engine:
        yield pair(folder, engine, archive)


def pair(folder: Path, engine: Engine, base: Path) -> Pair:
    """base: a `docker save` archive of the image that is `base` for both."""
    engine.call("load", "-i", str(base))
    lapstrake = Lapstrake(folder / "store")
    done = lapstrake.run("load", "-i", str(base))
    assert done.status == 0, done.err
    return Pair(folder / "tries", engine, lapstrake)
