"""Podman without a service: `podman load`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from builder.errors import OutputFault
from builder.export.target import Sink, Whole

_SAID = 1 << 20  # bytes of its words that are read


class Podman:
    """`podman load`, which reads its standard input. It is started at once: later this process may be in a user
    namespace, where podman would be somebody else.
    """

    name = "podman"
    indexes = False

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["podman", "load", "--quiet"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    @contextmanager
    def open(self, size: int) -> Iterator[Sink]:
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        try:
            with suppress(BrokenPipeError):
                yield Whole(process.stdin.fileno())
        except BaseException:
            process.kill()
            raise
        finally:
            process.stdin.close()
            said = process.stdout.read(_SAID).decode(errors="replace")
            process.wait()
        if process.returncode:
            raise OutputFault(f"podman load failed: {_line(said)}")


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))[:500]
