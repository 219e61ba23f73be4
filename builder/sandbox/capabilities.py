"""Docker's default capability set (capabilities(7)). Standard library only: init.py imports it."""

from __future__ import annotations

_NUMBERS = {
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "FOWNER": 3,
    "FSETID": 4,
    "KILL": 5,
    "SETGID": 6,
    "SETUID": 7,
    "SETPCAP": 8,
    "NET_BIND_SERVICE": 10,
    "NET_RAW": 13,
    "SYS_CHROOT": 18,
    "MKNOD": 27,
    "AUDIT_WRITE": 29,
    "SETFCAP": 31,
}
DEFAULT = sum(1 << number for number in _NUMBERS.values())
COUNT = 64  # numbers to try to drop; the kernel refuses those it does not have
