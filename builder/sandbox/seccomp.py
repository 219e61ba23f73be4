"""The seccomp filter of every step: Docker's default profile as BPF, compiled in the builder and kept in the store.

libseccomp (by way of pyseccomp) is asked only when the compiled program is not there yet; the sandbox itself needs
neither. The rules are data, in seccomp.json beside this file.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import struct
import tempfile

from builder.errors import SandboxFault
from cache.wholefile import replace_file

_VERSION = b"1"  # of this file's way to compile
_SUB_ARCHITECTURES = {"x86_64": ("X86", "X32"), "aarch64": ("ARM",)}
_INSTRUCTION = 8  # bytes


def compiled(store: str) -> bytes:
    """The BPF program for this machine, from ROOT/seccomp-<digest> or made now. Raises SandboxFault."""
    with open(os.path.join(os.path.dirname(__file__), "seccomp.json"), "rb") as file:
        profile = file.read()
    machine = platform.machine()
    name = hashlib.sha256(b"\0".join((_VERSION, machine.encode(), profile))).hexdigest()[:16]
    path = os.path.join(store, f"seccomp-{name}")
    try:
        with open(path, "rb") as file:
            data = file.read()
        if _whole(data):
            return data[:-32]
    except FileNotFoundError:
        pass
    program = _compile(json.loads(profile), machine)
    replace_file(path, program + hashlib.sha256(program).digest(), 0o600)
    return program


def _whole(data: bytes) -> bool:
    return len(data) > 32 and hashlib.sha256(data[:-32]).digest() == data[-32:]


def _compile(profile: dict, machine: str) -> bytes:  # type: ignore[type-arg]
    try:
        import pyseccomp
    except (ImportError, OSError, RuntimeError) as error:
        raise SandboxFault(
            f"the seccomp filter of RUN steps cannot be made: {error}",
            "install libseccomp (Debian and Ubuntu: libseccomp2, Fedora: libseccomp)",
        ) from error
    filter = pyseccomp.SyscallFilter(pyseccomp.ERRNO(profile["otherwise"]))
    for name in _SUB_ARCHITECTURES.get(machine, ()):
        filter.add_arch(getattr(pyseccomp.Arch, name))
    for call in profile["allow"] + profile["machines"].get(machine, []):
        _add(filter, pyseccomp.ALLOW, call)
    for rule in profile["rules"]:
        action = pyseccomp.ERRNO(rule["errno"]) if "errno" in rule else pyseccomp.ALLOW
        for call in rule["calls"]:
            _add(filter, action, call, *_conditions(pyseccomp, rule))
    with tempfile.TemporaryFile() as file:
        filter.export_bpf(file)
        file.seek(0)
        program = file.read()
    if not program or len(program) % _INSTRUCTION or len(program) // _INSTRUCTION > 4096:
        raise SandboxFault("libseccomp made a seccomp program that the kernel cannot take")
    struct.unpack_from("<HBBI", program)
    return program


def _conditions(pyseccomp, rule: dict) -> list:  # type: ignore[no-untyped-def, type-arg]
    if "compare" not in rule:
        return []
    compare = getattr(pyseccomp, rule["compare"])
    if "mask" in rule:
        return [pyseccomp.Arg(rule["argument"], compare, rule["mask"], rule["value"])]
    return [pyseccomp.Arg(rule["argument"], compare, rule["value"])]


def _add(filter, action, call: str, *conditions) -> None:  # type: ignore[no-untyped-def]
    try:
        filter.add_rule(action, call, *conditions)
    except (OSError, ValueError, RuntimeError):
        pass  # a call that this machine or this libseccomp does not know; what is not allowed stays refused
