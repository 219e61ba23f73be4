"""`python -m bench [--runs N] [--builders a,b] [--out FOLDER] [WORKLOAD...]`"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.builders import NAMES, ON_REQUEST, Builder, builder
from bench.measure import BenchError, Sample, measure, walk
from bench.report import RULES, WALK, as_json, as_text
from bench.workloads import BASE, WORKLOADS, Workload
from tests.e2e.dockerregistry import docker_registry

TOP = Path(__file__).resolve().parent.parent


def main() -> int:
    options = _options()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lapstrake-bench.", dir=options.work)))
        base = _base(folder)
        builders: dict[str, Builder] = {}
        absent: dict[str, str] = {}
        for name in options.builders:
            found = builder(name, folder / name, base)
            if isinstance(found, str):
                absent[name] = found
            else:
                builders[name] = found
                stack.callback(found.close)
        results = {key: _run(key, WORKLOADS[key], builders, folder, options.runs) for key in options.workloads}
    text = as_text(results, list(builders), absent)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "result.json").write_text(as_json(results, absent))
    (options.out / "result.txt").write_text(text)
    sys.stdout.write(text)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench", description="Measure this builder beside the others.")
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"of: {', '.join(WORKLOADS)}; default all")
    parser.add_argument("--runs", type=int, default=3, help="builds of each; the median counts (default 3)")
    parser.add_argument(
        "--builders", type=lambda text: text.split(","), default=list(NAMES), help=", ".join(NAMES + ON_REQUEST)
    )
    parser.add_argument("--work", type=Path, help="folder to build in, on a real disk (default: the system's)")
    parser.add_argument("--out", type=Path, default=TOP / ".bench", help="where result.json and result.txt go")
    options = parser.parse_args()
    options.workloads = options.workloads or list(WORKLOADS)
    for given, known in ((options.workloads, WORKLOADS), (options.builders, NAMES + ON_REQUEST)):
        for name in given:
            if name not in known:
                parser.error(f"no such name: {name} (of {', '.join(known)})")
    return options


def _base(folder: Path) -> Path:
    """examples/base as an archive that every builder can load."""
    context, archive = folder / "base", folder / "base.tar"
    context.mkdir()
    shutil.copy(TOP / "examples" / "base" / "Dockerfile", context)
    subprocess.run(["bash", str(TOP / "examples" / "busybox.sh"), str(context / "busybox")], check=True)
    lapstrake = [str(Path(sys.executable).with_name("lapstrake")), "--root", str(folder / "base-store")]
    output = f"type=docker,dest={archive}"
    measure([[*lapstrake, "build", "-t", BASE, "-o", output, str(context)]], {}, folder / "log")
    return archive


def _run(
    key: str, workload: Workload, builders: dict[str, Builder], folder: Path, runs: int
) -> dict[str, list[Sample]]:
    """Runs go round the builders, so that a slow minute of the machine meets them all."""
    samples: dict[str, list[Sample]] = {name: [] for name in builders}
    for turn in range(runs):
        for name, each in builders.items():
            context = folder / "context"
            context.mkdir()
            workload.make(context)
            if workload.walked:
                for part, sample in zip((WALK, RULES), walk(context, folder / "log"), strict=True):
                    samples.setdefault(part, []).append(sample)
            archive = folder / "out.tar" if workload.tarball else None
            try:
                sample = _once(workload, each, context, archive, folder / "shared")
                samples[name].append(sample)
                print(f"{key} {turn + 1}/{runs} {name}: {sample.seconds:.2f} s", file=sys.stderr, flush=True)
            except BenchError as error:
                print(f"{key} {turn + 1}/{runs} {name}: failed: {error}", file=sys.stderr, flush=True)
            shutil.rmtree(context)
            (folder / "out.tar").unlink(missing_ok=True)
    return samples


def _once(workload: Workload, each: Builder, context: Path, archive: Path | None, shared: Path) -> Sample:
    each.forget()
    if workload.share:
        with _place(workload.share, shared) as place:
            return _elsewhere(workload, each, context, archive, place)
    if workload.warm:
        each.build(context, archive)
        if workload.change:
            workload.change(context)
    return each.build(context, archive)


def _elsewhere(workload: Workload, each: Builder, context: Path, archive: Path | None, place: str) -> Sample:
    """A build that fills a cache elsewhere, and one of a machine that has nothing else."""
    filled = each.build(context, None, each.shared(workload.share, place, False))
    if not workload.imports:
        return filled
    each.forget()
    return each.build(context, archive, each.shared(workload.share, place, True))


@contextmanager
def _place(kind: str, folder: Path) -> Iterator[str]:
    """An empty folder, or a repository of an empty registry."""
    folder.mkdir()
    try:
        if kind == "folder":
            yield str(folder / "cache")
            return
        if not shutil.which("docker-registry"):
            raise BenchError("docker-registry is not installed")
        with docker_registry(folder) as registry:
            yield f"{registry.host}/bench/cache"
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
