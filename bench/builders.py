"""The builders: how each is set up, emptied, and told to build."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from bench.crowd import crowd
from bench.measure import BenchError, Sample, forget_peak, measure, peak
from bench.workloads import BASE
from tests.e2e.dockerd import Dockerd

_IMAGE = "lapstrake-bench"


class Builder(Protocol):
    """name: its column. build() measures one build; forget() makes the next one cold, the base at hand.

    cache: what shared() gave for a place; BenchError where the builder keeps none in such a place.
    """

    name: str

    def forget(self) -> None: ...
    def build(self, context: Path, archive: Path | None, cache: Sequence[str] = ()) -> Sample: ...
    def shared(self, kind: str, place: str, imports: bool) -> Sequence[str]: ...
    def close(self) -> None: ...


class Lapstrake:
    name = "lapstrake"

    def __init__(self, folder: Path, base: Path) -> None:
        self._store, self._fresh, self._log = folder / "store", folder / "fresh", folder / "log"
        context = folder / "base"
        context.mkdir(parents=True)
        (context / "Dockerfile").write_text("FROM given\n")
        program = [str(Path(sys.executable).with_name("lapstrake"))]
        self._command = [*program, "--root", str(self._store), "build", "--progress=plain"]
        given = f"--build-context=given=docker-archive://{base}"
        measure([[*program, "--root", str(self._fresh), "build", given, "-t", BASE, str(context)]], {}, self._log)

    def forget(self) -> None:
        shutil.rmtree(self._store, ignore_errors=True)
        subprocess.run(["cp", "-a", str(self._fresh), str(self._store)], check=True)

    def build(self, context: Path, archive: Path | None, cache: Sequence[str] = ()) -> Sample:
        output = ["-o", f"type=docker,dest={archive}"] if archive else []
        return measure([[*self._command, "-t", _IMAGE, *cache, *output, str(context)]], {}, self._log)

    def shared(self, kind: str, place: str, imports: bool) -> Sequence[str]:
        if kind == "registry":
            return ("--cache-from", place) if imports else ("--cache-to", f"type=registry,ref={place},mode=max")
        return (
            ("--cache-from", f"type=local,src={place}")
            if imports
            else ("--cache-to", f"type=local,dest={place},mode=max")
        )

    def close(self) -> None:
        pass


class LapstrakeFull(Lapstrake):
    """With a store that holds what many builds left: what it costs to open that one."""

    name = "lapstrake-full"

    def __init__(self, folder: Path, base: Path) -> None:
        super().__init__(folder, base)
        crowd(str(self._fresh))


class Buildah:
    name = "buildah"

    def __init__(self, folder: Path, base: Path) -> None:
        folder.mkdir(parents=True)
        self._folder, self._base, self._log = folder, base, folder / "log"
        self._start = ["buildah", "--root", f"{folder}/root", "--runroot", f"{folder}/run"]

    def forget(self) -> None:
        self.close()
        # Names without a registry in an archive are localhost's for buildah.
        local = f"localhost/{BASE.rpartition('/')[2]}"
        pull = [*self._start, "pull", f"docker-archive:{self._base}"]
        measure([pull, [*self._start, "tag", local, BASE]], {}, self._log)

    def build(self, context: Path, archive: Path | None, cache: Sequence[str] = ()) -> Sample:
        build = [*self._start, "bud", "--layers", "--network=host", "--pull-never", "-t", _IMAGE, *cache, str(context)]
        push = [*self._start, "push", _IMAGE, f"docker-archive:{archive}"]
        if archive:
            archive.unlink(missing_ok=True)
        return measure([build, push] if archive else [build], {}, self._log)

    def shared(self, kind: str, place: str, imports: bool) -> Sequence[str]:
        if kind != "registry":
            raise BenchError("buildah keeps caches in registries only")
        return ("--tls-verify=false", "--cache-from" if imports else "--cache-to", place)

    def close(self) -> None:
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            if line.split(" ")[1].startswith(f"{self._folder}/"):
                subprocess.run(["umount", "-l", line.split(" ")[1]], check=False)
        for name in ("root", "run"):
            shutil.rmtree(self._folder / name, ignore_errors=True)


class Docker:
    """buildkit: the one inside the engine, which clients up to version 22 can ask for without a plugin."""

    def __init__(self, folder: Path, base: Path, buildkit: bool) -> None:
        self.name = "docker+buildkit" if buildkit else "docker"
        self._log = folder.parent / f"{self.name}.log"
        self._env = {"DOCKER_BUILDKIT": "1" if buildkit else "0", "DOCKER_HOST": f"unix://{folder}/docker.sock"}
        self._client = "/usr/bin/docker" if os.path.exists("/usr/bin/docker") else "docker"
        self._engine = Dockerd(folder)
        self._engine.__enter__()
        self._pid = int((folder / "pid").read_text())
        try:
            measure([[self._client, "load", "-i", str(base)]], self._env, self._log)
            self._try(folder)
        except BenchError:
            self.close()
            raise

    def _try(self, folder: Path) -> None:
        context = folder / "try"
        context.mkdir()
        (context / "Dockerfile").write_text(f"FROM {BASE}\nRUN true\n")
        self.build(context, None)

    def forget(self) -> None:
        prune = [self._client, "builder", "prune", "--all", "--force"]
        remove = [self._client, "rmi", "--force", _IMAGE]
        for command in (remove, prune, [self._client, "image", "prune", "--force"]):
            try:
                measure([command], self._env, self._log)
            except BenchError:
                continue

    def shared(self, kind: str, place: str, imports: bool) -> Sequence[str]:
        raise BenchError(f"{self.name} keeps no cache elsewhere")

    def build(self, context: Path, archive: Path | None, cache: Sequence[str] = ()) -> Sample:
        build = [self._client, "build", "--network=host", "-t", _IMAGE, *cache, str(context)]
        save = [self._client, "save", "-o", str(archive), _IMAGE]
        forget_peak(self._pid)
        sample = measure([build, save] if archive else [build], self._env, self._log)
        return sample._replace(memory=max(sample.memory, peak(self._pid)))

    def close(self) -> None:
        self._engine.__exit__()


NAMES = ("lapstrake", "buildah", "docker", "docker+buildkit")
ON_REQUEST = ("lapstrake-full",)


def builder(name: str, folder: Path, base: Path) -> Builder | str:
    """The builder, or why it is not to be had."""
    programs = {"lapstrake": (), "lapstrake-full": (), "buildah": ("buildah",)}.get(name, ("dockerd", "docker"))
    for program in programs:
        if not shutil.which(program):
            return f"{program} is not installed"
    own = {"lapstrake": Lapstrake, "lapstrake-full": LapstrakeFull}.get(name)
    if own is None and os.geteuid() != 0:
        return "needs root"
    try:
        if own is not None:
            return own(folder, base)
        if name == "buildah":
            return Buildah(folder, base)
        return Docker(folder, base, buildkit=name.endswith("buildkit"))
    except (BenchError, RuntimeError) as error:
        return str(error).strip().splitlines()[-1]
