"""The second build of --verify: a program of its own, so that nothing of the first one's process is in it.

Its order comes pickled on the standard input, from the process that started it. On the standard output goes the
descriptor of what was built.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
from contextlib import suppress

import msgspec

from builder.cli.definition import Definition
from builder.cli.delivery import Delivery
from builder.cli.remotes import opened_remotes
from builder.cli.reporter import Reporter
from builder.cli.request import BuildRequest
from builder.cli.session import Session
from builder.cli.sharing import opened_sharing
from builder.export.options import OutputSpec
from builder.progress.plain import PlainRenderer
from builder.sandbox import linux
from cache import record
from cache.errors import Fault
from cache.store import Store

_HOST = "elsewhere"


class Order(msgspec.Struct, frozen=True):
    """What to build. root: the store's folder. outputs: kinds of images only, kept in that store."""

    root: str
    request: BuildRequest
    definition: Definition
    outputs: tuple[OutputSpec, ...]


def surroundings(environment: dict[str, str]) -> dict[str, str]:
    """An environment that differs in all that must not matter."""
    plain = environment.get("LC_ALL") in ("C", "POSIX")
    locale = "C.UTF-8" if plain else "C"
    zone = "XYZ-12:45" if environment.get("TZ") != "XYZ-12:45" else "UTC"
    others = {"LC_ALL": locale, "LANG": locale, "LANGUAGE": "", "TZ": zone, "PYTHONHASHSEED": str(len(environment))}
    return {**environment, **others}


def main() -> None:
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    order: Order = pickle.load(sys.stdin.buffer)  # noqa: S301, our own parent wrote it
    _settle_elsewhere()
    store = Store(order.root)
    try:
        report = Reporter(PlainRenderer(sys.stderr).event)
        with (
            store.using(),
            opened_remotes(order.request, store) as remotes,
            opened_sharing(order.request, store, report) as sharing,
        ):
            kept = [Delivery(spec, store) for spec in order.outputs]
            with Session(order.request, order.definition, store, remotes, kept, sharing, report, at_once=1) as session:
                image = session.run()
    except Fault as error:
        sys.exit(f"ERROR: {error.message}")
    finally:
        store.close()
    sys.stdout.buffer.write(record.encode(image.descriptor))


def _settle_elsewhere() -> None:
    """What an environment does not say: another umask, folder and host name, and one processor."""
    os.umask(0o077 if os.umask(0) != 0o077 else 0o002)
    os.chdir("/")
    with suppress(OSError):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with suppress(OSError):
        linux.unshare(linux.CLONE_NEWUTS)
        socket.sethostname(_HOST)


if __name__ == "__main__":
    main()
