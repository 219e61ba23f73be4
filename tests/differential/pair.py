"""Both builders, one after the other, on one case; and what each gave, reduced to what must be the same."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

from tests.differential.case import Case, lay_out, text, words
from tests.e2e.compare import Flat, flatten
from tests.e2e.engine import Engine
from tests.e2e.lapstrake import Lapstrake

_WARNING = re.compile(r"(?:WARNING: | - )([A-Z]\w+: .* \(line \d+\))")
# Images have the name of their digest there, and one that is taken twice is shown as either use; a linked copy onto nothing
# is shown as the layer that it makes.
_UNCOUNTED = re.compile(r"\[internal\]|\[context |\] FROM |--link")
_STEP = re.compile(r"#\d+ (\[[^\]]+\] .*)")


class Outcome(NamedTuple):
    """words: the error, from its first word on; "" when it was built. shown: what of the Dockerfile the error points at."""

    status: int
    words: str
    shown: str
    warnings: list[str]
    steps: list[str]
    image: Flat | None
    call: Any
    log: str


class Pair:
    """folder: contexts and archives lie beneath it. lapstrake must have the base in its store, as the engine has."""

    def __init__(self, folder: Path, engine: Engine, lapstrake: Lapstrake) -> None:
        self._folder, self._engine, self._lapstrake = folder, engine, lapstrake
        self._tries = 0
        self.spent = [0.0, 0.0]

    def build(self, case: Case, call: str = "") -> tuple[Outcome, Outcome]:
        """Ours and theirs. call: a --call of both instead of a build."""
        self._tries += 1
        place = self._folder / f"try-{os.getpid()}-{self._tries}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        unique = f"u{os.getpid()}x{self._tries}"
        lay_out(case, place, unique)
        try:
            begin = time.monotonic()
            theirs = self._theirs(case, words(case, unique), place, call)
            middle = time.monotonic()
            ours = self._ours(case, words(case, unique), place, call)
            self.spent[0] += time.monotonic() - middle
            self.spent[1] += middle - begin
            return ours, theirs
        finally:
            shutil.rmtree(place)

    def tidy(self) -> None:
        """Neither disk fills."""
        self._engine.run("builder", "prune", "--all", "--force")
        self._lapstrake.run("prune", "-f")

    def _theirs(self, case: Case, args: list[str], place: Path, call: str) -> Outcome:
        archive = place / "theirs.tar"
        if call:
            done = self._engine.run("buildx", "build", f"--call={call},format=json", *args, cwd=place, env=case.env)
            return _outcome(done.returncode, done.stdout, done.stderr, None)
        # Results of its cache count for less than what ours are compared with: it takes those of another cache mount.
        done = self._engine.build(Path(args[-1]), archive, "--no-cache", *args[:-1], cwd=place, env=case.env)
        return _outcome(done.returncode, "", done.stderr, archive)

    def _ours(self, case: Case, args: list[str], place: Path, call: str) -> Outcome:
        archive = place / "ours.tar"
        if call:
            done = self._lapstrake.run(
                "build", f"--call={call},format=json", "--progress=plain", *args, cwd=place, env=case.env
            )
            return _outcome(done.status, done.out, done.err, None)
        output = f"--output=type=docker,dest={archive}"
        anew = ["--no-cache"] if "mount=" in text(case) else []
        done = self._lapstrake.run(
            "build",
            "--progress=plain",
            "--context-modes=exact",
            "--network=none",
            *anew,
            output,
            *args,
            cwd=place,
            env=case.env,
        )
        return _outcome(done.status, "", done.err, archive)


def _outcome(status: int, out: str, err: str, archive: Path | None) -> Outcome:
    lines = err.splitlines()
    said = [at for at, line in enumerate(lines) if line.startswith("ERROR: ")]
    message = "\n".join(lines[said[-1] :]) if said and status else ""
    steps = sorted({found[1] for line in lines if (found := _STEP.match(line)) and not _UNCOUNTED.search(line)})
    image = flatten(archive) if archive and not status else None
    try:
        call = json.loads(out) if out.strip() else None
    except ValueError:
        call = out
    return Outcome(status, message, _excerpt(lines), sorted(_WARNING.findall(err)), steps, image, call, err)


def _excerpt(lines: list[str]) -> str:
    """The lines of the Dockerfile between two rules, and the one with the number above them; the last such."""
    rule = "-" * 20
    ends = [at for at, line in enumerate(lines) if line == rule]
    if len(ends) < 2:
        return ""
    return "\n".join(lines[ends[-2] - 1 : ends[-1]])
