"""Every kernel call that Python's library does not have, by its own name. Standard library only: init.py imports it.

One function, `check`, turns a failed call into an OSError. Numbers of calls that libc does not wrap are those of
x86_64 and aarch64 (syscalls(2)).
"""

from __future__ import annotations

import ctypes
import os
import platform

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_SAFE = MS_NOSUID | MS_NODEV | MS_NOEXEC
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

TIOCSPTLCK, TIOCGPTPEER = 0x40045431, 0x5441

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2

_X86 = platform.machine() == "x86_64"
_SYS_PIVOT_ROOT = 155 if _X86 else 41
_SYS_KEYCTL = 250 if _X86 else 219
_SYS_BPF = 321 if _X86 else 280
_SYS_CLOSE_RANGE = 436
_SYS_MOUNT_SETATTR = 442
_CLOSE_RANGE_CLOEXEC = 4
_AT_RECURSIVE = 0x8000
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC = 1, 2, 4, 8
_KEYCTL_JOIN_SESSION_KEYRING = 1
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> int:
    """The result of a call, or OSError with its errno and the name of what it was about."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def at(fd: int) -> str:
    """A path of what a descriptor stands for, as long as it is open."""
    return f"/proc/self/fd/{fd}"


def syncfs(fd: int) -> None:
    """syncfs(2)"""
    check(_libc.syncfs(fd), "syncfs")


def unshare(flags: int) -> None:
    """unshare(2)"""
    check(_libc.unshare(flags), "unshare")


def setns(fd: int, kind: int) -> None:
    """setns(2)"""
    check(_libc.setns(fd, kind), "setns")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2)"""
    result = _libc.mount(
        os.fsencode(source) or None,
        os.fsencode(target),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        os.fsencode(data) or None,
    )
    check(result, f"mount {kind or source} on {target}")


def umount2(target: str, flags: int = 0) -> None:
    """umount2(2)"""
    check(_libc.umount2(os.fsencode(target), flags), f"umount {target}")


def pivot_root(new: str, old: str) -> None:
    """pivot_root(2)"""
    check(_libc.syscall(_SYS_PIVOT_ROOT, os.fsencode(new), os.fsencode(old)), "pivot_root")


class _MountAttr(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")]


def restrict(target: str, attributes: int, *, recursive: bool = True) -> None:
    """mount_setattr(2): a mount, and all mounts below it if recursive, get these MOUNT_ATTR_* too."""
    attr = _MountAttr(attributes, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attr))
    flags = _AT_RECURSIVE if recursive else 0
    result = _libc.syscall(_SYS_MOUNT_SETATTR, -100, os.fsencode(target), flags, ctypes.byref(attr), size)
    check(result, f"mount_setattr {target}")


def permit(target: str, attributes: int) -> None:
    """mount_setattr(2): a mount loses these MOUNT_ATTR_*."""
    attr = _MountAttr(0, attributes, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attr))
    check(_libc.syscall(_SYS_MOUNT_SETATTR, -100, os.fsencode(target), 0, ctypes.byref(attr), size), target)


def prctl(option: int, value: int) -> None:
    """prctl(2) with one argument"""
    check(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0), f"prctl {option}")


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def load_seccomp(program: bytes) -> None:
    """seccomp(2) by prctl: load a filter of 8-byte BPF instructions; needs CAP_SYS_ADMIN, and sets no_new_privs not."""
    value = _Program(len(program) // 8, program)
    check(_libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(value), 0, 0), "seccomp")


class _BpfLoad(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_uint32) for name in ("kind", "length")),
        *((name, ctypes.c_uint64) for name in ("program", "license")),
        *((name, ctypes.c_uint32) for name in ("log_level", "log_size")),
        ("log", ctypes.c_uint64),
        *((name, ctypes.c_uint32) for name in ("version", "flags")),
    ]


class _BpfAttach(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("target", "program", "kind", "flags")]


def load_device_program(program: bytes) -> int:
    """bpf(2): the descriptor of a BPF_PROG_TYPE_CGROUP_DEVICE of 8-byte instructions."""
    text, license = ctypes.create_string_buffer(program, len(program)), ctypes.create_string_buffer(b"Apache-2.0")
    given = _BpfLoad(15, len(program) // 8, ctypes.addressof(text), ctypes.addressof(license))
    size = ctypes.c_uint(ctypes.sizeof(given))
    return check(_libc.syscall(_SYS_BPF, 5, ctypes.byref(given), size), "bpf load")


def attach_device_program(folder: int, program: int) -> None:
    """bpf(2): what the program says no to, no process of this cgroup of version 2 may do, whatever others say."""
    given = _BpfAttach(folder, program, 6, 2)  # BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI
    check(_libc.syscall(_SYS_BPF, 8, ctypes.byref(given), ctypes.c_uint(ctypes.sizeof(given))), "bpf attach")


def set_capabilities(permitted: int) -> None:
    """capset(2): permitted and effective become this mask, inheritable becomes empty."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    low, high = permitted & 0xFFFFFFFF, permitted >> 32
    data = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)
    check(_libc.capset(header, data), "capset")


def join_session_keyring() -> None:
    """keyctl(2): a new, empty session keyring, so that the builder's keys are out of reach."""
    check(_libc.syscall(_SYS_KEYCTL, _KEYCTL_JOIN_SESSION_KEYRING, None), "keyctl")


def cloexec_from(first: int) -> None:
    """close_range(2): no descriptor from `first` on survives an exec."""
    check(_libc.syscall(_SYS_CLOSE_RANGE, first, ctypes.c_uint(0xFFFFFFFF), _CLOSE_RANGE_CLOEXEC), "close_range")
