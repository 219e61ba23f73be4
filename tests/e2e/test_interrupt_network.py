"""Ctrl-C while there is no connection: it is answered at once, not when the connection is given up."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.e2e.lapstrake import PROGRAM, Lapstrake, folder
from tests.e2e.running import until
from tests.memoryregistry import MemoryRegistry, running
from tests.webserver import Exchange

pytestmark = pytest.mark.e2e


class Elsewhere(MemoryRegistry):
    """Its blobs are at a host that takes no connections."""

    def blob(self, exchange: Exchange, name: str, digest: str) -> None:
        if len(self.blobs[name, digest]) < 1000:
            super().blob(exchange, name, digest)  # the config
            return
        exchange.send(307, Location=f"http://127.0.0.1:{self.port}/")

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port


@pytest.mark.parametrize("command", ["pull", "build"])
def test_ctrl_c_while_layers_wait_for_a_connection(tmp_path: Path, command: str) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        held = [socket.socket() for _ in range(8)]
        for one in held:
            one.setblocking(False)
            one.connect_ex(deaf.getsockname())
        memory = Elsewhere(deaf.getsockname()[1])
        memory.add_image("app", "1", [{"f": os.urandom(5000)}, {"g": os.urandom(5000)}])
        with running(memory) as host:
            context = folder(tmp_path / "c", {"Dockerfile": f"FROM {host}/app:1\nRUN true\n"})
            words = ["pull", f"{host}/app:1"] if command == "pull" else ["build", "--progress=plain", str(context)]
            process = subprocess.Popen(
                ["env", "--default-signal=INT", *PROGRAM, "--root", str(tmp_path / "store"), *words],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            )  # fmt: skip
            until(lambda: sum("/blobs/" in seen.path for seen in memory.server.seen) >= 3, "no layer is asked for")
            os.killpg(process.pid, signal.SIGINT)
            _, err = process.communicate(timeout=15)  # giving up by itself would take more than a minute
        for one in held:
            one.close()
    assert process.returncode == 130, err.decode()
    assert b"Traceback" not in err
    assert os.listdir(tmp_path / "store" / "tmp") == []
    index = json.loads((tmp_path / "store" / "index.json").read_text())
    assert index["manifests"] == []
    assert Lapstrake(tmp_path / "store").run("images", "-aq").out == ""
