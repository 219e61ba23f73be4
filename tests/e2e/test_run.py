"""lapstrake run: statuses, streams, signals, folders, a terminal; and that nothing is left."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest

from tests.e2e.lapstrake import PROGRAM, Lapstrake, folder
from tests.memoryregistry import MemoryRegistry
from tests.memoryregistry import running as running_registry

pytestmark = pytest.mark.e2e

DOCKERFILE = """FROM base
ENV A=1 B=two
WORKDIR /work
RUN mkdir /kept && echo 1 > /kept/f && chmod -R 777 /kept
VOLUME /new /kept
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


def test_read_only(app: Lapstrake) -> None:
    """What is mounted stays as it is: folders in memory, and an image's volumes."""
    script = "echo x > /x; echo x > /tmp/x; echo x > /new/x; cat /kept/f; echo 2 > /kept/f; cat /kept/f"
    done = app.run("run", "--read-only", "-u", "0", "app", "sh", "-c", script)
    assert done.out == "1\n2\n"
    assert [line.split(": ")[-2:] for line in done.err.splitlines()] == [
        [f"can't create {path}", "Read-only file system"] for path in ("/x", "/tmp/x")
    ]
    assert app.run("run", "--read-only", "--tmpfs", "/tmp", "app", "sh", "-c", "echo x > /tmp/x").status == 0


def test_a_volume_does_not_uncover_what_is_hidden(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """An image that calls /proc a volume, which stays writable where the root is not, has it as everybody has."""
    copies = "".join(f"COPY Dockerfile /{name}/here\n" for name in ("proc/sys", "sys", "dev", "x"))
    text = f"FROM base\n{copies}RUN ln -s /proc /x/p\nVOLUME /proc /proc/sys /sys /dev /dev/none /x /x/p\n"
    lapstrake.built(folder(tmp_path / "c", {"Dockerfile": text}), "-t", "app")
    script = (
        "for f in /proc/sys/kernel/domainname /proc/sysrq-trigger; do echo x > $f; done; "
        "wc -c < /proc/timer_list; ls /sys/firmware; cat /x/here | wc -l; test -c /dev/null || echo no /dev"
    )
    for options in ((), ("--read-only",)):
        done = lapstrake.run("run", "-u", "0", *options, "app", "sh", "-c", script)
        assert done.out.split() == ["0", "7"], done
        assert done.err.count("can't create /proc/sys") == 2, done.err


def test_folders_in_memory(app: Lapstrake) -> None:
    words = ("run", "--tmpfs", "/a", "--tmpfs", "/b:ro,exec,size=64k,mode=750,uid=7", "-u", "0", "app")
    done = app.run(*words, "sh", "-c", "grep ' /[ab] ' /proc/mounts; stat -c '%a %u' /a /b")
    first, second, *modes = done.out.splitlines()
    assert {"rw", "nosuid", "nodev", "noexec"} <= set(first.split()[3].split(","))
    options = second.split()[3].split(",")
    assert {"ro", "nosuid", "nodev", "size=64k", "mode=750"} <= set(options) and "noexec" not in options
    assert modes == ["1777 0", "750 7"]
    words = ("--shm-size=1m", "--ulimit", "nofile=77:88", "--mount", "type=tmpfs,dst=/m,tmpfs-size=64k")
    done = app.run("run", *words, "app", "sh", "-c", "ulimit -n; grep -E ' /(m|dev/shm) ' /proc/mounts")
    limit, *lines = done.out.splitlines()
    assert limit == "77"
    assert ["size=1024k" in lines[0], "size=64k" in lines[1], "noexec" in lines[1]] == [True] * 3, lines
    for wrong in ("a", "/a:suid", "/a:size=x", "/a:mode=9", "/", "/a:size"):
        assert app.run("run", "--tmpfs", wrong, "app").status == 125, wrong


def test_names_and_hosts(app: Lapstrake) -> None:
    words = ("--name", "some.name", "-h", "here", "--add-host", "a:1.2.3.4", "--add-host", "b=[::2]", "--init")
    done = app.run("run", *words, "--restart=no", "app", "cat", "/etc/hosts")
    assert done.out.splitlines() == [
        "127.0.0.1\tlocalhost here", "::1\tlocalhost ip6-localhost ip6-loopback", "1.2.3.4\ta", "::2\tb",
    ]  # fmt: skip
    assert "Invalid container name (a/b)" in app.run("run", "--name", "a/b", "app").err
    assert app.run("run", "--add-host", "a", "app").status == 125


def test_what_would_need_a_daemon_or_more_rights(app: Lapstrake) -> None:
    for words in (["-p", "80:80"], ["-P"], ["-d"], ["--restart=always"], ["--privileged"], ["--cap-add=ALL"]):
        done = app.run("run", *words, "app")
        assert done.status == 125
        assert "is not supported: " in done.err and "Traceback" not in done.err


def test_an_image_that_is_pulled(app: Lapstrake, tmp_path: Path) -> None:
    memory, other = MemoryRegistry(), Lapstrake(tmp_path / "other")
    with running_registry(memory) as host:
        name = f"{host}/app:1"
        app.run("tag", "app", name)
        assert app.run("push", "-q", name).status == 0
        assert (other.run("run", "--pull=never", name).status, other.run("images", "-q").out) == (125, "")
        first = other.run("run", name)
        assert (first.status, first.out) == (3, "1 two /work web\n")
        assert first.err.startswith(f"Unable to find image '{name}' locally\n1: Pulling from app\n"), first.err
        assert f"Status: Downloaded newer image for {name}" in first.err
        assert other.run("run", name).err == ""
        assert "Status: Image is up to date" in other.run("run", "--pull=always", name).err
        assert other.run("run", "-q", "--pull=always", name).err == ""
        wrong = other.run("run", "--platform=linux/s390x", "--pull=never", name)
        assert wrong.status == 125 and "does not provide the specified platform" in wrong.err
        digest = next(iter(memory.tags.values()))
        assert Lapstrake(tmp_path / "third").run("run", "-q", f"{host}/app@{digest}").status == 3
    gone = other.run("run", f"{host}/none:1")
    assert gone.status == 125 and "Traceback" not in gone.err


def in_terminal(app: Lapstrake, *args: str, rows: int = 0, columns: int = 0) -> tuple[int, bytes]:
    """Status and output of `run -it` with a terminal of this size."""
    pid, master = pty.fork()
    if pid == 0:
        os.execv(PROGRAM[0], [*PROGRAM, "--root", str(app.store), "run", "-it", *args])
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    out = b""
    try:
        while data := os.read(master, 4096):
            out += data
    except OSError:
        pass
    os.close(master)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out


def test_the_terminal_is_in_the_container_s_own_dev(app: Lapstrake) -> None:
    """Its name leads to it, for whoever the command is; and it has the size of ours from the first moment on."""
    script = "tty; echo to-name > $(tty); echo to-console > /dev/console; stty size; ls /dev/pts"
    for user in ("web", "root"):
        status, out = in_terminal(app, "-u", user, "app", "sh", "-c", script, rows=33, columns=77)
        assert status == 0, out
        assert out.replace(b"\r", b"").split() == [
            b"/dev/pts/0",
            b"to-name",
            b"to-console",
            b"33",
            b"77",
            b"0",
            b"ptmx",
        ]
    assert in_terminal(app, "app", "/nope")[0] == 127
    assert in_terminal(app, "-v", "/dev:/dev", "app", "true")[0] == 125


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
