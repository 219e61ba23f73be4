"""RegoPolicies: all policies of a build, which must all allow a source."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import msgspec

from builder.errors import PolicyFault
from builder.graph.operation import GitSource, RemoteSource
from builder.oci.platform import Platform
from builder.oci.reference import Reference
from builder.policy.facts import ImageLook, RemoteLook
from builder.policy.log import INFO, Log
from builder.policy.regopolicy import Decision, RegoPolicy
from builder.policy.signatures.trustroot import TrustRoot
from builder.policy.subjects import GitSubject, HttpSubject, ImageSubject, LocalSubject, Subject

_MOST_KEPT = 4096


class RegoPolicies:
    """Safe for many threads. Each source is asked about once a build.

    policies: each with what its log is told. talking: around all that is said of one source.
    """

    def __init__(
        self,
        policies: Sequence[tuple[RegoPolicy, Log]],
        talking: Callable[[], AbstractContextManager[object]] = nullcontext,
        trust: Callable[[], TrustRoot] = TrustRoot,
        cancel: Callable[[], None] = lambda: None,
    ) -> None:
        """trust: whom signatures of Sigstore are checked by. cancel: ends the evaluation that is under way."""
        self._trust, self.cancel = trust, cancel
        self._policies, self._talking = policies, talking
        self._lock = threading.RLock()
        self._decided: dict[object, Decision] = {}

    def image(self, name: str, platform: Platform, look: ImageLook) -> str:
        """The name itself, or the same one pinned. Raises PolicyFault, SourceFault."""
        reference = Reference.parse(name)
        subject = ImageSubject(reference, platform, lambda: look(name), self._trust, self._tell)
        pins = self._decide((str(reference), str(platform)), subject).pins
        return str(msgspec.structs.replace(reference, digest=next(iter(pins)))) if pins else name

    def remote(self, source: RemoteSource, look: RemoteLook, identifier: str) -> None:
        """identifier: of a repository, in BuildKit's words. Raises PolicyFault, SourceFault, TransportFault."""
        subject: Subject = (
            GitSubject(source, identifier, look) if isinstance(source, GitSource) else HttpSubject(source, look)
        )
        self._decide(source, subject)

    def local(self, name: str) -> None:
        """Raises PolicyFault."""
        self._decide(name, LocalSubject(name))

    def _tell(self, level: int, text: str) -> None:
        for _, log in self._policies[:1]:
            log(level, text)

    def _decide(self, key: object, subject: Subject) -> Decision:
        with self._lock:
            known = self._decided.get(key)
            if known is None:
                with self._talking():
                    known = self._ask(subject)
                if len(self._decided) >= _MOST_KEPT:  # a step behind a proxy may ask for any number of URLs
                    self._decided.clear()
                self._decided[key] = known
            return known

    def _ask(self, subject: Subject) -> Decision:
        """The first that forbids it, or changes it, ends that."""
        for policy, log in self._policies:
            decision = policy.decide(subject)
            if decision.pins:
                pin = next(iter(decision.pins))
                log(INFO, f"policy decision for source {subject.shown}: convert to {subject.identifier}@{pin}")
                return decision
            log(INFO, f"policy decision for source {subject.shown}: {'ALLOW' if decision.allow else 'DENY'}")
            for message in decision.messages:
                log(INFO, f" - {message}")
            if not decision.allow:
                problem = f'source "{subject.identifier}" not allowed by policy: action DENY'
                raise PolicyFault(problem, messages=decision.messages)
        return Decision(allow=True)
