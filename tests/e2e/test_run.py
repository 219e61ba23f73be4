"""lapstrake run: statuses, streams, signals, folders, a terminal; and that nothing is left."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.lapstrake import PROGRAM, Lapstrake, folder

pytestmark = pytest.mark.e2e

DOCKERFILE = """FROM base
ENV A=1 B=two
WORKDIR /work
VOLUME /new
USER web
CMD ["sh", "-c", "echo $A $B $(pwd) $(id -un); exit 3"]
"""


@pytest.fixture
def app(lapstrake: Lapstrake, tmp_path: Path) -> Lapstrake:
    lapstrake.built(folder(tmp_path / "context", {"Dockerfile": DOCKERFILE}), "-t", "app")
    return lapstrake


def start(app: Lapstrake, *args: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*PROGRAM, "--root", str(app.store), "run", *args],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def trees(app: Lapstrake) -> list[str]:
    return sorted(name for name in os.listdir(app.store / "snapshots") if "." in name.strip("."))


def test_the_image_s_own_command_and_status(app: Lapstrake) -> None:
    done = app.run("run", "--rm", "app")
    assert (done.status, done.out, done.err) == (3, "1 two /work web\n", "")
    before = trees(app)
    app.run("run", "app", "sh", "-c", "echo x > /tmp/x")
    assert trees(app) == before
    assert app.run("run", "app", "test", "-e", "/tmp/x").status == 1


def test_options(app: Lapstrake, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("# comment\nC=3\nD\n")
    script = "echo $A $C $D $(pwd) $(id -u)"
    args = ("-e", "A=9", "--env-file", str(tmp_path / "env"), "-w", "/tmp", "-u", "0:0", "app", "sh", "-c", script)
    assert app.run("run", *args, env={"D": "4"}).out == "9 3 4 /tmp 0\n"
    assert app.run("run", "--entrypoint", "echo", "app", "a", "-n").out == "a -n\n"
    assert app.run("run", "--network", "none", "app", "sh", "-c", "ls /sys/class/net; test -d /new").status == 0
    assert app.run("run", "-h", "here", "app", "hostname").out == "here\n"


def test_statuses(app: Lapstrake) -> None:
    assert app.run("run", "nope").status == 125
    assert app.run("run", "app", "nope").status == 127
    assert app.run("run", "app", "/nope").status == 127
    assert app.run("run", "app", "/etc/passwd").status == 126
    assert app.run("run", "-u", "nobody-here", "app").status == 125
    assert app.run("run", "app", "sh", "-c", "kill -9 $$").status == 137
    assert app.run("run", "--entrypoint", "", "app").status == 125
    assert app.run("run", "-v", "name:/x", "app").status == 125


def test_streams_are_apart(app: Lapstrake) -> None:
    done = app.run("run", "app", "sh", "-c", "echo out; echo err >&2")
    assert (done.out, done.err) == ("out\n", "err\n")
    running = start(app, "-i", "app", "sh", "-c", "cat; echo end", stdin=subprocess.PIPE)
    assert running.communicate(b"x" * 300_000, timeout=60)[0] == b"x" * 300_000 + b"end\n"
    assert app.run("run", "app", "cat").out == ""


def test_folders(app: Lapstrake, tmp_path: Path) -> None:
    shared = folder(tmp_path / "shared", {"f": "text\n"})
    shared.chmod(0o777)
    assert app.run("run", "-v", f"{shared}:/s:ro", "app", "cat", "/s/f").out == "text\n"
    assert app.run("run", "-v", f"{shared}:/s:ro", "app", "touch", "/s/g").status == 1
    assert app.run("run", "-v", f"{shared}:/s", "app", "touch", "/s/g").status == 0
    assert (shared / "g").exists()


def test_signals_are_forwarded(app: Lapstrake) -> None:
    script = "trap 'echo got; exit 7' TERM; echo ready; while :; do sleep 0.1; done"
    running = start(app, "app", "sh", "-c", script)
    assert running.stdout is not None
    assert running.stdout.readline() == b"ready\n"
    running.send_signal(signal.SIGTERM)
    assert running.communicate(timeout=60)[0] == b"got\n"
    assert running.returncode == 7


def test_a_killed_run_ends_its_command_and_leaves_what_the_next_one_deletes(app: Lapstrake) -> None:
    app.run("run", "app", "true")
    before = trees(app)
    running = start(app, "app", "sh", "-c", "echo ready; sleep 987654")
    assert running.stdout is not None
    assert running.stdout.readline() == b"ready\n"
    running.kill()
    running.communicate(timeout=60)  # ends when nobody has the pipe any more: the command is gone
    app.run("run", "app", "true")
    deadline = time.monotonic() + 30
    while trees(app) != before and time.monotonic() < deadline:
        app.run("run", "app", "true")
    assert trees(app) == before


def test_a_terminal(app: Lapstrake) -> None:
    pid, master = pty.fork()
    if pid == 0:
        script = "test -t 0 && read x && echo got-$x; exit 4"
        os.execv(PROGRAM[0], [*PROGRAM, "--root", str(app.store), "run", "-it", "app", "sh", "-c", script])
    os.write(master, b"word\n")
    out = b""
    try:
        while data := os.read(master, 4096):
            out += data
    except OSError:
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 4
    assert b"got-word" in out
    assert app.run("run", "-it", "app").status == 125
    assert app.run("run", "-t", "app", "test", "-t", "0").status == 0


def test_a_running_image_keeps_its_last_name(app: Lapstrake) -> None:
    with start(app, "-i", "app", "sh", "-c", "echo up; read line", stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        refused = app.run("rmi", "app")
        assert refused.status == 1
        assert "a running lapstrake run uses the image" in refused.err
        assert app.run("rmi", "-f", "app").status == 0
        process.communicate(b"go\n", timeout=60)
    assert process.returncode == 0
