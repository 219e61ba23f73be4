"""`rclone serve s3` on loopback: a real S3 server over a folder whose folders are buckets."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

KEY, SECRET = "AKIATESTTEST", "hidden-words"


def _rclone() -> str:
    own = Path(sys.executable).with_name("rclone")
    found = str(own) if own.exists() else shutil.which("rclone")
    if found is None:
        pytest.skip("rclone is not installed")
    return found


@contextmanager
def s3_server(folder: Path, *buckets: str) -> Iterator[str]:
    """The URL of the server."""
    program = _rclone()
    for bucket in buckets:
        (folder / "data" / bucket).mkdir(parents=True)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        host, port = one.getsockname()
    command = [program, "serve", "s3", "--config", str(folder / "none"), "--addr", f"{host}:{port}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--auth-key", f"{KEY},{SECRET}", str(folder / "data")], stdout=log, stderr=log
        )
    try:
        for _ in range(400):
            assert process.poll() is None, (folder / "log").read_text()
            try:
                socket.create_connection((host, port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://{host}:{port}"
    finally:
        process.terminate()
        process.wait(20)
