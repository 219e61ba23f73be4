"""Command: the process of a step that is not ours. Standard library only: init.py imports it."""

from __future__ import annotations

import fcntl
import os
import resource
import select
import signal
import socket
import termios
from typing import Any

from builder.sandbox import capabilities, linux
from builder.sandbox.passwd import User
from builder.sandbox.refused import Refused

_FOREIGN = (
    "it is made for another processor, or is no program; those of others run where qemu-user is registered in "
    "binfmt_misc with the flag F"
)


class Command:
    """One of this process, which is PID 1 of a pid namespace and has entered root and working directory.

    program: the seccomp filter. log: where output goes, unless streams has the three standard descriptors; all are
    closed here once it has started.
    """

    def __init__(self, spec: dict[str, Any], user: User, program: bytes, log: int, streams: list[int]) -> None:
        self._spec, self._user, self._program = spec, user, program
        self._log, self._streams = log, streams
        self._pid = self._failure = -1

    def start(self) -> None:
        """Fork it, with a pipe that ends, or says why, when it has become what it should."""
        environment = _environment(self._spec["env"], self._user)
        self._failure, write = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                self._become(environment)
            except BaseException as error:
                os.write(write, _reason(error, self._spec["argv"]).encode("utf-8", "surrogateescape"))
            finally:
                os._exit(127)
        for fd in (write, self._log, *self._streams):
            os.close(fd)

    def wait(self, stream: socket.socket) -> dict[str, Any]:
        """Reap everything until the command ends: the answer for the builder. This process ends if it hangs up.

        stream: of the numbers of signals that the builder sends the command.
        """
        text = b""
        while data := os.read(self._failure, 4096):
            text += data
        read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        poll = select.poll()
        poll.register(read, select.POLLIN)
        poll.register(stream, select.POLLIN | select.POLLHUP)
        while True:
            while True:
                ended, status = os.waitpid(-1, os.WNOHANG)
                if ended == self._pid:
                    return _outcome(status, text.decode("utf-8", "surrogateescape"))
                if ended == 0:
                    break
            for fd, _ in poll.poll():
                if fd == read:
                    os.read(read, 4096)
                elif not (wanted := stream.recv(64)):
                    os._exit(1)
                else:
                    for number in wanted:
                        os.kill(self._pid, number)

    def _become(self, environment: dict[str, str]) -> None:
        spec, user = self._spec, self._user
        os.setsid()
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
        null = os.open("/dev/null", os.O_RDONLY)
        for number, fd in enumerate(self._streams or (null, self._log, self._log)):
            os.dup2(fd, number)
        if spec["terminal"]:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            _give(0, user.uid)
        linux.cloexec_from(3)
        for number in range(1, signal.NSIG):
            if number not in (signal.SIGKILL, signal.SIGSTOP) and signal.getsignal(number) is not None:
                signal.signal(number, signal.SIG_DFL)
        try:
            linux.join_session_keyring()
        except OSError:
            pass  # a kernel without keys has none to keep apart
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))  # a core file would be in the layer, with the secrets
        if spec["ulimits"]:
            _limit(spec["ulimits"])
        if not spec["insecure"]:
            _drop_capabilities()
            linux.load_seccomp(self._program)
        _set_ids(user, keep=spec["insecure"])
        argv = spec["argv"]
        os.execve(_program(argv[0], environment), argv, environment)


def _outcome(status: int, failure: str) -> dict[str, Any]:
    if failure:
        return {"error": failure, "hint": _FOREIGN if "exec format error" in failure.lower() else ""}
    if os.WIFSIGNALED(status):
        return {"signal": os.WTERMSIG(status)}
    return {"exit": os.WEXITSTATUS(status)}


def _give(terminal: int, uid: int) -> None:
    try:
        os.fchown(terminal, uid, -1)
    except OSError:
        pass  # a user namespace with a single id


def _limit(ulimits: list[tuple[str, int, int]]) -> None:
    for name, soft, hard in ulimits:
        try:
            resource.setrlimit(getattr(resource, f"RLIMIT_{name.upper()}"), (soft, hard))
        except (OSError, ValueError) as error:
            raise Refused(f"cannot set ulimit {name}={soft}:{hard}: {error}", "") from None


def _drop_capabilities() -> None:
    for number in range(capabilities.COUNT):
        if not capabilities.DEFAULT >> number & 1:
            try:
                linux.prctl(linux.PR_CAPBSET_DROP, number)
            except OSError:
                break  # past the last one that this kernel has


def _set_ids(user: User, *, keep: bool) -> None:
    """keep: root keeps all the capabilities that it has."""
    try:
        os.setgroups(user.groups)
    except PermissionError:
        if user.groups not in ([], [0]):
            raise  # a user namespace with a single id has no groups to set
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)
    if user.uid or not keep:
        linux.set_capabilities(0 if user.uid else capabilities.DEFAULT)


def _reason(error: BaseException, argv: list[str]) -> str:
    if isinstance(error, Refused):
        return str(error.args[0])
    if isinstance(error, OSError) and error.filename is not None and error.filename in (argv[0], argv[0].encode()):
        return f'exec: "{argv[0]}": {(error.strerror or "").lower()}'
    if isinstance(error, OSError):
        return f"cannot start the command: {error.strerror} ({error.filename or ''})"
    return f"cannot start the command: {error}"


def _program(name: str, environment: dict[str, str]) -> str:
    """The file to execute, looked up in PATH as execvp does."""
    if not name:
        raise Refused('exec: "": executable file not found in $PATH', "")
    if "/" in name:
        try:
            os.stat(name)
        except OSError as error:
            raise Refused(f'exec: "{name}": stat {name}: {(error.strerror or "").lower()}', "") from None
        return name
    for folder in environment.get("PATH", "").split(":"):
        path = os.path.join(folder or ".", name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise Refused(f'exec: "{name}": executable file not found in $PATH', "")


def _environment(pairs: list[str], user: User) -> dict[str, str]:
    found = dict(pair.partition("=")[::2] for pair in pairs)
    found.setdefault("HOME", user.home)
    return found
