"""Names of Linux signals that STOPSIGNAL takes (moby/sys/signal)."""

from __future__ import annotations

_NAMES = (
    " ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP "
    "TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX "
)
_LONGEST = 10  # digits of a number


def is_signal(text: str) -> bool:
    """SIGTERM, term, 15, SIGRTMIN+3; of numbers, which kernels have not all the same of, only 0 is none."""
    if text.isascii() and text.isdigit():
        return int(text[:_LONGEST]) != 0 and len(text) < _LONGEST
    name = text.upper().removeprefix("SIG")
    for base, sign, most in (("RTMIN", "+", 15), ("RTMAX", "-", 14)):
        offset = name.removeprefix(base + sign)
        if offset != name:
            return offset.isascii() and offset.isdigit() and str(int(offset)) == offset and 1 <= int(offset) <= most
    return f" {name} " in _NAMES and " " not in name
