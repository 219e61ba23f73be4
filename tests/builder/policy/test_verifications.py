from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cramjam
import msgspec
import pytest

from builder.errors import MissingLibrary, SourceFault
from builder.graph.operation import GitSource, HttpSource
from builder.policy.facts import GitFacts
from builder.policy.needs import OBJECTS
from builder.policy.signatures.trustroot import TrustRoot
from builder.policy.subjects import GitSubject, HttpSubject
from builder.policy.verifications import UNDEFINED, Failed, Verifications
from cache.digest import Digest
from tests.builder.policy.signatures.test_artifact import statement, trusting
from tests.builder.policy.signatures.test_gitobject import COMMIT
from tests.sigstorepeer import Sigstore

URL = "https://x.test/file"
API = f"https://api.github.com/repos/o/r/attestations/{Digest.of(b'x')}?predicate_type=https%3A%2F%2Fslsa.dev%2Fprovenance%2Fv1"
HTTP = {"url": URL, "checksum": str(Digest.of(b"x"))}


class Elsewhere:
    """Files of URLs, and one commit."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.pages: dict[str, bytes] = {}
        self.git = GitFacts("refs/heads/main", "0" * 40, "0" * 40)

    def checksum(self, source: HttpSource) -> str:
        return str(Digest.of(self.pages[source.url]))

    def content(self, source: HttpSource) -> str:
        if source.url not in self.pages:
            raise SourceFault(f"invalid response status 404 of {source.url}")
        path = self._folder / Digest.of(source.url.encode()).hex
        path.write_bytes(self.pages[source.url])
        return str(path)

    def facts(self, source: GitSource, objects: bool) -> GitFacts:
        return self.git


class Asked:
    def __init__(self, folder: Path, trust: Callable[[], TrustRoot]) -> None:
        self.elsewhere = Elsewhere(folder)
        self.files: dict[str, bytes] = {}
        self.told: list[str] = []
        self._trust = trust

    def http(self, given: dict[str, Any] | None = None) -> Verifications:
        subject = HttpSubject(HttpSource(url=URL, name="file"), self.elsewhere)
        return Verifications({"http": HTTP} if given is None else given, subject, self.read, self._trust, self.tell)

    def read(self, name: Any, limit: int) -> bytes:
        if name not in self.files:
            raise Failed(f'failed opening file "{name}"')
        return self.files[name][:limit]

    def tell(self, level: int, text: str) -> None:
        self.told.append(text)


@pytest.fixture(scope="module")
def sigstore() -> Sigstore:
    return Sigstore()


@pytest.fixture
def asked(sigstore: Sigstore, tmp_path: Path) -> Asked:
    trust = trusting(sigstore, tmp_path)
    return Asked(tmp_path, lambda: trust)


def test_what_github_has(asked: Asked, sigstore: Sigstore) -> None:
    bundle = sigstore.bundle(sigstore.leaf(), statement())
    asked.elsewhere.pages[API] = json.dumps({"attestations": [{"bundle": bundle}]}).encode()
    (found,) = asked.http().github_attestation(HTTP, "o/r")
    assert found["kind"] == "self-signed-github-repo"


def test_what_github_has_elsewhere(asked: Asked, sigstore: Sigstore) -> None:
    bundle = json.dumps(sigstore.bundle(sigstore.leaf(), statement())).encode()
    urls = ["https://blobs.test/none.json", "https://blobs.test/a.json.sn?sig=1"]
    asked.elsewhere.pages[API] = json.dumps({"attestations": [{"bundle_url": url} for url in urls]}).encode()
    asked.elsewhere.pages[urls[1]] = bytes(cramjam.snappy.compress_raw(bundle))
    (found,) = asked.http().github_attestation(HTTP, "o/r")
    assert found["type"] == "bundle-v0.3"
    assert asked.told == ["github_attestation: failed fetching bundle_url: invalid response status 404 of " + urls[0]]


def test_what_github_has_not(asked: Asked, sigstore: Sigstore) -> None:
    with pytest.raises(Failed, match=r"failed reading bundles for o/r@sha256:.*: invalid response status 404"):
        asked.http().github_attestation(HTTP, "o/r")
    asked.elsewhere.pages[API] = b'{"attestations": []}'
    with pytest.raises(Failed, match="no bundle found for o/r@sha256:"):
        asked.http().github_attestation(HTTP, "o/r")
    with pytest.raises(Failed, match="invalid GitHub repository"):
        asked.http().github_attestation(HTTP, "o/r/../x")
    asked.elsewhere.pages[API] = json.dumps({"attestations": [{"bundle": {}}]}).encode()
    assert asked.http().github_attestation(HTTP, "o/r") == UNDEFINED
    assert "failed verifying bundle for sha256:" in asked.told[-1]


def test_the_argument_is_the_input(asked: Asked) -> None:
    other = {**HTTP, "checksum": str(Digest.of(b"y"))}
    for call, more in (
        ("github_attestation", ("o/r",)),
        ("artifact_attestation", ("b",)),
        ("http_pgp_signature", "ab"),
    ):
        with pytest.raises(Failed, match="first argument is not the same as input http"):
            getattr(asked.http(), call)(other, *more)


def test_input_of_another_kind(asked: Asked) -> None:
    nothing = asked.http({"image": {}})
    assert nothing.github_attestation({}, "o/r") == UNDEFINED
    assert nothing.artifact_attestation({}, "b") == UNDEFINED
    assert nothing.http_pgp_signature({}, "s", "k") == [False]
    assert nothing.git_signature({}, "k") == [False]


def test_a_file_that_is_not_fetched(asked: Asked) -> None:
    """In a test of a policy there is no source, and of a request that is not made yet no checksum."""
    apart = Verifications({"http": HTTP, "git": {"commit": {}}}, None, asked.read, asked._trust, asked.tell)
    with pytest.raises(Failed, match="the file is not known here"):
        apart.artifact_attestation(HTTP, "b")
    with pytest.raises(Failed, match="the commit is not known here"):
        apart.git_signature({}, "k")
    unknown = {"url": URL}
    with pytest.raises(Failed, match="the checksum of the file is not known here"):
        asked.http({"http": unknown}).artifact_attestation(unknown, "b")


def test_an_attestation(asked: Asked, sigstore: Sigstore) -> None:
    asked.files["b"] = json.dumps(sigstore.bundle(sigstore.leaf(), statement())).encode()
    (found,) = asked.http().artifact_attestation(HTTP, "b")
    assert found["signer"]["sourceRepositoryRef"] == "refs/tags/v1"
    with pytest.raises(Failed, match='failed opening file "c"'):
        asked.http().artifact_attestation(HTTP, "c")
    asked.files["b"] = b"{}"
    assert asked.http().artifact_attestation(HTTP, "b") == UNDEFINED


def test_a_library_that_is_missing_is_no_answer(asked: Asked) -> None:
    def missing() -> TrustRoot:
        raise MissingLibrary("not installed", "install it")

    asked._trust = missing
    asked.files["b"] = b"{}"
    with pytest.raises(MissingLibrary):
        asked.http().artifact_attestation(HTTP, "b")


def test_a_commit_that_is_another_one_by_now(asked: Asked, tmp_path: Path) -> None:
    name = hashlib.sha1(b"commit %d\0" % len(COMMIT) + COMMIT).hexdigest()
    asked.elsewhere.git = GitFacts("refs/heads/main", name, name, COMMIT)
    subject = GitSubject(GitSource(remote="git://x.test/r", ref="main"), "git://x.test/r#main", asked.elsewhere)
    given = msgspec.to_builtins(subject.input(frozenset({OBJECTS})))
    verify = Verifications(given, subject, asked.read, asked._trust, asked.tell)
    commit = given["git"]["commit"]
    assert commit["message"] == "m"
    with pytest.raises(Failed, match='failed opening file "k"'):
        verify.git_signature(commit, "k")
    with pytest.raises(Failed, match="object is neither commit nor tag"):
        verify.git_signature({}, "k")
    asked.files["k"] = b"ssh-ed25519 AAAA"
    with pytest.raises(Failed, match="verification fails: this git commit is not signed"):
        verify.git_signature(commit, "k")
    asked.elsewhere.git = GitFacts("refs/heads/main", "1" * 40, "1" * 40, COMMIT)
    with pytest.raises(Failed, match="the commit is another one by now"):
        verify.git_signature(commit, "k")
