"""Run commands; say how long they took and how much memory the largest process among them had."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Sample(NamedTuple):
    """seconds: wall clock, unless said. memory: bytes, peak resident size of the largest process (getrusage(2))."""

    seconds: float
    memory: int


# Looks at each file as a builder must, by names and stat(2); then judges each by the ignore file of the folder.
_WALK = """
import os, sys, time
from builder.source.ignore import Ignore, read_patterns
begin = time.process_time()
folders = [sys.argv[1]]
for folder in folders:
    with os.scandir(folder) as found:
        for entry in found:
            entry.stat(follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
walked = time.process_time()
listed = [(os.path.relpath(folder, sys.argv[1]), os.listdir(folder)) for folder in folders]
with open(os.path.join(sys.argv[1], ".dockerignore"), "rb") as file:
    text = file.read()
listing = time.process_time()
ignore = Ignore(read_patterns(text))
for folder, names in listed:
    hides = ignore.inside("" if folder == "." else folder)
    for name in names:
        hides(name)
print(walked - begin, time.process_time() - listing)
"""


class BenchError(Exception):
    """A builder that did not build; the text is the end of what it said."""


def measure(commands: Sequence[Sequence[str]], env: Mapping[str, str], log: Path) -> Sample:
    """One after the other. Raises BenchError if one fails."""
    memory = 0
    begin = time.perf_counter()
    for command in commands:
        with open(log, "wb") as out:
            process = subprocess.Popen(
                list(command), env={**_environment(), **env}, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise BenchError(f"{' '.join(command)}: {log.read_text(errors='replace')[-1500:]}")
        memory = max(memory, usage.ru_maxrss * 1024)
    return Sample(time.perf_counter() - begin, memory)


def walk(folder: Path, log: Path) -> tuple[Sample, Sample]:
    """A plain walk in Python, and what the ignore rules take beside it: seconds of the processor."""
    measure([[sys.executable, "-c", _WALK, str(folder)]], {}, log)
    walked, judged = map(float, log.read_text().split())
    return Sample(walked, 0), Sample(judged, 0)


def forget_peak(pid: int) -> None:
    """Begin anew with the peak memory of a daemon: proc_pid_clear_refs(5)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak(pid: int) -> int:
    """VmHWM of a daemon, in bytes: proc_pid_status(5)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _environment() -> dict[str, str]:
    """Ours, but for what keeps Python from keeping bytecode: an installed program has it."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
