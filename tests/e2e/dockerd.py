"""A Docker Engine of the test session's own, with no network and everything beneath one folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path


class Dockerd:
    """Runs dockerd while in the `with`; call() is the docker client speaking to it. address: for DOCKER_HOST."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.address = f"unix://{folder}/docker.sock"

    def __enter__(self) -> Dockerd:
        reason = ""
        for driver in ("", "vfs"):
            self._start(driver)
            reason = self._wait()
            if not reason:
                return self
            self._stop()
        raise RuntimeError(f"dockerd does not start: {reason}")

    def __exit__(self, *error: object) -> None:
        self._stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def call(self, *args: str, cwd: Path | None = None, check: bool = True) -> str:
        """Standard output; with check, the command must succeed."""
        env = {**os.environ, "DOCKER_HOST": self.address, "DOCKER_BUILDKIT": "0", "DOCKER_CONFIG": str(self._folder)}
        done = subprocess.run(
            ["docker", *args], env=env, cwd=cwd, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0 or not check, f"docker {' '.join(args)}: {done.stderr}{done.stdout}"
        return done.stdout

    def _start(self, driver: str) -> None:
        folder = self._folder
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [
                    "dockerd",
                    "--iptables=false",
                    "--ip6tables=false",
                    "--bridge=none",
                    f"--data-root={folder}/data",
                    f"--exec-root={folder}/exec",
                    f"--host={self.address}",
                    f"--pidfile={folder}/pid",
                    *([f"--storage-driver={driver}"] if driver else []),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _wait(self) -> str:
        """ "" when it answers, else the end of its log."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                self.call("version")
                return ""
            except AssertionError:
                time.sleep(0.2)
        return (self._folder / "log").read_text(errors="replace")[-500:]

    def _stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        (self._folder / "pid").unlink(missing_ok=True)
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            mount = line.split(" ")[1]
            if mount.startswith(f"{self._folder}/"):
                subprocess.run(["umount", "-l", mount], check=False)
