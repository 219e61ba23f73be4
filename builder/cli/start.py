"""The process of the command line: what comes before the first import, and after the last word."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress

# Starting makes some 60,000 objects that live to the end. The usual threshold of 700 would look through them a hundred
# times, which is a tenth of a cached build.
_THRESHOLD = 200_000
_CANCELED = 130


def start() -> None:
    """Run the command line and end the process, without taking it apart first: the kernel is quicker at that."""
    gc.set_threshold(_THRESHOLD)
    try:
        _open_standard_streams()
        _import_msgspec()
        from builder.cli.main import main

        main()
    except KeyboardInterrupt:  # before main() could answer it, or while it did
        os._exit(_CANCELED)
    except SystemExit as end:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # whoever read it went away: main() has dealt with that
                stream.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)


def _import_msgspec() -> None:
    """It takes typing_extensions where that is installed, for what typing has; to load it is 2 % of a cached build."""
    name = "typing_extensions"
    before = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        import msgspec  # noqa: F401
    finally:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before


def _open_standard_streams() -> None:
    """/dev/null for those that are closed: a file of the store would get the number, and what is printed with it."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            fd = os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
            os.set_inheritable(fd, True)
            setattr(sys, name, open(fd, mode, encoding="utf-8"))  # noqa: SIM115


if __name__ == "__main__":
    start()
