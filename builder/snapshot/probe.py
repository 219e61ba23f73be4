"""Whether this process can mount an overlay in the store's folder; asked once per boot and user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

from builder.layer.remove import remove
from cache.wholefile import replace_file

_ANSWER = ".probe"
_WHOLE = "4294967295"  # the initial user namespace maps all ids (user_namespaces(7))


def boot_id() -> str:
    """Changes with each start of the machine (proc_sys_kernel(5))."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def in_user_namespace() -> bool:
    """Whether trusted.* attributes are out of reach: this process is not in the machine's own user namespace."""
    with open("/proc/self/uid_map") as file:
        return file.read().split() != ["0", "0", _WHOLE]


def probe(folder: str) -> str:
    """ "overlay" if a mount was tried in `folder` and worked, else "plain"."""
    question = [boot_id(), str(os.geteuid()), os.readlink("/proc/self/ns/user") if in_user_namespace() else ""]
    # A namespace's number is not kept: each process enters its own, and what one may do all may.
    question[2] = "user" if question[2] else ""
    path = os.path.join(folder, _ANSWER)
    try:
        with open(path) as file:
            known = json.load(file)
        if known["question"] == question and known["answer"] in ("overlay", "plain"):
            return str(known["answer"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # never asked, or a file that is worth nothing
    answer = "overlay" if mounts_overlay(folder) else "plain"
    replace_file(path, json.dumps({"question": question, "answer": answer}).encode(), 0o600)
    return answer


def mounts_overlay(folder: str) -> bool:
    """Mount one for a moment, in a process and a mount namespace of its own, and see whether deleting works."""
    if os.geteuid() != 0:
        return False
    place = tempfile.mkdtemp(prefix=".trial-", dir=folder)
    try:
        script = os.path.join(os.path.dirname(__file__), "trial.py")
        option = "userxattr," if in_user_namespace() else ""
        done = subprocess.run(
            [sys.executable, "-I", "-S", script, place, option],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=30,
            check=False,
        )
        return done.returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False
    finally:
        parent = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove(parent, os.fsencode(os.path.basename(place)))
        finally:
            os.close(parent)
