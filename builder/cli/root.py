"""Where lapstrake keeps everything, if nobody says."""

from __future__ import annotations

from collections.abc import Mapping

from cache.errors import CacheFault


def store_root(option: str | None, env: Mapping[str, str], euid: int) -> str:
    """--root, else $LAPSTRAKE_ROOT, else /var/lib/lapstrake for root and the XDG data folder for others.

    XDG Base Directory Specification: a relative $XDG_DATA_HOME is to be ignored. Raises CacheFault where there is no
    home folder either.
    """
    if option:
        return option
    if env.get("LAPSTRAKE_ROOT"):
        return env["LAPSTRAKE_ROOT"]
    if euid == 0:
        return "/var/lib/lapstrake"
    data = env.get("XDG_DATA_HOME", "")
    if data.startswith("/"):
        return f"{data}/lapstrake"
    home = env.get("HOME", "")
    if not home.startswith("/"):
        raise CacheFault("there is no home folder to keep the store in", "give one with --root or LAPSTRAKE_ROOT")
    return f"{home}/.local/share/lapstrake"
