from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import MissingLibrary, SignatureFault
from builder.policy.signatures.sshsig import BEGIN, SSHSignatureBlob, authorized_key, verify

END = b"-----END SSH SIGNATURE-----"


def string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def armored(version: int = 1, hash: bytes = b"sha512", more: bytes = b"", magic: bytes = b"SSHSIG") -> bytes:
    blob = magic + version.to_bytes(4, "big") + b"".join(map(string, (b"key", b"git", b"", hash, b"signature"))) + more
    return BEGIN + b"\n" + base64.encodebytes(blob) + END + b"\n"


def test_what_one_says() -> None:
    read = SSHSignatureBlob.parse(armored())
    assert (read.version, read.key, read.namespace, read.hash) == (1, b"key", b"git", "sha512")
    assert SSHSignatureBlob.parse(armored() + b"\n" + armored(version=2)) == read


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "its first or last line is missing"),
        (BEGIN, "its first or last line is missing"),
        (armored()[:60], "its first or last line is missing"),
        (BEGIN + b"\n!!!\n" + END, "not base64"),
        (armored(magic=b"SSHSIX"), "does not begin with SSHSIG"),
        (armored(version=2), "unsupported SSH signature version: 2"),
        (armored(hash=b"sha1"), "unsupported SSH signature hash algorithm: 'sha1'"),
        (armored(more=b"x"), "bytes that nothing names"),
        (BEGIN + b"\n" + base64.b64encode(b"SSHSIG\0\0\0\1\xff\xff\xff\xff") + b"\n" + END, "ends in the middle"),
        (BEGIN + b"\n" + b"A" * 10_000_000 + b"\n" + END, "too large"),
    ],
)
def test_what_is_none(data: bytes, words: str) -> None:
    with pytest.raises(SignatureFault, match=words):
        SSHSignatureBlob.parse(data)


def test_keys() -> None:
    blob = string(b"ssh-ed25519") + string(b"k" * 32)
    text = b"ssh-ed25519 " + base64.b64encode(blob)
    for form in (text, text + b" me", b"  " + text, b"#x\n\n" + text + b"\r\n", b'from="a b",no-pty\t' + text):
        assert authorized_key(form) == ("ssh-ed25519", blob)
    certificate = string(b"ssh-ed25519-cert-v01@openssh.com")
    for none in (
        b"",
        b"# " + text,
        b"ssh-rsa" + text[11:],
        text[:12],
        text + b"A",
        b'x="' + text + b'"',
        b"ssh-ed25519-cert-v01@openssh.com " + base64.b64encode(certificate),
    ):
        with pytest.raises(SignatureFault, match="no SSH public key"):
            authorized_key(none)


def test_without_ssh_keygen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = string(b"ssh-ed25519") + string(b"k" * 32)
    signature = b"SSHSIG\0\0\0\1" + b"".join(map(string, (blob, b"git", b"", b"sha512", b"")))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingLibrary, match="need ssh-keygen"):
        verify(
            BEGIN + b"\n" + base64.encodebytes(signature) + END,
            b"x",
            b"ssh-ed25519 " + base64.b64encode(blob),
            "git",
            "it",
        )


def test_a_long_message(tmp_path: Path) -> None:
    """More than a pipe holds."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", key], check=True)
    message = b"line\n" * 1_000_000
    words = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", "git"]
    made = subprocess.run(words, input=message, capture_output=True, check=True).stdout
    public = key.with_suffix(".pub").read_bytes()
    verify(made, message, public, "git", "it")
    with pytest.raises(SignatureFault, match="it does not verify: "):
        verify(made, message[:-1], public, "git", "it")


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    for form in (data, BEGIN + b"\n" + data + b"\n" + END, BEGIN + b"\n" + base64.b64encode(data) + b"\n" + END):
        with pytest.raises(SignatureFault):
            SSHSignatureBlob.parse(form)
    with pytest.raises(SignatureFault):
        authorized_key(b"ssh-ed25519 " + data)
