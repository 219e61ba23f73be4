"""Step: one command from the point of view of its init process. Standard library only: init.py imports it."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import termios
from typing import Any

from builder.sandbox import linux, mounts, terminal
from builder.sandbox.command import Command
from builder.sandbox.devicecgroup import DeviceCgroup
from builder.sandbox.inroot import InRoot, Stub
from builder.sandbox.passwd import find_user
from builder.sandbox.refused import Refused
from builder.sandbox.root import mount_root
from builder.sandbox.stepstream import send

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_FORBIDDEN = (
    "this kernel forbids namespaces here: the step runs in a bare chroot, with the machine's processes in sight"
)


class Step:
    """stream: to the builder. log: where output goes. program: the seccomp filter.

    streams: the command's standard descriptors, if not the log. devices: the cgroup that the helper is in, and this
    process with it.
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
        command = Command(spec, user, self._program, self._log, self._streams)
        command.start()
        answer = command.wait(self._stream)
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
        if spec["listen"]:
            self._listen(spec["listen"])
        path = mount_root(spec["root"], devices=spec["insecure"])
        root = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        inroot = InRoot(root)
        os.umask(0)
        mounts.mount_all(inroot, spec, restricted=restricted)
        if spec["terminal"]:
            self._hand_over(spec, *terminal.open_terminal(inroot))
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
        send(self._stream, {"warning": _FORBIDDEN})
        if spec["terminal"]:
            ours = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
            self._hand_over(spec, ours, terminal.peer(ours))
        os.chroot(spec["root"]["path"])
        os.chdir("/")
        return []

    def _listen(self, port: int) -> None:
        """The builder gets a socket that only what is in here can reach, and that leads nowhere but to the builder."""
        with socket.create_server(("127.0.0.1", port), backlog=socket.SOMAXCONN) as listener:
            socket.send_fds(self._stream, [b'{"listener": true}\n'], [listener.fileno()])

    def _hand_over(self, spec: dict[str, Any], ours: int, theirs: int) -> None:
        """The builder gets its side of the terminal, the command the other one as all of its streams."""
        rows, columns = spec["terminal"]
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        socket.send_fds(self._stream, [b'{"terminal": true}\n'], [ours])
        os.close(ours)
        self._streams = [theirs, os.dup(theirs), os.dup(theirs)]


def _join(folder: str) -> None:
    with open(f"{folder}/cgroup.procs", "w") as file:
        file.write("0")


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
