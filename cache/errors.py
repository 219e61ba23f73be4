"""The root of every error that lapstrake raises on purpose.

    Fault                     what failed, and what to do about it
    ├── CacheFault            the store: damage, a wrong digest, a newer version
    │   ├── DigestMismatch    bytes are not what their name says
    │   │   └── DamagedBlob   and they are a blob of the store
    │   └── StoreTooNew       the store was made by a newer lapstrake
    ├── builder.errors.BuildFault     (see there)
    └── frontends.errors.FrontendFault (see there)

`builder.cli.main` shows a Fault, and an OSError that nobody named; anything else is a bug and is reported as one.
"""

from __future__ import annotations


class Fault(Exception):
    """An error for the person who typed the command.

    message: one line, what failed and where. hint: one line, what to do, or "".
    exit_code: the process's exit status if nobody catches it (see docs/exit-codes.md).
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class CacheFault(Fault):
    """Something is wrong with the store."""


class DigestMismatch(CacheFault):
    """Bytes that do not hash to the digest, or do not have the size, that names them."""


class DamagedBlob(DigestMismatch):
    """A blob of the store does not hold what its name says. name: its digest, in hexadecimal."""

    def __init__(self, message: str, name: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.name = name


class StoreTooNew(CacheFault):
    """The store's schema version is above the one that this program knows."""
