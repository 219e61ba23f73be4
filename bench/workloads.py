"""The pieces of work: each a context and a Dockerfile, made anew in an empty folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

BASE = "docker.io/library/lapstrake-bench-base:latest"
_BLOCK = 1 << 20


class Workload(NamedTuple):
    """make: fills the context. warm: the build is measured after one of the same. change: done between the two.

    tarball: the result is written as one; else it stays where the builder keeps images.
    mark: the most that lapstrake may take of buildah's time, or None where none is set.
    share: where a cache is kept that another machine, which has nothing, takes its steps from: "folder" or "registry".
    imports: what is measured is that machine's build; else the one that fills the cache.
    walked: a plain walk of the context and its ignore rules are measured too.
    """

    title: str
    make: Callable[[Path], None]
    warm: bool = False
    change: Callable[[Path], None] | None = None
    tarball: bool = True
    mark: float | None = None
    share: str = ""
    imports: bool = False
    walked: bool = False


def _write(context: Path, *lines: str) -> None:
    (context / "Dockerfile").write_text("\n".join((f"FROM {BASE}", *lines, "")))


def _files(folder: Path, count: int, size: int) -> None:
    """`count` files in folders of 250, all different, of about `size` bytes."""
    for number in range(count):
        place = folder / f"{number // 250:04}"
        if number % 250 == 0:
            place.mkdir(parents=True)
        (place / f"{number:06}.txt").write_text(f"{number} ".ljust(size // 2, "x") * 2)


def cached(context: Path) -> None:
    _files(context / "files", 2000, 500)
    steps = [f"RUN echo {i} > /r{i}" if i % 2 else f"ENV V{i}={i}" for i in range(17)]
    _write(context, "WORKDIR /app", *steps, "COPY files /app/files", "RUN ls /app/files > /list", "CMD echo hi")


def steps(count: int) -> Callable[[Path], None]:
    return lambda context: _write(context, *(f"RUN echo {i} > /r{i}" for i in range(count)))


def stages(context: Path) -> None:
    parts = [line for i in range(6) for line in (f"FROM {BASE} AS s{i}", f"RUN sleep 1 && echo {i} > /o")]
    copies = [f"COPY --from=s{i} /o /o{i}" for i in range(6)]
    (context / "Dockerfile").write_text("\n".join((*parts, f"FROM {BASE}", *copies, "")))


def small_files(count: int) -> Callable[[Path], None]:
    def make(context: Path) -> None:
        _files(context / "files", count, 200)
        _write(context, "COPY files /files")

    return make


def change_one_file(context: Path) -> None:
    (context / "files" / "0007" / "001750.txt").write_text("changed")


def one_gigabyte(context: Path) -> None:
    """Half of it random, half of it text, as archives and programs are."""
    (context / "big").mkdir()
    text = b"".join(b"%d some words that repeat\n" % i for i in range(40_000))[:_BLOCK].ljust(_BLOCK, b"\n")
    for name in range(4):
        with open(context / "big" / str(name), "wb") as out:
            for _ in range(128):
                out.write(os.urandom(_BLOCK))
                out.write(text)
    _write(context, "COPY big /big")


def gigabyte_in_steps(context: Path) -> None:
    """The same in four layers, and what a step makes of them."""
    one_gigabyte(context)
    _write(context, *(f"COPY big/{name} /big/{name}" for name in range(4)), "RUN cat /big/* | wc -c > /size")


def writing_step(context: Path) -> None:
    _write(
        context,
        "RUN mkdir /many && cd /many && i=0; while [ $i -lt 200 ]; do mkdir $i; j=0; "
        'while [ $j -lt 100 ]; do echo "$i $j" > $i/$j; j=$((j+1)); done; i=$((i+1)); done; '
        "dd if=/dev/urandom of=/big bs=1M count=150 && dd if=/dev/zero bs=1M count=150 | tr '\\0' x >> /big",
    )


def parse(context: Path) -> None:
    """1,000 lines, 300 instructions, and no step: what is left is reading them."""
    triples = [
        line
        for i in range(99)
        for line in (
            f"# argument {i}",
            f'ARG NAME_{i}="value {i}"',
            f"ENV PATH_{i}=/opt/${{NAME_{i}:-none}}/bin \\",
            f'    WORDS_{i}="${{PATH_{i}}} and ${{NAME_{i}:+more}}" \\',
            f"    LAST_{i}=$NAME_{i}",
            "",
            f"LABEL org.example.number-{i}={i} \\",
            "    # a comment between its lines",
            f"    org.example.text-{i}='$NAME_{i} is not expanded' \\",
            f'    org.example.path-{i}="$PATH_{i}"',
        )
    ]
    rest = ["EXPOSE 80 443/tcp", 'CMD ["true"]']
    _write(context, *triples, *[""] * (1000 - 1 - len(triples) - len(rest)), *rest)


def ignored_files(context: Path) -> None:
    """100,000 files of which the ignore file shows 880: each is looked at, since no folder is hidden as a whole."""
    _files(context / "files", 100_000, 2)
    (context / ".dockerignore").write_text("**/*.txt\n**/node_modules\nbuild*/[a-f]*\n!files/**/*25?.txt\nfiles/0?0*\n")
    _write(context, "COPY files /files")


WORKLOADS: dict[str, Workload] = {
    "cached": Workload("fully cached, 20 instructions, 2,000 files", cached, warm=True, tarball=False, mark=0.10),
    "run30": Workload("30 trivial RUN, cold", steps(30), mark=0.06),
    "run100": Workload("100 trivial RUN, cold", steps(100)),
    "stages": Workload("six one-second stages", stages, mark=0.32),
    "copy50k": Workload("COPY 50,000 files, cold", small_files(50_000), mark=0.10),
    "copy50k-again": Workload("COPY 50,000 files, one changed", small_files(50_000), warm=True, change=change_one_file),
    "cached100k": Workload("COPY 100,000 files, cached", small_files(100_000), warm=True, tarball=False),
    "copy100k-again": Workload(
        "COPY 100,000 files, one changed", small_files(100_000), warm=True, change=change_one_file
    ),
    "copy1g": Workload("COPY 1 GB, cold", one_gigabyte, mark=0.22),
    "export-folder": Workload("1 GB, cold, cache to a folder", gigabyte_in_steps, tarball=False, share="folder"),
    "import-folder": Workload("1 GB, cache from a folder", gigabyte_in_steps, share="folder", imports=True),
    "export-registry": Workload("1 GB, cold, cache to a registry", gigabyte_in_steps, tarball=False, share="registry"),
    "import-registry": Workload("1 GB, cache from a registry", gigabyte_in_steps, share="registry", imports=True),
    "parse": Workload("1,000 lines, 300 instructions, no step", parse, tarball=False),
    "ignore100k": Workload("COPY 880 of 100,000 files, the rest ignored", ignored_files, tarball=False, walked=True),
    "write": Workload("RUN that writes 20,000 files and 300 MB", writing_step, mark=0.21),
}
