"""What a build may ask of other machines: git and HTTP, with the user's environment, secrets and agents."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from builder.cli.bounds import byte_limit, unpack_limits
from builder.cli.request import BuildRequest
from builder.cli.secret import reader
from builder.cli.ssh import SshAgents
from builder.errors import SourceFault
from builder.oci.config import DEFAULT_EPOCH
from builder.source.remotes import DOWNLOAD_LIMIT, Remotes
from cache.store import Store

if TYPE_CHECKING:
    from builder.source.gitsources import GitSources
    from builder.source.http import Downloads, Pause
    from builder.source.sourcerules import SourceRules
    from builder.transport.transport import Transport

_HINT = "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY names it: set it right, or unset it"
_POLICY_LIMIT = 16 << 20  # bytes


@contextmanager
def opened_remotes(request: BuildRequest, store: Store) -> Iterator[Remotes]:
    """As long as the block lasts; nothing is asked and nothing started before it is needed."""
    secrets = reader(request.secrets, os.environ)
    agents = SshAgents(request.ssh)
    given = byte_limit(os.environ, "LAPSTRAKE_DOWNLOAD_LIMIT")
    unpack = unpack_limits(os.environ)
    limit = DOWNLOAD_LIMIT if given is None else given

    def git() -> GitSources:
        from builder.source.gitsources import GitSources

        return GitSources(store, os.environ, secrets, agents.socket, DEFAULT_EPOCH, limit)

    def downloads() -> Downloads:
        from builder.source.http import Downloads

        return Downloads(store, _transport, secrets, DEFAULT_EPOCH, limit, unpack)

    remotes = Remotes(git, downloads, _rules())
    try:
        yield remotes
    finally:
        remotes.close()
        agents.close()


def _rules() -> SourceRules | None:
    """What $EXPERIMENTAL_BUILDKIT_SOURCE_POLICY, a file, says of sources."""
    path = os.environ.get("EXPERIMENTAL_BUILDKIT_SOURCE_POLICY", "")
    if not path:
        return None
    from builder.source.policy import SourcePolicy
    from builder.source.sourcerules import SourceRules

    try:
        with open(path, "rb") as file:
            raw = file.read(_POLICY_LIMIT + 1)
    except OSError as error:
        raise SourceFault(f"failed to read policy file {path}: {error.strerror}", _HINT) from error
    if len(raw) > _POLICY_LIMIT:
        raise SourceFault(f"failed to read policy file {path}: it has more than {_POLICY_LIMIT} bytes", _HINT)
    return SourceRules(SourcePolicy.parse(raw, path))


def _transport(pause: Pause) -> Transport:
    from importlib.metadata import version

    from builder.transport.proxies import Proxies
    from builder.transport.transport import Transport

    return Transport(
        agent=f"lapstrake/{version('lapstrake')}", sleep=pause, now=time.time, proxies=Proxies.of(os.environ)
    )
