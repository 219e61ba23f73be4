"""This machine's own curl, git, apt and Python as a build context: programs with what they load, nothing installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

PYTHON = "/usr/bin/python3"
_PROGRAMS = (
    "/usr/bin/curl", "/usr/bin/git", "/usr/lib/git-core/git", "/usr/lib/git-core/git-remote-https", "/usr/bin/openssl",
    "/usr/sbin/update-ca-certificates", "/usr/bin/apt-get", "/usr/bin/dpkg", "/usr/lib/apt/methods/http",
    "/usr/lib/apt/methods/https", "/usr/lib/apt/methods/store", PYTHON,
)  # fmt: skip
_DATA = ("/usr/share/dpkg/cputable", "/usr/share/dpkg/tupletable")
_MODULES = (
    "import sys, ssl, urllib.request, encodings.idna;"
    " print(*(getattr(m, '__file__', None) or '' for m in sys.modules.values()))"
)


def gathered(folder: Path) -> None:
    """Copies them beneath a folder, at their places; skips the test where one is missing."""
    missing = [path for path in _PROGRAMS if not os.access(path, os.X_OK)]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    for path in _files():
        parent, name = os.path.split(path)
        place = folder / os.path.realpath(parent).lstrip("/") / name
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
            place.chmod(0o755)
    for link in ("/lib", "/lib64", "/usr/lib/ssl/certs"):
        if os.path.islink(link):
            place = folder / link[1:]
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(os.readlink(link))


def _files() -> Iterator[str]:
    command = [PYTHON, "-I", "-c", _MODULES]
    modules = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    yield from (*modules, *_DATA)
    for path in (*_PROGRAMS, *(name for name in modules if name.endswith(".so"))):
        yield path
        told = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        yield from re.findall(r"(?:^|\s)(/[^\s(]+) \(0x", told)
