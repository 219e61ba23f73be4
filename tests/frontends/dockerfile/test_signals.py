from __future__ import annotations

import pytest

from frontends.dockerfile.signals import is_signal

# What moby/sys/signal's ParseSignal takes.
TAKEN = [
    "SIGTERM", "TERM", "term", "sigterm", "SigTerm", "15", "015", "1", "65", "100", "-1", "+1", "2147483648",
    "9223372036854775807", "-9223372036854775808", "0" * 30 + "1", "SIGRTMIN", "RTMIN", "SIGRTMIN+3", "RTMIN+15",
    "RTMAX", "RTMAX-1", "rtmax-14", "SIGCLD", "SIGIO", "SIGPOLL", "SIGSTKFLT", "SIGPWR", "KILL", "STOP",
]  # fmt: skip
REFUSED = [
    "", "0", "00", "+0", "-0", " 15", "15 ", "1.5", "9223372036854775808", "9" * 5000, "RTMIN+0", "RTMIN+01",
    "RTMIN-1", "RTMIN+16", "RTMAX-15", "SIGSIGTERM", "SIG", "FOO", "SIGUNUSED", "SIGEMT", "0x0f", "1_0", "\u0661",
    "SIGTERM ", "ABRT IOT",
]  # fmt: skip


@pytest.mark.parametrize("text", TAKEN)
def test_taken(text: str) -> None:
    assert is_signal(text)


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str) -> None:
    assert not is_signal(text)
