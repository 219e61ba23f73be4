from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import SignatureFault
from builder.policy.signatures.gitobject import LIMIT, GitObject
from tests.builder.policy.signatures.conftest import Signed

COMMIT = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor a <a@x> 1 +0000\ncommitter b <b@x> 2 +0000\n\nm\n"


@pytest.mark.parametrize("hashes", ["sha1", "sha256"])
def test_what_git_writes(tmp_path: Path, hashes: str) -> None:
    repository = Signed(tmp_path / "r", hashes)
    repository.commit(message="first")
    for name, raw in (repository.commit(), repository.tag("-a")):
        read = GitObject.parse(raw)
        assert (read.raw, read.signature, read.signed) == (raw, b"", raw)
        assert read.message == ("One\n\nmore" if read.kind == "commit" else "Release one")
        read.check(name)
        with pytest.raises(SignatureFault, match=f"checksum mismatch of a git object: expected {name}, got "):
            GitObject.parse(raw + b"x").check(name)


def test_a_name_that_is_none() -> None:
    read = GitObject.parse(COMMIT)
    read.check(hashlib.sha1(b"commit %d\0" % len(COMMIT) + COMMIT).hexdigest())
    for name in ("", "0" * 39, "A" * 40, "0" * 41, "sha256:" + "0" * 64, "0" * 40 + "\n"):
        with pytest.raises(SignatureFault, match="is no name of a git object"):
            read.check(name)


def test_a_signature_is_no_header_and_is_not_signed() -> None:
    head, body = COMMIT.split(b"\n\n")
    signed = head + b"\ngpgsig one\n two\ngpgsig-sha256 three\n tree 5\nencoding x\n\n" + body
    read = GitObject.parse(signed)
    assert (read.signature, read.signed) == (b"one\ntwo", head + b"\nencoding x\n\n" + body)
    assert (read.headers["tree"], "gpgsig" in read.headers) == (("4b825dc642cb6eb9a060e54bf8d69288fbee4904",), False)


def test_a_header_within_a_header_does_not_count() -> None:
    head, body = COMMIT.split(b"\n\n")
    read = GitObject.parse(head + b"\nmergetag object 1\n tree 2\n author c\n\n" + body)
    assert read.headers["tree"] == ("4b825dc642cb6eb9a060e54bf8d69288fbee4904",)


@pytest.mark.parametrize(
    ("raw", "missing"),
    [
        (b"", "commit object: missing tree"),
        (b"tree 1\nauthor a\n\ncommitter b\n", "commit object: missing committer"),
        (b"object 1\ntype commit\ntag v\n\nm", "tag object: missing tagger"),
        (b"\n\n" + COMMIT, "commit object: missing tree"),
    ],
)
def test_what_is_no_object(raw: bytes, missing: str) -> None:
    with pytest.raises(SignatureFault, match=missing):
        GitObject.parse(raw)


def test_one_that_is_too_large() -> None:
    with pytest.raises(SignatureFault, match="too large"):
        GitObject.parse(COMMIT + b"x" * LIMIT)
    many = GitObject.parse(COMMIT[:-4] + b"\nparent 1" * 500_000 + b"\n\nm\n")
    assert len(many.headers["parent"]) == 500_000


@given(st.lists(st.sampled_from([*COMMIT.splitlines(keepends=True), b"gpgsig a\n", b" b\n", b"\n", b"object 1\n"])))
def test_any_lines(lines: list[bytes]) -> None:
    raw = b"".join(lines)
    try:
        read = GitObject.parse(raw)
    except SignatureFault:
        return
    assert read.raw == raw and len(read.signed) + len(read.signature) <= len(raw) + 2


@given(st.binary(max_size=300))
def test_any_bytes(raw: bytes) -> None:
    for data in (raw, COMMIT[:-4] + raw, b"object " + raw):
        try:
            GitObject.parse(data).check("0" * 40)
        except SignatureFault:
            pass
