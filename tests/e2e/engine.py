"""A newer Docker Engine than the system's: dockerd of another Debian, in namespaces that end with the test session."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

# Made by tests/engine.sh; tests/run.sh calls it.
ROOT = Path("/var/cache/lapstrake-tests/engine")
_START_SECONDS = 60
_BUILD = ("buildx", "build", "--network=none", "--provenance=false")

# $1: the root. $2: the session's folder, seen at the same path inside. $3: whether containerd keeps the images.
# Mounts are in a namespace of their own and processes too (containerd and its children), so that the end of the first
# process ends and unmounts all.
_ENTER = """\
set -e
mount --bind "$1" "$1"
mount --rbind /dev "$1/dev"
mount --rbind /sys "$1/sys"
mount -t proc proc "$1/proc"
mount -t tmpfs tmpfs "$1/run"
mount -t tmpfs tmpfs "$1/var/lib"
mount -t tmpfs tmpfs "$1/var/tmp"
mount -t tmpfs tmpfs "$1/tmp"
mkdir -p "$1$2" || { echo "cannot make $2 inside"; exit 1; }
mount --bind "$2" "$1$2"
cd "$1"
pivot_root . .
umount -l .
cd /
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run
exec dockerd --feature=containerd-snapshotter=$3 --iptables=false --ip6tables=false --bridge=none \
  --data-root="$2/engine-$3" --exec-root=/run/docker --host=unix:///run/docker.sock --pidfile=/run/docker.pid
"""


class Engine:
    """Runs while in the `with`. folder: contexts and outputs must lie beneath it, on a disk that overlay takes.

    containerd: whether images are kept by containerd, as BuildKit itself keeps them: so it can merge layers.
    """

    def __init__(self, folder: Path, *, containerd: bool = False) -> None:
        self._folder, self._containerd = folder, containerd
        self.version = ""

    def __enter__(self) -> Engine:
        with open(self._folder / f"engine-{self._containerd}.log", "ab") as log:
            self._process = subprocess.Popen(
                ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child=KILL",
                 "sh", "-c", _ENTER, "engine", str(ROOT), str(self._folder), str(self._containerd).lower()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            self._wait()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()

    def call(self, *args: str, cwd: Path = Path("/")) -> str:
        """Standard output of the docker client inside, which must succeed."""
        done = self.run(*args, cwd=cwd)
        assert done.returncode == 0, f"docker {' '.join(args)}: {done.stderr}{done.stdout}"
        return done.stdout

    @property
    def address(self) -> str:
        """For DOCKER_HOST, as seen from here."""
        return f"unix:///proc/{self._child()}/root/run/docker.sock"

    def run(
        self, *args: str, cwd: Path = Path("/"), env: Mapping[str, str] | None = None, stdin: Path = Path(os.devnull)
    ) -> subprocess.CompletedProcess[str]:
        inside = ["nsenter", f"--target={self._child()}", "--mount", "--root", "--wd=/"]
        plain = {"PATH": "/usr/sbin:/usr/bin", "HOME": "/run", "BUILDKIT_PROGRESS": "plain", **(env or {})}
        words = ["env", "-i", f"--chdir={cwd}", *(f"{name}={value}" for name, value in plain.items())]
        with stdin.open("rb") as given:
            return subprocess.run(
                [*inside, *words, "docker", "--host=unix:///run/docker.sock", *args],
                stdin=given, capture_output=True, text=True, errors="replace", timeout=240, check=False,
            )  # fmt: skip

    def build(
        self,
        context: Path,
        archive: Path,
        *args: str,
        cwd: Path = Path("/"),
        env: Mapping[str, str] | None = None,
        stdin: Path = Path(os.devnull),
    ) -> subprocess.CompletedProcess[str]:
        """Build into a `docker load` archive, and nothing else: no FROM of another build finds it. Needs containerd."""
        output = f"--output=type=docker,dest={archive}"
        return self.run(*_BUILD, output, *args, str(context), cwd=cwd, env=env, stdin=stdin)

    def store(self, context: Path, tag: str, *args: str, cwd: Path = Path("/")) -> None:
        """Build an image that a FROM finds under its tag."""
        self.call(*_BUILD, f"--tag={tag}", *args, str(context), cwd=cwd)

    def _child(self) -> int:
        """The first process inside, as seen from here; 0 before there is one."""
        pid = self._process.pid
        with contextlib.suppress(OSError, LookupError):
            return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        return 0

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._child():
                done = self.run("version", "--format", "{{.Server.Version}}")
                if done.returncode == 0:
                    self.version = done.stdout.strip()
                    return
            time.sleep(0.2)
        log = (self._folder / f"engine-{self._containerd}.log").read_text(errors="replace")
        raise RuntimeError(f"dockerd does not start: {log[-800:]}")

    def _stop(self) -> None:
        child = self._child()
        if child:
            os.kill(child, signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
