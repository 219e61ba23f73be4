"""Launcher: the builder's side of the sandbox. Starts the helper once, runs commands in it from many threads."""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable

import msgspec

from builder.errors import Canceled, SandboxFault
from builder.sandbox.spec import SandboxSpec
from cache import record

_READ = 1 << 16
_END = 2  # seconds that a killed helper may take to end
_HELPER = os.path.join(os.path.dirname(__file__), "init.py")


class ExitStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a command ended. exit_code: 128 + signal for a killed one. failure: why it could not start, or ""."""

    exit_code: int = 0
    failure: str = ""
    hint: str = ""


class _Answer(msgspec.Struct, frozen=True):
    exit: int | None = None
    signal: int | None = None
    error: str | None = None
    hint: str = ""
    warning: str | None = None


class Launcher:
    """program: the seccomp filter. To be made in a thread that lives as long as the build: the helper ends with it.

    The helper is started and not waited for, so its start-up overlaps with what the builder does next.
    """

    def __init__(self, program: bytes, warn: Callable[[str], None] = lambda text: None) -> None:
        self._warn = warn
        self._lock = threading.Lock()
        self._running: set[socket.socket] = set()
        self._closed = False
        self._control, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with far, open(os.devnull, "r+b", buffering=0) as null:
            actions = [
                (os.POSIX_SPAWN_DUP2, null.fileno(), 0),
                (os.POSIX_SPAWN_DUP2, null.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, far.fileno(), 3),
            ]
            argv = [sys.executable, "-I", "-S", _HELPER, "3", str(os.getpid())]
            blocked = [signal.SIGINT]  # until the helper can ignore it: Ctrl-C is sent to all of a terminal's processes
            self._pid = os.posix_spawn(sys.executable, argv, {}, file_actions=actions, setsigmask=blocked)
        self._control.sendall(program)

    def run(
        self,
        spec: SandboxSpec,
        on_output: Callable[[bytes], None],
        serve: Callable[[socket.socket], None] | None = None,
    ) -> ExitStatus:
        """Run one command to its end, its output handed on as it comes. Raises Canceled after kill_all().

        serve: is given the listening socket, before the command starts, if the spec asks for one.
        """
        near, far = socket.socketpair()
        read, write = os.pipe()
        try:
            with far:
                self._begin(near, write, far)
            data = record.encode(spec)
            near.sendall(struct.pack("<I", len(data)) + data)
            said, listener = _handed_over(near) if serve is not None else (b"", -1)
            if serve is not None and listener >= 0:
                serve(socket.socket(fileno=listener))
            while output := os.read(read, _READ):
                on_output(output)
            return self._answer(near, said)
        except OSError as error:
            if self._closed:
                raise Canceled("canceled") from error
            raise SandboxFault(f"the sandbox helper is gone: {error.strerror}") from error
        finally:
            os.close(read)
            with self._lock:
                self._running.discard(near)
                near.close()

    def attach(self, spec: SandboxSpec, streams: tuple[int, ...]) -> Attached:
        """Start one command with standard descriptors of its own, which are closed here, or a terminal of its own."""
        near, far = socket.socketpair()
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            with far:
                self._begin(near, null, far, streams)
            data = record.encode(spec)
            near.sendall(struct.pack("<I", len(data)) + data)
            said, terminal = _handed_over(near) if spec.terminal else (b"", -1)
        except OSError as error:
            near.close()
            raise SandboxFault(f"the sandbox helper is gone: {error.strerror}") from error
        finally:
            for fd in set(streams):
                os.close(fd)
        return Attached(near, lambda: self._answer(near, said), terminal)

    def kill_all(self) -> None:
        """End every running command; run() of later ones raises Canceled."""
        with self._lock:
            self._closed = True
            for stream in self._running:
                stream.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the helper, and with it whatever still runs."""
        self.kill_all()
        with self._control:
            self._control.shutdown(socket.SHUT_WR)
            try:
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
            cgroups = self._told()
        if cgroups:
            from builder.sandbox.hierarchy import remove

            for cgroup in cgroups:
                remove(cgroup)

    def _told(self) -> list[str]:
        """The cgroups that the helper was about to make. Its end is waited for, so that it makes none later."""
        self._control.settimeout(_END)
        found: list[str] = []
        while True:
            try:
                data = self._control.recv(_READ)
            except ConnectionResetError:
                continue  # it ended before it had read all; what it said is still there
            except OSError:
                return found
            if not data:
                return found
            found.append(os.fsdecode(data))

    def _begin(self, near: socket.socket, write: int, far: socket.socket, streams: tuple[int, ...] = ()) -> None:
        try:
            with self._lock:
                if self._closed:
                    raise Canceled("canceled")
                self._running.add(near)
                socket.send_fds(self._control, [b"step"], [write, far.fileno(), *streams])
        finally:
            os.close(write)

    def _answer(self, near: socket.socket, said: bytes = b"") -> ExitStatus:
        """said: what came before."""
        data = said + b"".join(iter(lambda: near.recv(_READ), b""))
        if self._closed:
            raise Canceled("canceled")
        for line in data.splitlines():
            answer = record.decode(line, _Answer)
            if answer.warning is not None:
                self._warn(answer.warning)
            elif answer.error is not None:
                return ExitStatus(exit_code=127, failure=answer.error, hint=answer.hint)
            elif answer.signal is not None:
                return ExitStatus(exit_code=128 + answer.signal)
            elif answer.exit is not None:
                return ExitStatus(exit_code=answer.exit)
        return ExitStatus(
            exit_code=137,
            failure="exit code: 137",
            hint="the step was killed from outside, most likely since memory ran out",
        )


def _handed_over(near: socket.socket) -> tuple[bytes, int]:
    """What init says up to the descriptor that it hands over, and that; -1 if it says why there is none."""
    said = b""
    while True:
        data, descriptors, _, _ = socket.recv_fds(near, _READ, 1, socket.MSG_CMSG_CLOEXEC)
        said += data
        if descriptors or not data:
            return said, descriptors[0] if descriptors else -1


class Attached:
    """A command that runs with streams of its own. terminal: our side of its terminal, -1 if it has none."""

    def __init__(self, stream: socket.socket, answer: Callable[[], ExitStatus], terminal: int = -1) -> None:
        self._stream, self._answer, self.terminal = stream, answer, terminal

    def signal(self, number: int) -> None:
        """Send the command a signal; nothing happens if it has ended."""
        try:
            self._stream.send(bytes([number]))
        except OSError:
            pass

    def wait(self) -> ExitStatus:
        """Its end, waited for."""
        return self._answer()
