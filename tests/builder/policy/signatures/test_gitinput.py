from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.policy.signatures.gitinput import commit_input, tag_input
from builder.policy.signatures.gitobject import GitObject
from tests.builder.policy.signatures.conftest import Signed
from tests.builder.policy.signatures.test_gitobject import COMMIT
from tests.gpgpeer import GnuPG


def test_a_commit_and_a_tag(gpg: GnuPG, tmp_path: Path) -> None:
    repository = Signed(tmp_path / "r", "sha1", f"user.signingKey={gpg.fingerprint('ann')}", home=gpg.home)
    parent, _ = repository.commit(message="first")
    name, raw = repository.commit("-S")
    pgp = {"version": 4, "keyID": gpg.fingerprint("ann")[-16:].lower()}
    assert msgspec.to_builtins(commit_input(GitObject.parse(raw))) == {
        "tree": "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        "parents": [parent],
        "author": {"name": "Ann of Bérn", "email": "ann@example.com", "when": "2023-11-14T23:43:20+01:30"},
        "committer": {"name": "Bob", "email": "bob@example.com", "when": "2023-11-14T22:13:21Z"},
        "message": "One\n\nmore",
        "pgpSignature": pgp,
    }
    _, raw = repository.tag("-s")
    assert msgspec.to_builtins(tag_input(GitObject.parse(raw))) == {
        "object": name,
        "type": "commit",
        "tag": "v1",
        "tagger": {"name": "Bob", "email": "bob@example.com", "when": "2023-11-14T22:13:21Z"},
        "message": "Release one",
        "pgpSignature": pgp,
    }


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("a <b> 0 -0100", {"name": "a", "email": "b", "when": "1969-12-31T23:00:00-01:00"}),
        ("a <x> <b@c> 0 -0000", {"name": "a <x>", "email": "b@c", "when": "1970-01-01T00:00:00Z"}),
        ("  a  ", {"name": "a"}),
        ("<> 1 +0000", {"when": "1970-01-01T00:00:01Z"}),
        ("a <b>", {"name": "a", "email": "b"}),
        ("a <b> 1", {"name": "a", "email": "b"}),
        ("a <b> x +0000", {"name": "a", "email": "b"}),
        ("a <b> 1 +9900", {"name": "a", "email": "b"}),
        ("a <b> 1 UTC", {"name": "a", "email": "b"}),
        ("a <b> 999999999999 +0000", {"name": "a", "email": "b"}),
        ("a <b> ٣ +0000", {"name": "a", "email": "b"}),
        ("a > b <", {"name": "a > b <"}),
        ("", None),
        ("<>", None),
    ],
)
def test_who_and_when(line: str, shown: dict[str, str] | None) -> None:
    raw = f"tree 1\nauthor {line}\ncommitter b\n\n".encode()
    assert msgspec.to_builtins(commit_input(GitObject.parse(raw))).get("author") == shown


@pytest.mark.parametrize("kind", [b"PGP SIGNATURE", b"SSH SIGNATURE", b"SIGNED MESSAGE", b"PGP MESSAGE"])
def test_a_signature_that_cannot_be_read_is_none(kind: bytes) -> None:
    armor = b"gpgsig -----BEGIN %b-----\n \n AAAA\n -----END %b-----\n" % (kind, kind)
    shown = commit_input(GitObject.parse(COMMIT.replace(b"author", armor + b"author", 1)))
    assert (shown.pgp_signature, shown.ssh_signature) == (None, None)


@given(st.text(max_size=40), st.binary(max_size=80))
def test_any_line(who: str, signature: bytes) -> None:
    line = who.replace("\n", "").encode("utf-8", "surrogatepass")
    for begin in (b"-----BEGIN PGP SIGNATURE-----\n", b"-----BEGIN SSH SIGNATURE-----\n", b""):
        head = b"tree 1\nauthor %b\ncommitter %b\ngpgsig " % (line, line)
        raw = head + (begin + signature).replace(b"\n", b"\n ") + b"\n\nm\n"
        msgspec.json.encode(commit_input(GitObject.parse(raw)))
