"""`python -m bench.images [--runs N] [pull200m] [push200m]`: images from and to a registry, beside other programs.

pull200m: an image of 200 MB from a registry on loopback into a form that a build can begin on. push200m: the same image
to an empty registry.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench.measure import BenchError, Sample, measure
from bench.movers import Mover, movers
from tests.e2e.dockerregistry import docker_registry

_TOP = Path(__file__).resolve().parent.parent
_REFERENCE = "podman"
_LAYERS = {"a": (100, 200), "b": (50, 2000), "c": (30, 50), "d": (20, 10)}  # megabytes, files


def main() -> int:
    parser = argparse.ArgumentParser("python -m bench.images", description=__doc__)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", default=[], help="pull200m, push200m; default both")
    parser.add_argument("--runs", type=int, default=3, help="of each; the median counts (default 3)")
    options = parser.parse_args()
    wanted = options.workloads or ["pull200m", "push200m"]
    if unknown := set(wanted) - {"pull200m", "push200m"}:
        parser.error(f"no such workload: {unknown.pop()}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lapstrake-bench.")))
        (folder / "registry").mkdir()
        registry = stack.enter_context(docker_registry(folder / "registry"))
        image = f"{registry.host}/bench/image:1"
        _publish(folder, image)
        found, absent = movers(folder)
        for mover in found:
            stack.callback(mover.close)
        results = {key: _run(key, found, image, folder, options.runs) for key in wanted}
    sys.stdout.write(_table(results, [mover.name for mover in found], absent))
    return 0


def _publish(folder: Path, image: str) -> None:
    context = folder / "context"
    for name, (megabytes, count) in _LAYERS.items():
        _files(context / name, megabytes * 1_000_000 // count, count)
    subprocess.run(["bash", str(_TOP / "examples" / "busybox.sh"), str(context / "busybox")], check=True)
    lines = ["FROM scratch", "COPY busybox /bin/busybox", *(f"COPY {name} /{name}" for name in _LAYERS), ""]
    (context / "Dockerfile").write_text("\n".join(lines))
    program = str(Path(sys.executable).with_name("lapstrake"))
    words = [program, "--root", str(folder / "first"), "build", "--push", "-t", image, str(context)]
    measure([words], {}, folder / "log")


def _files(place: Path, size: int, count: int) -> None:
    """Half of each random, half of it text, as programs are."""
    place.mkdir(parents=True)
    text = b"".join(b"%d some words that repeat\n" % i for i in range(40_000))
    for number in range(count):
        (place / str(number)).write_bytes(os.urandom(size // 2) + (text * (size // len(text) + 1))[: size - size // 2])


def _run(key: str, found: list[Mover], image: str, folder: Path, runs: int) -> dict[str, list[Sample]]:
    samples: dict[str, list[Sample]] = {mover.name: [] for mover in found}
    for turn in range(runs):
        for mover in found:
            mover.forget()
            work: Callable[[], Sample] = (
                (lambda m=mover: m.pull(image)) if key == "pull200m" else (lambda m=mover: _pushed(m, image, folder))
            )
            try:
                sample = work()
                samples[mover.name].append(sample)
                print(f"{key} {turn + 1}/{runs} {mover.name}: {sample.seconds:.2f} s", file=sys.stderr, flush=True)
            except BenchError as error:
                print(f"{key} {turn + 1}/{runs} {mover.name}: failed: {error}", file=sys.stderr, flush=True)
    return samples


def _pushed(mover: Mover, image: str, folder: Path) -> Sample:
    """To a registry of its own, which has nothing yet."""
    mover.pull(image)
    place = folder / "target"
    place.mkdir()
    try:
        with docker_registry(place) as registry:
            return mover.push(image, f"{registry.host}/bench/copy:1")
    finally:
        shutil.rmtree(place)


def _table(results: dict[str, dict[str, list[Sample]]], names: list[str], absent: dict[str, str]) -> str:
    rows = [["workload", *names]]
    for key, samples in results.items():
        reference = samples.get(_REFERENCE)
        unit = median(s.seconds for s in reference) if reference else None
        rows.append([key, *(_cell(samples[name], unit) for name in names)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [f"{name}: left out, {why}" for name, why in absent.items()]
    return "\n".join((f"median seconds, ratio to {_REFERENCE}, peak memory of the largest process", *lines)) + "\n"


def _cell(samples: list[Sample], unit: float | None) -> str:
    if not samples:
        return "failed"
    seconds = median(s.seconds for s in samples)
    ratio = f" {seconds / unit:5.2f}x" if unit else ""
    return f"{seconds:6.2f} s{ratio} {max(s.memory for s in samples) / 1e6:4.0f} MB"


if __name__ == "__main__":
    sys.exit(main())
