"""RUN for another processor, by qemu-user that is registered in a binfmt_misc of the test's own user namespace."""

from __future__ import annotations

import platform
import shlex
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from tests.e2e.lapstrake import PROGRAM, folder

QEMU = shutil.which("qemu-aarch64-static")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(QEMU is None or platform.machine() != "x86_64", reason="needs qemu-user-static on x86_64"),
]

# The kernel has one binfmt_misc a user namespace since 6.7. F: the interpreter is opened now, and needs not be in an
# image's root. Magic and mask: of a program (e_type) for EM_AARCH64.
MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
INSIDE = f"""
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc || exit 77
printf %s {shlex.quote(f":lapstrake:M::{MAGIC}:{MASK}:{QEMU}:F")} > /proc/sys/fs/binfmt_misc/register || exit 77
exec "$@"
"""


def test_a_program_for_another_processor_runs(tmp_path: Path) -> None:
    text = 'FROM scratch\nCOPY --chmod=755 program /program\nRUN ["/program"]\n'
    context = folder(tmp_path / "context", {"Dockerfile": text, "program": program(b"/made", b"by arm64\n")})
    build = ["build", "--platform=linux/arm64", "--output", str(tmp_path / "out"), str(context)]
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", INSIDE, "sh",
         *PROGRAM, "--root", str(tmp_path / "store"), *build],
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode == 77:
        pytest.skip(f"this kernel gives no binfmt_misc of one's own: {done.stderr}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "made").read_text() == "by arm64\n"


def program(path: bytes, text: bytes) -> bytes:
    """A static ELF program for arm64 that makes a file."""
    data = {"path": path + b"\0", "text": text}
    openat, write, leave = 56, 64, 93
    words: list[int | tuple[int, str]] = [
        movn(0, 99), (1, "path"), movz(2, 0x41), movz(3, 0o644), movz(8, openat), SVC,
        (1, "text"), movz(2, len(text)), movz(8, write), SVC,
        movz(0, 0), movz(8, leave), SVC,
    ]  # fmt: skip
    places, end = {}, 4 * len(words)
    for name, value in data.items():
        places[name] = end
        end += len(value)
    code = b"".join(
        struct.pack("<I", adr(word[0], places[word[1]] - 4 * at) if isinstance(word, tuple) else word)
        for at, word in enumerate(words)
    )
    body, base, head = code + b"".join(data.values()), 0x400000, 64 + 56
    elf = struct.pack("<4sBBBBB7xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 0, 2, 183, 1, base + head, 64, 0, 0, 64, 56, 1,
                      0, 0, 0)  # fmt: skip
    size = head + len(body)
    return elf + struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 4096) + body


SVC = 0xD4000001


def movz(register: int, value: int) -> int:
    return 0xD2800000 | value << 5 | register


def movn(register: int, value: int) -> int:
    return 0x92800000 | value << 5 | register


def adr(register: int, offset: int) -> int:
    return 0x10000000 | (offset & 3) << 29 | (offset >> 2) << 5 | register
