"""The sandbox's own program: a single-threaded helper that forks one init process per step.

    builder ── helper (this program, started once) ── init (PID 1 of a step) ── the command

Run as `python -I -S init.py CONTROL BUILDER`: CONTROL is the descriptor of a SOCK_SEQPACKET socket, BUILDER the
process that must stay alive. First message: the seccomp program. Those of the helper: the folders of cgroups that it is
about to make. Then one message a step, with two descriptors: where output goes, and the step's own stream socket; three
more are the command's standard ones, if it is not a step of a build. On the socket the builder sends the spec (4 bytes
of length, JSON) and init answers with lines of JSON: {"warning": text}, then {"exit": code}, {"signal": number} or
{"error": text, "hint": text}. {"terminal": true} comes before, with the descriptor of a terminal, if the spec asked for
one, and {"listener": true} with that of a listening socket. Each byte that the builder sends after the spec is the
number of a signal for the command. Its end of file means that the step must end.

Standard library only, and no more of it than is needed: start-up is on the hot path. init is PID 1 of a new pid
namespace, so its end is the end of all that the command left behind. It is not dumpable (prctl(2)): the command, even
as root, cannot reach its /proc/1/exe, root, fd or memory.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

import gc
import signal
import socket
from typing import NoReturn

from builder.sandbox import devicecgroup, linux
from builder.sandbox.devicecgroup import DeviceCgroup
from builder.sandbox.passwd import UnknownUser
from builder.sandbox.refused import Refused
from builder.sandbox.step import Step
from builder.sandbox.stepstream import receive, send

_PROGRAM_LIMIT = 1 << 20


def main(control_fd: int, builder: int) -> None:
    """Serve until the builder closes the socket or dies."""
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != builder:
        return
    linux.prctl(linux.PR_SET_DUMPABLE, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps: init tells of itself on its socket
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the builder's to act on
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    name = os.getpid()
    _enter_own_pid_namespace()
    control = socket.socket(fileno=control_fd)
    devices = devicecgroup.enter(name, lambda folder: control.send(os.fsencode(folder)))
    program, _ = _received(control, _PROGRAM_LIMIT)
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    gc.disable()
    gc.freeze()
    while True:
        message, descriptors = _received(control)
        if not message:
            return
        log, status, *streams = descriptors
        pid = _fork_init(own)
        if pid == 0:
            control.close()
            _run_init(log, status, program, streams, devices)
        for fd in (log, status, *streams):
            os.close(fd)


def _enter_own_pid_namespace() -> None:
    """Go on as PID 1 of a namespace that our user namespace owns: only to such a one may setns(2) return.

    It also makes the end of this process the end of every step, whatever happens to them.
    """
    try:
        linux.unshare(linux.CLONE_NEWPID)
    except PermissionError:
        return  # namespaces are forbidden: each step says so
    outer = os.getpid()
    if os.fork() != 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.closerange(3, 256)
        os.waitpid(-1, 0)
        os._exit(0)
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() not in (0, outer):
        os._exit(1)


def _received(control: socket.socket, size: int = 16) -> tuple[bytes, list[int]]:
    """The next message and its descriptors; nothing at the end, also if the builder died without having heard us."""
    try:
        message, descriptors, _, _ = socket.recv_fds(control, size, 5)
    except ConnectionResetError:
        return b"", []
    return message, descriptors


def _fork_init(own: int) -> int:
    """Fork into a new pid namespace, where the kernel allows one; ours stays what it was."""
    try:
        linux.unshare(linux.CLONE_NEWPID)
    except PermissionError:
        return os.fork()
    pid = os.fork()
    if pid != 0:
        linux.setns(own, linux.CLONE_NEWPID)
    return pid


def _run_init(log: int, status: int, program: bytes, streams: list[int], devices: DeviceCgroup | None) -> NoReturn:
    code = 1
    try:
        stream = socket.socket(fileno=status)
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
        linux.prctl(linux.PR_SET_DUMPABLE, 0)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            answer = Step(stream, log, program, streams, devices).run(receive(stream))
        except Refused as error:
            answer = {"error": error.args[0], "hint": error.args[1]}
        except UnknownUser as error:
            answer = {"error": str(error), "hint": "USER names a user of the image's own /etc/passwd"}
        except OSError as error:
            answer = {"error": _story(error), "hint": _hint(error)}
        send(stream, answer)
        code = 0
    finally:
        os._exit(code)


def _story(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"cannot prepare the sandbox: {where}{error.strerror}"


def _hint(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "the kernel or a security module forbids it to this process"
    return ""


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
