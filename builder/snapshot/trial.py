"""Run as a program by `builder.snapshot.probe`: mounts an overlay in argv[1] with argv[2] in front of its options.

It ends with status 0 only if the mount worked, a deletion left a whiteout and a folder became opaque. Only the
standard library is used; the mount is in this process's own namespace and dies with it.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys

_CLONE_NEWNS = 0x00020000  # unshare(2)
_MS_REC_PRIVATE = 0x4000 | (1 << 18)  # mount(2)


def main(place: str, option: str) -> int:
    """0 where an overlay mounted below the empty folder `place` hides files and folders as layers need it, else 1."""
    libc = ctypes.CDLL(None, use_errno=True)
    os.chdir(place)
    for name in ("lower", "upper", "work", "merged", "lower/folder"):
        os.mkdir(name)
    with open("lower/file", "w") as file:
        file.write("x")
    if libc.unshare(_CLONE_NEWNS) or libc.mount(None, b"/", None, _MS_REC_PRIVATE, None):
        return 1
    # userxattr rules redirect_dir and metacopy out by itself, and does not take their "off".
    option = option or "index=off,metacopy=off,redirect_dir=off,"
    options = f"{option}lowerdir=lower,upperdir=upper,workdir=work"
    if libc.mount(b"overlay", b"merged", b"overlay", 0, options.encode()):
        return 1
    os.unlink("merged/file")
    os.rmdir("merged/folder")
    os.mkdir("merged/folder")
    mark = "user.overlay.opaque" if "userxattr" in option else "trusted.overlay.opaque"
    st = os.lstat("upper/file")
    whiteout = stat.S_ISCHR(st.st_mode) and st.st_rdev == 0
    return 0 if whiteout and os.getxattr("upper/folder", mark) == b"y" else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
