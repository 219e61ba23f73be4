"""Entering a user namespace when the builder is not root (user_namespaces(7)), before it has a second thread."""

from __future__ import annotations

import errno
import os
import time

import msgspec

from builder.errors import SandboxFault

_RETRIES = 50  # times 2 ms: a thread that was joined may still be on its way out of the kernel


class Identity(msgspec.Struct, frozen=True):
    """rootless: whether root here is an ordinary user outside. ids: how many user ids there are inside."""

    rootless: bool
    ids: int


def enter() -> Identity:
    """Become root of a new user namespace, unless this is root already. Raises SandboxFault where that is forbidden."""
    if os.geteuid() == 0:
        return Identity(False, 1 << 32)
    from builder.sandbox import linux

    uid, gid = os.geteuid(), os.getegid()
    ranges = _ranges(uid)
    ready, mapped = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        _map_parent(ready, mapped, uid, gid, ranges)
    try:
        _unshare(linux.unshare, linux.CLONE_NEWUSER)
    except OSError as error:
        os.write(ready[1], b"n")
        os.waitpid(child, 0)
        raise SandboxFault(
            f"this kernel does not let an ordinary user make a user namespace: {error.strerror}",
            "look at sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces and "
            "kernel.apparmor_restrict_unprivileged_userns, or run as root",
        ) from error
    os.write(ready[1], b"y")
    os.waitpid(child, 0)
    done = os.read(mapped[0], 1) if _readable(mapped[0]) else b""
    for fd in (*ready, *mapped):
        os.close(fd)
    if done != b"y":
        _map_one(uid, gid)
        return Identity(True, 1)
    return Identity(True, 1 + sum(count for _, count in ranges[0]))


def _unshare(unshare, flags: int) -> None:  # type: ignore[no-untyped-def]
    for _ in range(_RETRIES):
        try:
            return unshare(flags)  # type: ignore[no-any-return]
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        time.sleep(0.002)
    unshare(flags)
    return None


def _readable(fd: int) -> bool:
    import select

    return bool(select.select([fd], [], [], 0)[0])


def _map_parent(
    ready: tuple[int, int], mapped: tuple[int, int], uid: int, gid: int,
    ranges: tuple[list[tuple[int, int]], list[tuple[int, int]]],
) -> None:  # fmt: skip
    """In the child, which is outside: let newuidmap(1) and newgidmap(1) write the maps of the waiting parent."""
    try:
        os.close(ready[1])
        if (
            os.read(ready[0], 1) == b"y"
            and all(ranges)
            and all(
                _run(program, os.getppid(), own, given)
                for program, own, given in (("newuidmap", uid, ranges[0]), ("newgidmap", gid, ranges[1]))
            )
        ):
            os.write(mapped[1], b"y")
    finally:
        os._exit(0)


def _run(program: str, pid: int, own: int, given: list[tuple[int, int]]) -> bool:
    words = [program, str(pid), "0", str(own), "1"]
    inside = 1
    for first, count in given:
        words += [str(inside), str(first), str(count)]
        inside += count
    try:
        child = os.posix_spawnp(program, words, os.environ)
    except OSError:
        return False
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _map_one(uid: int, gid: int) -> None:
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _ranges(uid: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """The subordinate ids of a user (subuid(5)): [(first, count)] of users and of groups."""
    name = user_name(uid)
    return _subordinate("/etc/subuid", uid, name), _subordinate("/etc/subgid", uid, name)


def has_range(path: str, uid: int) -> bool:
    """Whether a file like /etc/subuid has a range for a user."""
    return bool(_subordinate(path, uid, user_name(uid)))


def user_name(uid: int) -> str:
    """The name of a user, "" if there is none."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def _subordinate(path: str, uid: int, name: str) -> list[tuple[int, int]]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.strip().split(":") for line in file.read(1 << 20).splitlines()]
    except OSError:
        return []
    found = []
    for fields in lines:
        if len(fields) == 3 and fields[0] in (name, str(uid)) and fields[1].isdigit() and fields[2].isdigit():
            found.append((int(fields[1]), int(fields[2])))
    return found
