"""Waiting for what another thread makes, so that a Ctrl-C ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")

LOOK = 0.5  # seconds; a signal that comes while Python is about to wait does not end the waiting, so it looks up


def outcome(future: Future[T]) -> T:
    """The result of a future, or what it raised."""
    from concurrent.futures import wait

    while not wait((future,), timeout=LOOK).done:
        pass
    return future.result()
