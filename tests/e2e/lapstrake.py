"""The program as a person runs it: a process, its exit status and what it printed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

PROGRAM = (sys.executable, "-m", "builder.cli.start")
TIMEOUT = 240


class Done(NamedTuple):
    """status: exit status, minus the signal's number where one ended it. out, err: text, wrong bytes replaced."""

    status: int
    out: str
    err: str

    @property
    def cached(self) -> int:
        """How many steps came from the cache."""
        return sum(line.endswith(" CACHED") for line in self.err.splitlines())

    def steps(self, state: str) -> list[str]:
        """What the Dockerfile's steps with this state are called: `[2/3] RUN x` without the brackets' numbers."""
        names, wanted = {}, []
        for line in self.err.splitlines():
            number, _, rest = line.partition(" ")
            if rest.startswith("[") and "[internal]" not in rest:
                names[number] = rest.partition("] ")[2]
            elif rest.split(" ")[0] == state and number in names:
                wanted.append(names[number])
        return wanted


class Lapstrake:
    """store: the folder given as --root. base: an archive that is FROM base in every Dockerfile, if given."""

    def __init__(self, store: Path, base: Path | None = None) -> None:
        self.store = store
        self.base = base

    def run(
        self,
        *args: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        before: tuple[str, ...] = (),
    ) -> Done:
        """before: the words of a program that starts this one."""
        done = subprocess.run(
            [*before, *PROGRAM, "--root", str(self.store), *args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            timeout=TIMEOUT,
            check=False,
        )
        return Done(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))

    def build(self, context: Path, *args: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Done:
        return self.run(*self.arguments(context, *args), env=env, cwd=cwd)

    def built(self, context: Path, *args: str, env: Mapping[str, str] | None = None) -> Done:
        """The same, and it must succeed."""
        done = self.build(context, *args, env=env)
        assert done.status == 0, done.err
        return done

    def refused(self, context: Path, *args: str, status: int = 1) -> Done:
        """A build that must fail with words and without a traceback."""
        done = self.build(context, *args)
        assert done.status == status, done.err
        assert "Traceback" not in done.err
        assert "internal error" not in done.err
        return done

    def start(self, context: Path, *args: str) -> subprocess.Popen[bytes]:
        """A build in a process group of its own, to be interrupted, also where these tests run in a background job."""
        return subprocess.Popen(
            ["env", "--default-signal=INT", *PROGRAM, "--root", str(self.store), *self.arguments(context, *args)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def arguments(self, context: Path, *args: str) -> list[str]:
        """What run() takes to build."""
        base = [f"--build-context=base=docker-archive://{self.base}"] if self.base else []
        shown = [] if "-q" in args else ["--progress=plain"]
        return ["build", *shown, *base, *args, str(context)]


def folder(path: Path, files: Mapping[str, str | bytes]) -> Path:
    """A build context: name -> content, with modes that do not depend on the umask."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o755)
    for name, content in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        file.chmod(0o644)
    for parent in path.rglob("*"):
        if parent.is_dir() and not parent.is_symlink():
            parent.chmod(0o755)
    return path
