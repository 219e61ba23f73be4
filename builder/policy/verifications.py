"""Verifications: answers to a policy's questions about signatures of the source (buildx's policy/funcs.go).

The first argument of each function must be what the input shows: it is that which is verified, as it will be used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from builder.errors import MissingLibrary, NotVerified, SignatureFault
from builder.graph.operation import HttpSource
from builder.policy.log import INFO, Log
from builder.policy.subjects import GitSubject, HttpSubject, Subject
from cache.digest import Digest
from cache.errors import Fault

if TYPE_CHECKING:
    from builder.policy.signatures.attestationsignature import AttestationSignature
    from builder.policy.signatures.trustroot import TrustRoot

BUNDLE_LIMIT = 8 << 20  # bytes
_GIT_KEY_LIMIT = 128 << 10
_HTTP_KEY_LIMIT = 512 << 10

Read = Callable[[Any, int], bytes]
"""A file that a policy names, of so many bytes at most. Raises Failed."""


UNDEFINED: list[Any] = []
"""No answer: what stands on the call is undefined, and `not` of it true."""


class Failed(Exception):
    """A call that fails: in the policy it is undefined."""


class Verifications:
    """Of one evaluation. given: the input of the policy, as plain values. subject: None where there is no source.

    Each gives one value, or UNDEFINED. They raise Failed, and MissingLibrary.
    """

    def __init__(
        self, given: dict[str, Any], subject: Subject | None, read: Read, trust: Callable[[], TrustRoot], log: Log
    ) -> None:
        self._given, self._subject, self._read, self._trust, self._log = given, subject, read, trust, log

    def git_signature(self, given: Any, path: Any) -> list[Any]:
        """verify_git_signature: whether a key of the file signed the commit or the tag of the input."""
        git = self._given.get("git")
        if git is None:
            return [False]
        if not isinstance(self._subject, GitSubject) or git.get("commit") is None:
            raise Failed("the commit is not known here")
        from builder.policy.signatures.gitobject import GitObject
        from builder.policy.signatures.gitsignature import verify_git_signature

        facts = self._subject.facts()
        if facts.commit != git.get("commitChecksum"):
            raise Failed("the commit is another one by now")
        if given == git["commit"]:
            raw, name = facts.commit_object, facts.commit
        elif git.get("tag") is not None and given == git["tag"]:
            raw, name = facts.tag_object, facts.checksum
        else:
            raise Failed("object is neither commit nor tag")
        key = self._read(path, _GIT_KEY_LIMIT)
        try:
            found = GitObject.parse(raw)
            found.check(name)
            verify_git_signature(found, key)
        except MissingLibrary:
            raise
        except SignatureFault as error:
            raise Failed(f"verification fails: {error.message}") from None
        return [True]

    def http_pgp_signature(self, given: Any, signature: Any, keys: Any) -> list[Any]:
        """verify_http_pgp_signature: whether one of the keys made a detached signature over the file."""
        if self._given.get("http") is None:
            return [False]
        source = self._http(given)
        from builder.policy.signatures.openpgp import certificates, signatures, verify_http_pgp_signature

        made, known = self._read(signature, _HTTP_KEY_LIMIT), self._read(keys, _HTTP_KEY_LIMIT)
        try:
            signatures(made)
            certificates(known)
            verify_http_pgp_signature(self._content(source), made, known)
        except MissingLibrary:
            raise
        except NotVerified as error:
            self._log(INFO, f"verify_http_pgp_signature: {error.message}")
            return [False]
        except SignatureFault as error:
            raise Failed(error.message) from None
        return [True]

    def artifact_attestation(self, given: Any, path: Any) -> list[Any]:
        """Who attested how the file of the input was built, by a Sigstore bundle."""
        if self._given.get("http") is None:
            return UNDEFINED
        self._http(given)
        digest = self._checksum(given)
        bundle = self._read(path, BUNDLE_LIMIT)
        return self._first(digest, (bundle,), "artifact_attestation")

    def github_attestation(self, given: Any, repository: Any) -> list[Any]:
        """The same by what GitHub has of the file. repository: OWNER/NAME."""
        if self._given.get("http") is None:
            return UNDEFINED
        self._http(given)
        if not isinstance(repository, str):
            raise Failed("expected repository name string")
        digest = self._checksum(given)
        try:
            bundles = self._of_github(repository, digest)
        except MissingLibrary:
            raise
        except Fault as error:
            raise Failed(f"failed reading bundles for {repository}@{digest}: {error.message}") from None
        if not bundles:
            raise Failed(f"no bundle found for {repository}@{digest}")
        return self._first(digest, tuple(bundles), "github_attestation")

    def _of_github(self, repository: str, digest: Digest) -> list[bytes]:
        from builder.policy.signatures.artifact import github_answer, github_bundle, github_url

        answer = github_answer(self._fetched(github_url(repository, digest), "attestation.json"))
        found = list(answer.bundles)
        for url in answer.urls:
            try:
                found.append(github_bundle(url, self._fetched(url, "bundle.json")))
            except MissingLibrary:
                raise
            except Fault as error:
                self._log(INFO, f"github_attestation: failed fetching bundle_url: {error.message}")
        return found

    def _fetched(self, url: str, name: str) -> bytes:
        with open(self._content(HttpSource(url=url, name=name)), "rb") as file:
            raw = file.read(BUNDLE_LIMIT + 1)
        if len(raw) > BUNDLE_LIMIT:
            raise SignatureFault(f"{name} of GitHub is too large: more than {BUNDLE_LIMIT} bytes")
        return raw

    def _first(self, digest: Digest, bundles: tuple[bytes, ...], function: str) -> list[Any]:
        from builder.policy.signatures.artifact import first_attestation

        def tell(reason: str) -> None:
            self._log(INFO, f"{function}: failed verifying bundle for {digest}: {reason}")

        found: AttestationSignature | None = first_attestation(self._trust(), digest, bundles, tell)
        return UNDEFINED if found is None else [found.plain()]

    def _http(self, given: Any) -> HttpSource:
        if given != self._given.get("http"):
            raise Failed("first argument is not the same as input http")
        if not isinstance(self._subject, HttpSubject):
            raise Failed("the file is not known here")
        return self._subject.source

    def _content(self, source: HttpSource) -> str:
        assert isinstance(self._subject, HttpSubject)
        return self._subject.look.content(source)

    def _checksum(self, given: Any) -> Digest:
        try:
            return Digest.parse(given.get("checksum", ""))
        except Fault:
            raise Failed("the checksum of the file is not known here") from None
