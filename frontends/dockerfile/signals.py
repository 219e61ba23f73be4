"""Names of Linux signals that STOPSIGNAL takes (moby/sys/signal)."""

from __future__ import annotations

import re

_NAMES = (
    " ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP "
    "TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX "
)
_NUMBER = re.compile(r"[+-]?0*([0-9]{1,19})\Z")
_MOST = 2**63  # of Go's int


def is_signal(text: str) -> bool:
    """SIGTERM, term, 15, SIGRTMIN+3; of numbers, which kernels have not all the same of, only 0 is none."""
    number = _NUMBER.match(text)
    if number is not None:
        return 0 < int(number[1]) < _MOST + text.startswith("-")
    name = text.upper().removeprefix("SIG")
    for base, sign, most in (("RTMIN", "+", 15), ("RTMAX", "-", 14)):
        offset = name.removeprefix(base + sign)
        if offset != name:
            return offset.isascii() and offset.isdigit() and str(int(offset)) == offset and 1 <= int(offset) <= most
    return f" {name} " in _NAMES and " " not in name
