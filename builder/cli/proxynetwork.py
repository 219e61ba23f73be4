"""--proxy-network: the proxy of one build, the policy that it asks, and what its steps asked it for."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from builder.errors import SourceFault
from builder.graph.graph import BuildGraph
from builder.graph.operation import GitSource, HttpSource
from builder.source.remotes import Remotes
from builder.transport.proxies import Proxies
from cache.digest import Digest

if TYPE_CHECKING:
    from builder.policy.facts import GitFacts
    from builder.proxy.recordingproxy import RecordingProxy
    from builder.proxy.requests import Request


class _NothingFetched:
    """What a policy may look at of a request that is not made yet: fetching here would be a way round the proxy."""

    def checksum(self, source: HttpSource) -> str:
        return "unknown"  # no field is left out, and no digest equals it: `!=` forbids as well as `==`

    def content(self, source: HttpSource) -> str:
        raise SourceFault("the file is not there before the policy decides")

    def facts(self, source: GitSource, objects: bool) -> GitFacts:
        raise SourceFault("a RUN step requests no repository")


class ProxyNetwork:
    """environment: the user's, for the proxies that ours is to use. hosts: name and address of --add-host."""

    def __init__(self, remotes: Remotes, environment: Mapping[str, str], hosts: tuple[tuple[str, str], ...]) -> None:
        self._remotes, self._environment, self._hosts = remotes, environment, hosts
        self._lock = threading.Lock()
        self._recorder: RecordingProxy | None = None
        self._asked: list[tuple[Digest, tuple[Request, ...]]] = []

    def recorder(self) -> RecordingProxy:
        """Of the whole build; made, with its keys, for the first step that needs it."""
        from builder.proxy.recordingproxy import RecordingProxy

        with self._lock:
            if self._recorder is None:
                self._recorder = RecordingProxy(self._judge, Proxies.of(self._environment), dict(self._hosts))
            return self._recorder

    def asked(self, step: Digest, requests: tuple[Request, ...]) -> None:
        """Note what a step asked for."""
        with self._lock:
            self._asked.append((step, requests))

    def facts(self, graph: BuildGraph) -> list[dict[str, Any]]:
        """For --metadata-file: of each step that ran, in the order of their ends."""
        with self._lock:
            asked = list(self._asked)
        return [
            {"step": graph.info[step].name if step in graph.info else "", "requests": msgspec.to_builtins(requests)}
            for step, requests in asked
        ]

    def _judge(self, method: str, url: str) -> str:
        """The URL that is asked for instead, as the source policy has it. Raises SourceFault."""
        rules = self._remotes.rules
        used = rules.remote(HttpSource(url=url, name=""), _NothingFetched()) if rules is not None else None
        if used is None:
            return url
        if not isinstance(used, HttpSource):
            raise SourceFault(f'source policy converts "{url}" to a source of another kind')
        if used.checksum:
            raise SourceFault(
                f'source policy converts "{url}" by more than its URL, which a RUN step\'s request cannot have'
            )
        if used.url != url and method != "GET":
            raise SourceFault(f'source policy converts "{url}", which only a GET can have')
        return used.url
