"""Whom policies believe about signatures of Sigstore."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.policy.signatures.trustroot import TrustRoot


def trust_of(environment: Mapping[str, str]) -> Callable[[], TrustRoot]:
    """The trust root of $LAPSTRAKE_SIGSTORE_ROOT, or the one that comes with sigstore; read when it is asked for."""

    @cache
    def trust() -> TrustRoot:
        from builder.policy.signatures.trustroot import TrustRoot

        return TrustRoot(environment.get("LAPSTRAKE_SIGSTORE_ROOT", ""))

    return trust
