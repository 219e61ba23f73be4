"""Images with many layers, stages side by side, and layers larger than what fits in memory twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.compare import flatten
from tests.e2e.lapstrake import PROGRAM, Lapstrake, folder
from tests.e2e.running import processes, until

pytestmark = pytest.mark.e2e

MEMORY_LIMIT = 150 << 20
# Runs a command and prints the largest memory that it or a process below it had, in bytes.
MEASURED = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:])
_, status, usage = os.wait4(process.pid, 0)
print(usage.ru_maxrss * 1024)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def test_more_layers_than_one_mount_takes(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """Overlay takes up to 500 lower folders, Docker's engine 128 layers; a build may have any number."""
    steps = [f"RUN echo {i} > /f{i}" if i % 3 else f"COPY x /c{i}" for i in range(150)]
    text = "FROM base\n" + "\n".join(steps) + "\nRUN test $(ls /f* /c* | wc -l) = 150 && rm /f1\n"
    context = folder(tmp_path / "context", {"Dockerfile": text, "x": "x"})
    lapstrake.built(context, "-o", f"type=docker,dest={tmp_path}/a.tar")
    image = flatten(tmp_path / "a.tar")
    assert "f1" not in image.files
    assert {"f2", "f149", "c0", "c147"} <= image.files.keys()
    assert len(image.document["rootfs"]["diff_ids"]) >= 151


def test_stages_run_side_by_side(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """Four stages that would never end are seen at the same time."""
    stages = "".join(f"FROM base AS s{i}\nRUN sleep 8639{i}\n" for i in range(4))
    text = stages + "FROM base\n" + "".join(f"COPY --from=s{i} /bin/sh /o{i}\n" for i in range(4))
    process = lapstrake.start(folder(tmp_path / "context", {"Dockerfile": text}))
    try:
        until(lambda: all(f"sleep\x008639{i}" in processes() for i in range(4)), "not all four stages run")
    finally:
        process.kill()
        process.communicate(timeout=30)


def test_memory_does_not_grow_with_the_layer(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\nCOPY big /\nRUN cp /big /again\n"})
    with open(context / "big", "wb") as big:
        block = os.urandom(1 << 20)
        for _ in range(300):
            big.write(block)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *PROGRAM, "--root", str(lapstrake.store), "build", "--progress=plain",
         f"--build-context=base=docker-archive://{lapstrake.base}", "-o", f"type=docker,dest={tmp_path}/a.tar",
         str(context)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(done.stdout) < MEMORY_LIMIT


def test_many_files(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\nCOPY many /many\n"})
    for number in range(40):
        (context / "many" / str(number)).mkdir(parents=True)
        for name in range(50):
            (context / "many" / str(number) / f"{name}").write_text(f"{number} {name}")
    lapstrake.built(context, "-o", f"type=docker,dest={tmp_path}/a.tar")
    image = flatten(tmp_path / "a.tar")
    assert sum(name.startswith("many/") and f.kind == "file" for name, f in image.files.items()) == 2000


NAMES = (
    "a" * 150,
    "d" * 120 + "/" + "e" * 200 + "/" + "f" * 250,
    "über",
    "new\nline",
    "blank and 'quote'",
    "-dash",
    "*",
)


def test_odd_names(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\nCOPY names /names\nRUN cp -a /names /copy\n"})
    folder(context / "names", {name: name for name in NAMES})
    (context / "names" / os.fsdecode(b"raw\xff\xfe")).write_text("raw")
    lapstrake.built(context, "-o", f"type=docker,dest={tmp_path}/a.tar")
    files = flatten(tmp_path / "a.tar").files
    for name in (*NAMES, os.fsdecode(b"raw\xff\xfe")):
        assert files[f"names/{name}"].content == files[f"copy/{name}"].content
