"""The sandbox's own program: a single-threaded helper that forks one init process per step.

    builder ── helper (this program, started once) ── init (PID 1 of a step) ── the command

Run as `python -I -S init.py CONTROL BUILDER`: CONTROL is the descriptor of a SOCK_SEQPACKET socket, BUILDER the
process that must stay alive. First message: the seccomp program. Those of the helper: the folders of cgroups that it is
about to make. Then one message a step, with two descriptors: where output goes, and the step's own stream socket; three
more are the command's standard ones, if it is not a step of a build. On the socket the builder sends the spec (4 bytes
of length, JSON) and init answers with lines of JSON: {"warning": text}, then {"exit": code}, {"signal": number} or
{"error": text, "hint": text}. {"terminal": true} comes before, with the descriptor of a terminal, if the spec asked for
one. Each byte that the builder sends after the spec is the number of a signal for the command. Its end of file means
that the step must end.

Standard library only, and no more of it than is needed: start-up is on the hot path. init is PID 1 of a new pid
namespace, so its end is the end of all that the command left behind. It is not dumpable (prctl(2)): the command, even
as root, cannot reach its /proc/1/exe, root, fd or memory.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

import fcntl
import gc
import json
import resource
import select
import signal
import socket
import struct
import termios
from typing import Any, NoReturn

from builder.sandbox import capabilities, devicecgroup, linux, mounts
from builder.sandbox.devicecgroup import DeviceCgroup
from builder.sandbox.inroot import InRoot, Stub
from builder.sandbox.passwd import UnknownUser, User, find_user

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_PROGRAM_LIMIT = 1 << 20
_FORBIDDEN = (
    "this kernel forbids namespaces here: the step runs in a bare chroot, with the machine's processes in sight"
)


_FOREIGN = (
    "it is made for another processor, or is no program; those of others run where qemu-user is registered in "
    "binfmt_misc with the flag F"
)


class Refused(Exception):
    """The step cannot start. args: text, hint."""


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
            answer = Step(stream, log, program, streams, devices).run(_receive(stream))
        except Refused as error:
            answer = {"error": error.args[0], "hint": error.args[1]}
        except UnknownUser as error:
            answer = {"error": str(error), "hint": "USER names a user of the image's own /etc/passwd"}
        except OSError as error:
            answer = {"error": _story(error), "hint": _hint(error)}
        _send(stream, answer)
        code = 0
    finally:
        os._exit(code)


def _receive(stream: socket.socket) -> dict[str, Any]:
    data = b""
    while len(data) < 4 or len(data) < 4 + struct.unpack("<I", data[:4])[0]:
        more = stream.recv(1 << 16)
        if not more:
            os._exit(1)  # the builder gave up
        data += more
    spec: dict[str, Any] = json.loads(data[4:])
    return spec


def _send(stream: socket.socket, answer: dict[str, Any]) -> None:
    try:
        stream.sendall(json.dumps(answer).encode() + b"\n")
    except OSError:
        pass  # nobody listens any more


def _story(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"cannot prepare the sandbox: {where}{error.strerror}"


def _hint(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "the kernel or a security module forbids it to this process"
    return ""


class Step:
    """One command, from the point of view of its init process. streams: its standard descriptors, if not the log.

    devices: the cgroup that the helper is in, and this process with it.
    """

    def __init__(
        self, stream: socket.socket, log: int, program: bytes, streams: list[int], devices: DeviceCgroup | None
    ) -> None:
        self._stream = stream
        self._log = log
        self._streams = streams
        self._program = program
        self._devices = devices

    def run(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Prepare, run, wait, clean; the answer for the builder."""
        stubs = self._enter(spec)
        _close_all_but(self._stream.fileno(), self._log, *self._streams, *(stub.parent for stub in stubs))
        user = find_user(spec["user"])
        _enter_folder(spec["cwd"])
        if spec["readonly"]:
            linux.restrict("/", linux.MOUNT_ATTR_RDONLY, recursive=False)
        if not os.getcwd().startswith("/"):
            raise Refused(f"working directory {spec['cwd']} is outside the root", "")
        environment = _environment(spec["env"], user)
        answer = self._wait(*self._start(spec, environment, user))
        for stub in reversed(stubs):
            stub.remove()
        return answer

    def _enter(self, spec: dict[str, Any]) -> list[Stub]:
        restricted = self._restrict(spec)
        for cgroup in spec["cgroups"]:  # before the cgroup namespace is made: it is what the namespace shows as /
            _join(cgroup["folder"])
        flags = linux.CLONE_NEWNS | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS | linux.CLONE_NEWCGROUP
        if spec["network"] == "none":
            flags |= linux.CLONE_NEWNET
        try:
            linux.unshare(flags)
        except PermissionError:
            return self._bare(spec)
        linux.mount("", "/", flags=linux.MS_REC | linux.MS_PRIVATE)
        socket.sethostname(spec["hostname"])
        if spec["network"] == "none":
            _loopback_up()
        path = mounts.mount_root(spec["root"], devices=spec["insecure"])
        root = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        inroot = InRoot(root)
        os.umask(0)
        mounts.mount_all(inroot, spec, restricted=restricted)
        if spec["terminal"]:
            self._hand_over(spec, *mounts.open_terminal(inroot))
        os.umask(0o022)
        os.fchdir(root)
        linux.pivot_root(".", ".")
        linux.umount2(".", linux.MNT_DETACH)
        os.chdir("/")
        return inroot.stubs

    def _restrict(self, spec: dict[str, Any]) -> bool:
        """Whether a cgroup should keep this step from the machine's devices."""
        if self._devices is None:
            return False
        if spec["insecure"] or any(mount["type"] == "device" for mount in spec["mounts"]):
            self._devices.leave()
            return False
        try:
            for cgroup in spec["cgroups"]:
                self._devices.extend(cgroup["folder"], cgroup["controllers"])
        except OSError:
            return False
        return True

    def _bare(self, spec: dict[str, Any]) -> list[Stub]:
        if spec["root"]["type"] != "plain" or spec["network"] == "none" or spec["mounts"] or spec["readonly"]:
            raise Refused(
                "namespaces are not permitted here, and this step cannot do without",
                "run as root, or allow user namespaces (sysctl user.max_user_namespaces)",
            )
        _send(self._stream, {"warning": _FORBIDDEN})
        if spec["terminal"]:
            ours = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
            self._hand_over(spec, ours, mounts.peer(ours))
        os.chroot(spec["root"]["path"])
        os.chdir("/")
        return []

    def _hand_over(self, spec: dict[str, Any], ours: int, theirs: int) -> None:
        """The builder gets its side of the terminal, the command the other one as all of its streams."""
        rows, columns = spec["terminal"]
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        socket.send_fds(self._stream, [b'{"terminal": true}\n'], [ours])
        os.close(ours)
        self._streams = [theirs, os.dup(theirs), os.dup(theirs)]

    def _start(self, spec: dict[str, Any], environment: dict[str, str], user: User) -> tuple[int, int]:
        """Fork the command: its pid, and a pipe that ends, or says why, when it has become what it should."""
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                self._become(spec, environment, user)
            except BaseException as error:
                os.write(write, _reason(error, spec["argv"]).encode("utf-8", "surrogateescape"))
            finally:
                os._exit(127)
        for fd in (write, self._log, *self._streams):
            os.close(fd)
        return pid, read

    def _become(self, spec: dict[str, Any], environment: dict[str, str], user: User) -> None:
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

    def _wait(self, pid: int, failure: int) -> dict[str, Any]:
        """Reap everything until the command ends; end with it, or when the builder hangs up."""
        text = b""
        while data := os.read(failure, 4096):
            text += data
        read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        poll = select.poll()
        poll.register(read, select.POLLIN)
        poll.register(self._stream, select.POLLIN | select.POLLHUP)
        while True:
            while True:
                ended, status = os.waitpid(-1, os.WNOHANG)
                if ended == pid:
                    return _outcome(status, text.decode("utf-8", "surrogateescape"))
                if ended == 0:
                    break
            for fd, _ in poll.poll():
                if fd == read:
                    os.read(read, 4096)
                elif not (wanted := self._stream.recv(64)):
                    os._exit(1)
                else:
                    for number in wanted:
                        os.kill(pid, number)


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


def _join(folder: str) -> None:
    with open(f"{folder}/cgroup.procs", "w") as file:
        file.write("0")


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


def _close_all_but(*kept: int) -> None:
    """A path of the image may name any descriptor that is open here, by /proc/self/fd: none of the machine's may be."""
    first = 3
    for fd in sorted(kept):
        os.closerange(first, fd)
        first = fd + 1
    os.closerange(first, 1 << 30)


def _enter_folder(path: str) -> None:
    """Make a folder if it is missing, and go there, links followed by us (CVE-2024-21626)."""
    try:
        procfs = os.stat("/proc").st_dev
    except OSError:
        procfs = -1  # a bare root
    inroot = InRoot(os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC), procfs)
    try:
        os.fchdir(inroot.target(path, is_dir=True))
    except NotADirectoryError:
        raise Refused(f"working directory {path} is not a folder", "") from None


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack("16sh22x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | _IFF_UP))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
