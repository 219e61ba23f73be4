"""Policies that ask who signed what a build adds: git tags and commits, downloads, attestations of downloads."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cache.digest import Digest
from tests.e2e.gitpeers import Repository, daemon, listening
from tests.e2e.lapstrake import Lapstrake, folder
from tests.e2e.webserver import Page, Web, serving
from tests.gpgpeer import GnuPG
from tests.sigstorepeer import Sigstore

pytestmark = pytest.mark.e2e

POLICY = """package docker

default allow := false

allow if input.local

allow if {{ {rule} }}

decision := {{"allow": allow}}
"""


@pytest.fixture(scope="module")
def gpg() -> Iterator[GnuPG]:
    peer = GnuPG()
    try:
        peer.key("ann")
        peer.key("bob")
        yield peer
    finally:
        peer.stop()


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    (tmp_path / "served").mkdir()
    with listening(daemon(tmp_path / "served"), tmp_path / "daemon.log") as peer:
        yield Repository(tmp_path / "served", tmp_path / "work", base=f"git://127.0.0.1:{peer.port}")


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with serving(tmp_path / "served") as web:
        yield web


def context(tmp_path: Path, added: str, rule: str, **files: str) -> Path:
    texts = {"Dockerfile": f"FROM scratch\nADD {added} /added\n", "Dockerfile.rego": POLICY.format(rule=rule)}
    return folder(tmp_path / "context", texts | {name.replace("_", "."): text for name, text in files.items()})


def denied(lapstrake: Lapstrake, context: Path, words: str = "not allowed by policy: action DENY") -> None:
    done = lapstrake.build(context)
    assert done.status == 1 and words in done.err, done.err
    assert "Traceback" not in done.err


def test_a_tag_that_must_be_signed(lapstrake: Lapstrake, repository: Repository, gpg: GnuPG, tmp_path: Path) -> None:
    repository.commit({"a": "1"})
    for name, words in {
        "good": ("-u", gpg.fingerprint("ann"), "-s"),
        "bad": ("-u", gpg.fingerprint("bob"), "-s"),
    }.items():
        repository.git("-c", f"gpg.program={gpg_program(gpg, tmp_path)}", "tag", *words, "-m", "t", name)
    repository.git("tag", "-a", "-m", "t", "unsigned")
    repository.git("tag", "light")
    repository.push()
    rule = 'input.git; verify_git_signature(input.git.tag, "key.asc")'
    key = gpg.export("ann").decode()
    lapstrake.built(context(tmp_path, f"{repository.url}#good", rule, key_asc=key))
    where = tmp_path / "context"
    assert lapstrake.run("policy", "eval", f"{repository.url}#good", cwd=where).status == 0
    assert lapstrake.run("policy", "eval", f"{repository.url}#bad", cwd=where).status == 1
    words = ("policy", "eval", "--print", "--fields", "git.tag", f"{repository.url}#good")
    shown = json.loads(lapstrake.run(*words, cwd=where).out)["git"]["tag"]
    key_id = gpg.fingerprint("ann")[-16:].lower()
    assert (shown["tag"], shown["pgpSignature"]) == ("good", {"version": 4, "keyID": key_id})
    for name in ("bad", "unsigned", "light", "main"):
        denied(lapstrake, context(tmp_path, f"{repository.url}#{name}", rule, key_asc=key))
    denied(lapstrake, context(tmp_path, f"{repository.url}#good", rule, key_asc="junk"))
    denied(lapstrake, context(tmp_path, f"{repository.url}#good", rule))


def gpg_program(gpg: GnuPG, tmp_path: Path) -> Path:
    path = tmp_path / "gpg"
    path.write_text(f'#!/bin/sh\nGNUPGHOME={gpg.home} exec gpg "$@"\n')
    path.chmod(0o755)
    return path


def test_a_commit_that_must_be_signed(lapstrake: Lapstrake, repository: Repository, tmp_path: Path) -> None:
    keys = []
    for name in ("one", "two"):
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", tmp_path / name], check=True)
        keys.append((tmp_path / f"{name}.pub").read_text())
    repository.git("config", "gpg.format", "ssh")
    repository.git("config", "user.signingKey", str(tmp_path / "one"))
    repository.git("config", "commit.gpgSign", "true")
    signed = repository.commit({"a": "1"})
    rule = 'verify_git_signature(input.git.commit, "key.pub")'
    lapstrake.built(context(tmp_path, f"{repository.url}#{signed}", rule, key_pub=keys[0]))
    lapstrake.built(context(tmp_path, f"{repository.url}#main", rule, key_pub=keys[0]))
    denied(lapstrake, context(tmp_path, f"{repository.url}#main", rule, key_pub=keys[1]))
    fields = (
        'input.git.commit.message == "m"; input.git.commit.author.email == "a@x"; not input.git.commit.parents;'
        'startswith(input.git.commit.sshSignature.pubKey, "SHA256:"); not input.git.commit.pgpSignature;'
        'input.git.commit.committer.when == "2023-11-14T22:13:20Z"'
    )
    lapstrake.built(context(tmp_path, f"{repository.url}#main", fields))
    made_up = 'verify_git_signature(object.union(input.git.commit, {"message": "n"}), "key.pub")'
    denied(lapstrake, context(tmp_path, f"{repository.url}#main", made_up, key_pub=keys[0]))


def test_a_checksum_of_another_commit(lapstrake: Lapstrake, repository: Repository, tmp_path: Path) -> None:
    """What a policy sees of a ref is what is built, also where the wanted commit is in the store already."""
    key = tmp_path / "one"
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", key], check=True)
    evil = repository.commit({"a": "evil"})
    repository.git("config", "gpg.format", "ssh")
    repository.git("config", "user.signingKey", str(key))
    repository.git("config", "commit.gpgSign", "true")
    repository.commit({"a": "good"})
    lapstrake.built(context(tmp_path, f"{repository.url}#{evil}", "input.git"))
    rule = 'verify_git_signature(input.git.commit, "key.pub")'
    public = key.with_suffix(".pub").read_text()
    denied(
        lapstrake,
        context(tmp_path, f"--checksum={evil} {repository.url}#main", rule, key_pub=public),
        "expected checksum",
    )


@pytest.mark.parametrize("armored", [True, False])
def test_a_download_that_must_be_signed(
    lapstrake: Lapstrake, web: Web, gpg: GnuPG, tmp_path: Path, armored: bool
) -> None:
    data = b"one\n" * 100_000
    web.pages["/file"] = Page(data)
    rule = 'verify_http_pgp_signature(input.http, "file.sig", "key")'
    where = context(tmp_path, f"{web.url}/file", rule)
    (where / "file.sig").write_bytes(gpg.sign(data, "ann", armored=armored))
    (where / "key").write_bytes(gpg.export("ann", armored=armored))
    lapstrake.built(where)
    (where / "key").write_bytes(gpg.export("bob", armored=armored))
    denied(lapstrake, where)
    (where / "key").write_bytes(gpg.export("ann", armored=armored))
    web.pages["/file"] = Page(data + b"x")
    denied(lapstrake, where)
    (where / "file.sig").write_bytes(b"junk")
    denied(lapstrake, where)


def test_a_download_that_must_be_attested(lapstrake: Lapstrake, web: Web, tmp_path: Path) -> None:
    data = b"program"
    web.pages["/file"] = Page(data)
    sigstore = Sigstore()
    (tmp_path / "root.json").write_text(json.dumps(sigstore.trusted_root()))
    env = {"LAPSTRAKE_SIGSTORE_ROOT": str(tmp_path / "root.json")}
    subject = [{"name": "file", "digest": {"sha256": Digest.of(data).hex}}]
    said = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subject,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {},
    }
    bundle = json.dumps(sigstore.bundle(sigstore.leaf(), said))
    rule = (
        'found := artifact_attestation(input.http, "bundle.json"); found.kind == "self-signed-github-repo";'
        'found.signer.sourceRepositoryURI == "https://github.com/o/r"; count(found.timestamps) == 1'
    )
    where = context(tmp_path, f"{web.url}/file", rule, bundle_json=bundle)
    lapstrake.built(where, env=env)
    denied(lapstrake, where)  # by the public trust root
    web.pages["/file"] = Page(b"another")
    done = lapstrake.build(where, env=env)
    assert done.status == 1 and "action DENY" in done.err
    done = lapstrake.build(where, env={"LAPSTRAKE_SIGSTORE_ROOT": "/none"})
    assert done.status == 1 and "the trust root /none cannot be read" in done.err
