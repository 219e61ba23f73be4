"""The programs that move images: how each is emptied, and told to pull and to push."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Protocol

from bench.measure import BenchError, Sample, forget_peak, measure, peak
from tests.e2e.dockerd import Dockerd


class Mover(Protocol):
    """name: its column. forget() leaves it without images; after a pull it can push the image elsewhere.

    Names are HOST/PATH:TAG of registries without TLS on this machine.
    """

    name: str

    def forget(self) -> None: ...
    def pull(self, image: str) -> Sample: ...
    def push(self, image: str, to: str) -> Sample: ...
    def close(self) -> None: ...


class Lapstrake:
    """Pulls with a build that runs a command in the image: the layers come when a step needs them."""

    name = "lapstrake"

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._store, self._context, self._log = folder / "store", folder / "context", folder / "log"
        self._context.mkdir()
        self._command = [str(Path(sys.executable).with_name("lapstrake")), "--root", str(self._store)]

    def forget(self) -> None:
        shutil.rmtree(self._store, ignore_errors=True)

    def pull(self, image: str) -> Sample:
        (self._context / "Dockerfile").write_text(f'FROM {image}\nRUN ["/bin/busybox", "true"]\n')
        return measure([[*self._command, "build", "--progress=plain", str(self._context)]], {}, self._log)

    def push(self, image: str, to: str) -> Sample:
        measure([[*self._command, "pull", image], [*self._command, "tag", image, to]], {}, self._log)
        return measure([[*self._command, "push", to]], {}, self._log)

    def close(self) -> None:
        pass


class LapstrakePull(Lapstrake):
    """`lapstrake pull`: every digest proved, nothing unpacked to files."""

    name = "lapstrake pull"

    def pull(self, image: str) -> Sample:
        return measure([[*self._command, "pull", image]], {}, self._log)


class Podman:
    name = "podman"

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder, self._log = folder, folder / "log"
        self._command = ["podman", "--root", f"{folder}/root", "--runroot", f"{folder}/run"]

    def forget(self) -> None:
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            if line.split(" ")[1].startswith(f"{self._folder}/"):
                subprocess.run(["umount", "-l", line.split(" ")[1]], check=False)
        for name in ("root", "run"):
            shutil.rmtree(self._folder / name, ignore_errors=True)

    def pull(self, image: str) -> Sample:
        return measure([[*self._command, "pull", "-q", "--tls-verify=false", image]], {}, self._log)

    def push(self, image: str, to: str) -> Sample:
        return measure([[*self._command, "push", "-q", "--tls-verify=false", image, f"docker://{to}"]], {}, self._log)

    def close(self) -> None:
        self.forget()


class Docker:
    name = "docker"

    def __init__(self, folder: Path) -> None:
        self._log = folder.parent / "docker.log"
        self._engine = Dockerd(folder)
        self._engine.__enter__()
        self._env = {"DOCKER_HOST": self._engine.address}
        self._pid = int((folder / "pid").read_text())

    def forget(self) -> None:
        names = self._engine.call("images", "-q").split()
        if names:
            self._engine.call("rmi", "-f", *set(names))

    def pull(self, image: str) -> Sample:
        return self._measured(["docker", "pull", "-q", image])

    def push(self, image: str, to: str) -> Sample:
        self._engine.call("tag", image, to)
        return self._measured(["docker", "push", "-q", to])

    def _measured(self, command: list[str]) -> Sample:
        forget_peak(self._pid)
        sample = measure([command], self._env, self._log)
        return sample._replace(memory=max(sample.memory, peak(self._pid)))

    def close(self) -> None:
        self._engine.__exit__()


class Skopeo:
    """Into and out of an OCI layout: nothing is unpacked."""

    name = "skopeo copy"

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._layout, self._log = folder / "layout", folder / "log"

    def forget(self) -> None:
        shutil.rmtree(self._layout, ignore_errors=True)

    def pull(self, image: str) -> Sample:
        words = ["skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{image}", f"oci:{self._layout}:x"]
        return measure([words], {}, self._log)

    def push(self, image: str, to: str) -> Sample:
        words = ["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{self._layout}:x", f"docker://{to}"]
        return measure([words], {}, self._log)

    def close(self) -> None:
        pass


_PROGRAMS = {
    Lapstrake: (),
    LapstrakePull: (),
    Podman: ("podman",),
    Docker: ("docker", "dockerd"),
    Skopeo: ("skopeo",),
}


def movers(folder: Path) -> tuple[list[Mover], dict[str, str]]:
    """Those that are to be had, and why others are not."""
    found: list[Mover] = []
    absent: dict[str, str] = {}
    for kind, programs in _PROGRAMS.items():
        missing = [program for program in programs if not shutil.which(program)]
        if missing or (kind in (Podman, Docker) and os.geteuid() != 0):
            absent[kind.name] = f"{missing[0]} is not installed" if missing else "needs root"
            continue
        try:
            found.append(kind(folder / kind.name.replace(" ", "-")))
        except (BenchError, RuntimeError) as error:
            absent[kind.name] = str(error).strip().splitlines()[-1]
    return found, absent
