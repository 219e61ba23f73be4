"""resolv.conf(5) of this machine, for the steps and containers that share its network."""

from __future__ import annotations


def resolv_conf() -> str:
    """The text, "" where there is none."""
    try:
        with open("/etc/resolv.conf", encoding="utf-8", errors="surrogateescape") as file:
            return file.read(1 << 16)
    except OSError:
        return ""
