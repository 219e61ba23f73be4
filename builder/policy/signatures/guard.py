"""guarded: what a library says of hostile input, as one of our errors, whatever it raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from builder.errors import SignatureFault
from cache.errors import Fault

T = TypeVar("T")


def guarded(call: Callable[[], T], what: str, fault: type[SignatureFault] = SignatureFault) -> T:
    """What a call of a library gives. Its exceptions, and a panic of its Rust code, become a fault; ours pass."""
    try:
        return call()
    except Fault:
        raise
    except Exception as error:
        raise fault(f"{what}: {first_line(error)}") from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # pyo3's, which no module exports
            raise
        raise fault(f"{what}: {first_line(error)}") from None


def first_line(error: BaseException) -> str:
    """The first line of an error, without a backtrace and control characters."""
    first = next(iter(str(error).splitlines()), type(error).__name__)
    return "".join(ch if ch.isprintable() else "?" for ch in first[:300])
