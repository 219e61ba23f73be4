"""Overlay mounts made by a short-lived child in its own mount namespace, so that a test leaves none behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.sandbox.spec import OverlayRoot, PlainRoot

_SCRIPT = """
import ctypes, os, sys
base, lowers, upper, work, extra, script = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
os.chdir(base)
assert not libc.unshare(0x20000) and not libc.mount(None, b"/", None, 0x44000, None)
os.makedirs(".mnt", exist_ok=True)
options = f"{extra}lowerdir={lowers}" + (f",upperdir={upper},workdir={work}" if upper else "")
options += ",index=off,metacopy=off,redirect_dir=off"
assert not libc.mount(b"overlay", b".mnt", b"overlay", 0, options.encode()), ctypes.get_errno()
os.chdir(".mnt")
exec(script)
"""


def run_in(root: OverlayRoot | PlainRoot, script: str) -> str:
    """Run Python text with the mounted root as its working folder; what it prints."""
    if isinstance(root, PlainRoot):
        command = [sys.executable, "-I", "-c", f"import os; os.chdir({root.path!r})\n{script}"]
    else:
        extra = "userxattr," if root.userxattr else ""
        places = [root.base, ":".join(root.lowers), root.upper, root.work, extra]
        command = [sys.executable, "-I", "-c", _SCRIPT, *places, script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def inside() -> Callable[[OverlayRoot | PlainRoot, str], str]:
    return run_in


@pytest.fixture
def store_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting an overlay needs root")
