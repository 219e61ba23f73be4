"""What this machine lets a build do, each thing tried rather than guessed, and what to do where it does not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import msgspec

from builder.errors import SandboxFault
from builder.sandbox import linux, namespace
from builder.sandbox.cgroup import Cgroups
from builder.sandbox.namespace import Identity
from builder.sandbox.spec import Limits
from builder.snapshot.probe import mounts_overlay

_STEP = (
    ("mount", linux.CLONE_NEWNS),
    ("pid", linux.CLONE_NEWPID),
    ("ipc", linux.CLONE_NEWIPC),
    ("uts", linux.CLONE_NEWUTS),
    ("cgroup", linux.CLONE_NEWCGROUP),
    ("network", linux.CLONE_NEWNET),
)
_TRIED = Limits(memory=64 << 20)


class Ability(msgspec.Struct, frozen=True):
    """name: what it is. ok: whether it is there. message: how. hint: what to do where it is not."""

    name: str
    ok: bool
    message: str
    hint: str = ""


def abilities(folder: str, user: int) -> list[Ability]:
    """All of them; this process becomes root of a user namespace on the way. folder: of a store's trees.

    user: the id of who asks.
    """
    try:
        identity = namespace.enter()
    except SandboxFault as error:
        return [Ability("user namespace", False, error.message, error.hint)]
    return [
        _user_namespace(identity),
        _ids(identity, user),
        _namespaces(),
        _overlay(folder),
        _cgroup(),
        _seccomp(),
        _git(),
    ]


def _user_namespace(identity: Identity) -> Ability:
    return Ability("user namespace", True, "entered" if identity.rootless else "not needed by root")


def _ids(identity: Identity, user: int) -> Ability:
    name = "user ids"
    if identity.ids > 1:
        count = "all" if not identity.rootless else str(identity.ids)
        return Ability(name, True, f"{count} can be given to files and processes of a build")
    lacking = [program for program in ("newuidmap", "newgidmap") if not shutil.which(program)]
    if lacking:
        return Ability(name, False, f"only one: {' and '.join(lacking)} not found", "install the package uidmap")
    ranges = [path for path in ("/etc/subuid", "/etc/subgid") if not namespace.has_range(path, user)]
    hint = f"as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {namespace.user_name(user)}"
    if ranges:
        return Ability(name, False, f"only one: no range in {' and '.join(ranges)}", hint)
    return Ability(
        name,
        False,
        "only one: newuidmap and newgidmap may not write them",
        "are they set-user-id, or have file capabilities?",
    )


def _namespaces() -> Ability:
    lacking = [name for name, flag in _STEP if not _tried(lambda flag=flag: linux.unshare(flag))]  # type: ignore[misc]
    if lacking:
        hint = "in a container, start that with --privileged or with its seccomp profile off"
        return Ability("namespaces of steps", False, f"the kernel refuses: {', '.join(lacking)}", hint)
    return Ability("namespaces of steps", True, ", ".join(name for name, _ in _STEP))


def _overlay(folder: str) -> Ability:
    if mounts_overlay(folder):
        return Ability("overlay", True, f"can be mounted in {folder}")
    hint = "builds copy whole trees, which is slower: load the module overlay, or put the store on ext4, xfs or tmpfs"
    return Ability("overlay", False, f"cannot be mounted in {folder}", hint)


def _cgroup() -> Ability:
    said: list[str] = []
    try:
        with Cgroups(_TRIED, said.append).step() as cgroup:
            if cgroup.joined and not said:
                return Ability("cgroup", True, "memory and CPU of steps can be limited")
    except SandboxFault as error:
        return Ability("cgroup", False, error.message, error.hint or "--resource has no effect")
    message = said[0].partition(": ")[2] if said else "no cgroup could be made"
    return Ability("cgroup", False, message, "for --resource: systemd-run --user --scope lapstrake …, or run as root")


def _seccomp() -> Ability:
    if os.path.exists("/proc/sys/kernel/seccomp/actions_avail"):
        return Ability("seccomp", True, "system calls of steps are filtered")
    return Ability("seccomp", False, "this kernel has none", "build with a kernel that has CONFIG_SECCOMP_FILTER")


def _git() -> Ability:
    found = shutil.which("git")
    return Ability("git", bool(found), found or "not found", "" if found else "install it to read git repositories")


def _tried(attempt: Callable[[], None]) -> bool:
    """Whether it works, in a process that is not seen again."""
    child = os.fork()
    if child == 0:
        try:
            attempt()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
