"""Names of Linux signals that STOPSIGNAL takes (moby/sys/signal)."""

from __future__ import annotations

_NAMES = (
    " ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP "
    "TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX "
)
_HIGHEST = 64


def is_signal(text: str) -> bool:
    """SIGTERM, term, 15, SIGRTMIN+3."""
    if text.isascii() and text.isdigit():
        return 0 < int(text[:4]) <= _HIGHEST and len(text) < 4
    name = text.upper().removeprefix("SIG")
    for base, sign, most in (("RTMIN", "+", 15), ("RTMAX", "-", 14)):
        offset = name.removeprefix(base + sign)
        if offset != name:
            return offset.isascii() and offset.isdigit() and str(int(offset)) == offset and 1 <= int(offset) <= most
    return f" {name} " in _NAMES and " " not in name
