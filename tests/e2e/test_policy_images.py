"""Policies that ask what is attested of a base image, and who signed that."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.dockerregistry import docker_registry
from tests.e2e.lapstrake import Lapstrake, folder
from tests.memoryregistry import INDEX, MANIFEST, MemoryRegistry, digest_of, running
from tests.sigstorepeer import Sigstore
from tests.webserver import Exchange

pytestmark = pytest.mark.e2e

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SLSA1 = "https://slsa.dev/provenance/v1"
SIGNED = (
    'some sig in input.image.signatures; sig.kind == "self-signed-github-repo";'
    'sig.signer.sourceRepositoryURI == "https://github.com/o/r"; count(sig.timestamps) > 0'
)
PREDICATE = {
    "buildDefinition": {
        "buildType": "https://example.com/build",
        "externalParameters": {"request": {"args": {"build-arg:A": "2"}}},
        "resolvedDependencies": [
            {"uri": "pkg:docker/alpine@3.19?platform=linux%2Famd64", "digest": {"sha256": "0" * 64}},
            {"uri": "https://x.test/r.git#v1", "digest": {"sha1": "0" * 40}},
            {"uri": "https://x.test/a.tar", "digest": {"sha256": "1" * 64}},
        ],
    },
    "runDetails": {"builder": {"id": "https://x.test/me"}},
}


class Referring(MemoryRegistry):
    """One that knows what refers to a manifest."""

    def answer(self, exchange: Exchange) -> None:
        head, found, digest = exchange.path.partition("?")[0].partition("/referrers/")
        if not found:
            super().answer(exchange)
            return
        name = head.removeprefix("/v2/")
        exchange.send(200, json.dumps(index(self.refer(name, digest))).encode(), Content_Type=INDEX)

    def refer(self, name: str, digest: str) -> list[dict[str, Any]]:
        about = [(one, raw) for (owner, one), (_, raw) in self.manifests.items() if owner == name]
        read = [(one, raw, json.loads(raw)) for one, raw in about]
        return [
            {"mediaType": MANIFEST, "digest": one, "size": len(raw), "artifactType": said.get("artifactType", "")}
            for one, raw, said in read
            if said.get("subject", {}).get("digest") == digest
        ]


def index(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}


class Published:
    """An image with provenance, `app:1`, in a registry in memory, and a signature of it."""

    def __init__(self, registry: MemoryRegistry, sigstore: Sigstore, *, signed: bool = True) -> None:
        self.registry = registry
        self.image = registry.add_image("app", "", [{"hello": b"hello\n"}])
        statement = {"_type": "https://in-toto.io/Statement/v1", "predicateType": SLSA1, "predicate": PREDICATE}
        layer = self.blob(statement, "application/vnd.in-toto+json", {"in-toto.io/predicate-type": SLSA1})
        self.attestation = self.manifest(layer, self.image)
        beside = {
            "platform": {"os": "unknown", "architecture": "unknown"},
            "annotations": {
                "vnd.docker.reference.type": "attestation-manifest",
                "vnd.docker.reference.digest": self.image["digest"],
            },
        }
        self.index = registry.add_index("app", "1", [self.image, self.attestation | beside])
        if signed:
            subject = [{"name": "", "digest": {"sha256": self.attestation["digest"].removeprefix("sha256:")}}]
            said = {"_type": "https://in-toto.io/Statement/v1", "subject": subject, "predicateType": "x"}
            bundle = self.blob(sigstore.bundle(sigstore.leaf(), said), BUNDLE)
            self.signature = self.manifest(bundle, self.attestation, artifactType=BUNDLE)

    def blob(self, value: object, kind: str, annotations: dict[str, str] | None = None) -> dict[str, Any]:
        made = self.registry.add_blob("app", json.dumps(value).encode())
        return {"mediaType": kind, **made} | ({"annotations": annotations} if annotations else {})

    def manifest(self, layer: dict[str, Any], about: dict[str, Any], **more: Any) -> dict[str, Any]:
        subject = {name: about[name] for name in ("mediaType", "digest", "size")}
        config = {"mediaType": "application/vnd.oci.empty.v1+json", **self.registry.add_blob("app", b"{}")}
        fields = {"config": config, "layers": [layer], "subject": subject, **more}
        return self.registry.add_manifest("app", "", {"schemaVersion": 2, "mediaType": MANIFEST, **fields})


@pytest.fixture(scope="module")
def sigstore() -> Sigstore:
    return Sigstore()


@pytest.fixture
def env(sigstore: Sigstore, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "root.json").write_text(json.dumps(sigstore.trusted_root()))
    return {"LAPSTRAKE_SIGSTORE_ROOT": str(tmp_path / "root.json")}


@pytest.fixture
def registry() -> Iterator[tuple[Referring, str]]:
    made = Referring()
    with running(made) as host:
        yield made, host


def context(tmp_path: Path, base: str, rule: str) -> Path:
    policy = (
        "package docker\n\ndefault allow := false\n\nallow if input.local\n\n"
        f'allow if {{ input.image; {rule} }}\n\ndecision := {{"allow": allow}}\n'
    )
    return folder(tmp_path / "context", {"Dockerfile": f"FROM {base}\n", "Dockerfile.rego": policy})


def denied(lapstrake: Lapstrake, context: Path, env: dict[str, str]) -> None:
    done = lapstrake.build(context, env=env)
    assert done.status == 1 and "not allowed by policy: action DENY" in done.err, done.err


def test_an_image_that_must_be_signed(
    lapstrake: Lapstrake, registry: tuple[Referring, str], sigstore: Sigstore, env: dict[str, str], tmp_path: Path
) -> None:
    made, host = registry
    Published(made, sigstore)
    where = context(tmp_path, f"{host}/app:1", SIGNED)
    lapstrake.built(where, env=env)
    assert made.server is not None
    beside = [seen.path for seen in made.server.seen if "referrers" in seen.path or "blobs" in seen.path]
    assert len(beside) == len(set(beside))
    denied(lapstrake, where, {})  # by the public trust root
    words = ("policy", "eval", "--print", "--fields", "image.signatures,image.provenance")
    done = lapstrake.run(*words, f"docker-image://{host}/app:1", cwd=where, env=env)
    shown = json.loads(done.out)["image"]
    assert shown["signatures"][0]["signer"]["sourceRepositoryRef"] == "refs/tags/v1"
    assert shown["provenance"]["materials"][1]["git"]["host"] == "x.test"
    for trusted, status in ((env, 0), ({}, 1)):
        words = ("policy", "eval", f"docker-image://{host}/app:1")
        assert lapstrake.run(*words, cwd=where, env=trusted).status == status
    other = Referring()
    with running(other) as elsewhere:
        Published(other, sigstore, signed=False)
        denied(lapstrake, context(tmp_path, f"{elsewhere}/app:1", SIGNED), env)
        lapstrake.built(context(tmp_path, f"{elsewhere}/app:1", "input.image.hasProvenance"), env=env)
        other.add_image("app", "plain", [{"a": b"1"}])
        denied(lapstrake, context(tmp_path, f"{elsewhere}/app:plain", "input.image.hasProvenance"), env)


def test_a_signature_of_another_image(
    lapstrake: Lapstrake, registry: tuple[Referring, str], sigstore: Sigstore, env: dict[str, str], tmp_path: Path
) -> None:
    """A registry may say that anything refers to anything."""
    made, host = registry
    good = Published(made, sigstore)
    evil = made.add_image("app", "", [{"hello": b"evil\n"}])
    layer = json.loads(made.manifests["app", good.attestation["digest"]][1])["layers"][0]
    attestation = good.manifest(layer, evil)
    beside = {
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": evil["digest"],
        },
    }
    made.add_index("app", "evil", [evil, attestation | beside])
    made.add_index("app", "worse", [evil, good.attestation | beside])
    made.refer = lambda name, digest: [good.signature | {"artifactType": BUNDLE}]  # type: ignore[method-assign]
    lapstrake.built(context(tmp_path, f"{host}/app:1", SIGNED), env=env)
    denied(lapstrake, context(tmp_path, f"{host}/app:evil", SIGNED), env)
    denied(lapstrake, context(tmp_path, f"{host}/app:worse", SIGNED), env)


def test_what_provenance_says(
    lapstrake: Lapstrake, registry: tuple[Referring, str], sigstore: Sigstore, env: dict[str, str], tmp_path: Path
) -> None:
    made, host = registry
    published = Published(made, sigstore)
    rule = (
        "p := input.image.provenance; input.image.hasProvenance;"
        f'input.image.checksum == "{published.index["digest"]}"; p.predicateType == "{SLSA1}";'
        'p.builderID == "https://x.test/me"; p.buildArgs == {"A": "2"}; count(p.materials) == 3;'
        f'p.materials[0].image.checksum == "sha256:{"0" * 64}"; p.materials[0].image.repo == "alpine";'
        'p.materials[0].image.arch == "amd64"; '
        'p.materials[1].git.host == "x.test"; p.materials[2].http.path == "/a.tar"; p.materials[0].env.depth == 1'
    )
    lapstrake.built(context(tmp_path, f"{host}/app:1", rule), env=env)
    denied(lapstrake, context(tmp_path, f"{host}/app:1", rule.replace('"2"', '"3"')), env)


def test_a_registry_that_answers_otherwise_the_second_time(
    lapstrake: Lapstrake, registry: tuple[Referring, str], sigstore: Sigstore, env: dict[str, str], tmp_path: Path
) -> None:
    """What the policy has seen is what is used, with --pull too."""
    made, host = registry
    published = Published(made, sigstore)
    made.add_image("app", "evil", [{"hello": b"evil\n"}])
    plain = made.manifest

    def turning(exchange: Exchange, name: str, what: str) -> None:
        plain(exchange, name, what)
        if what == "1" and exchange.command == "GET":
            made.tags["app", "1"] = made.tags["app", "evil"]

    made.manifest = turning  # type: ignore[method-assign]
    out = tmp_path / "out"
    lapstrake.built(context(tmp_path, f"{host}/app:1", SIGNED), "--pull", "-o", f"type=local,dest={out}", env=env)
    assert (out / "hello").read_text() == "hello\n"
    assert made.tags["app", "1"] != published.index["digest"]


def test_a_registry_that_knows_no_referrers(
    lapstrake: Lapstrake, sigstore: Sigstore, env: dict[str, str], tmp_path: Path
) -> None:
    """Debian's: what refers to a manifest is in an index with a tag of its own, as cosign and oras put it there."""
    memory = MemoryRegistry()
    published = Published(memory, sigstore)
    (tmp_path / "registry").mkdir()
    with docker_registry(tmp_path / "registry") as peer:
        for (name, _), data in memory.blobs.items():
            upload(peer.host, name, data)
        for (name, digest), (kind, raw) in memory.manifests.items():
            put(peer.host, name, digest, kind, raw)
        put(peer.host, "app", "1", INDEX, memory.manifests["app", published.index["digest"]][1])
        where = context(tmp_path, f"{peer.host}/app:1", SIGNED)
        denied(lapstrake, where, env)
        refers = json.dumps(index([published.signature | {"artifactType": BUNDLE}])).encode()
        put(peer.host, "app", published.attestation["digest"].replace(":", "-"), INDEX, refers)
        lapstrake.built(where, env=env)


def put(host: str, name: str, reference: str, kind: str, raw: bytes) -> None:
    url = f"http://{host}/v2/{name}/manifests/{reference}"
    request = urllib.request.Request(url, raw, {"Content-Type": kind}, method="PUT")
    urllib.request.urlopen(request).close()


def upload(host: str, name: str, data: bytes) -> None:
    started = urllib.request.Request(f"http://{host}/v2/{name}/blobs/uploads/", b"", method="POST")
    with urllib.request.urlopen(started) as answer:
        place = answer.headers["Location"]
    url = f"{place}&digest={digest_of(data)}"
    headers = {"Content-Type": "application/octet-stream"}
    urllib.request.urlopen(urllib.request.Request(url, data, headers, method="PUT")).close()
