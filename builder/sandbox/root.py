"""The file system that a sandbox's root is. Standard library only: init.py imports it."""

from __future__ import annotations

import os
from typing import Any

from builder.sandbox import linux


def mount_root(root: dict[str, Any], *, devices: bool = False) -> str:
    """Mount the spec's root and return its absolute path; the working directory is the spec's base folder.

    devices: whether nodes in it open what they are nodes of.
    """
    if root["type"] == "plain":
        linux.mount(root["path"], root["path"], flags=linux.MS_BIND)
        if not devices:
            linux.restrict(root["path"], linux.MOUNT_ATTR_NODEV)
        return str(root["path"])
    os.chdir(root["base"])
    target = f"{root['base']}/{root['upper']}"
    # Each of these features would leave marks in the upper folder that no image format has (overlayfs.rst).
    options = ["index=off", "metacopy=off", "redirect_dir=off"] + (["userxattr"] if root["userxattr"] else [])
    if root["userxattr"]:
        options.remove("redirect_dir=off")  # userxattr turns it off itself, and old kernels refuse both together
        options.remove("metacopy=off")
    options.append(f"lowerdir={':'.join(root['lowers'])},upperdir={root['upper']},workdir={root['work']}")
    linux.mount("overlay", root["upper"], "overlay", 0 if devices else linux.MS_NODEV, ",".join(options))
    return target
