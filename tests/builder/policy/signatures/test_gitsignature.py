from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from builder.errors import NotVerified, SignatureFault
from builder.policy.signatures.gitinput import commit_input, tag_input
from builder.policy.signatures.gitobject import GitObject
from builder.policy.signatures.gitsignature import SSHSignature, verify_git_signature
from tests.builder.policy.signatures.conftest import Signed
from tests.gpgpeer import GnuPG


def ssh_key(folder: Path, kind: str = "ed25519") -> Path:
    path = folder / f"key-{kind}"
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", kind, "-C", "a b", "-f", path], check=True)
    return path


@pytest.mark.parametrize("hashes", ["sha1", "sha256"])
@pytest.mark.parametrize("user", ["ann", "bob"])
def test_openpgp(gpg: GnuPG, tmp_path: Path, hashes: str, user: str) -> None:
    repository = Signed(tmp_path / "r", hashes, f"user.signingKey={gpg.fingerprint(user)}", home=gpg.home)
    other = "bob" if user == "ann" else "ann"
    for name, raw in (repository.commit("-S"), repository.tag("-s")):
        git = GitObject.parse(raw)
        git.check(name)
        verify_git_signature(git, gpg.export(user))
        verify_git_signature(git, gpg.export(user, armored=False))
        verify_git_signature(git, gpg.export(other) + gpg.export(user))
        with pytest.raises(NotVerified, match="was not made by one of the keys"):
            verify_git_signature(git, gpg.export(other))
        for old, new in ((b"One", b"Two"), (b"Release one", b"Release two"), (b"Bob", b"Eve"), (b"\n\n", b"\nx y\n\n")):
            altered = raw.replace(old, new, 1)
            if altered != raw:
                with pytest.raises(NotVerified, match="was not made by one of the keys"):
                    verify_git_signature(GitObject.parse(altered), gpg.export(user))


@pytest.mark.parametrize("hashes", ["sha1", "sha256"])
@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_ssh(tmp_path: Path, hashes: str, kind: str) -> None:
    key = ssh_key(tmp_path, kind)
    public = key.with_suffix(".pub").read_bytes()
    repository = Signed(tmp_path / "r", hashes, "gpg.format=ssh", f"user.signingKey={key}")
    printed = subprocess.run(["ssh-keygen", "-l", "-f", key], capture_output=True, text=True, check=True).stdout
    for name, raw in (repository.commit("-S"), repository.tag("-s")):
        git = GitObject.parse(raw)
        git.check(name)
        shown = commit_input(git) if git.kind == "commit" else tag_input(git)
        assert shown.ssh_signature == SSHSignature(1, printed.split()[1])
        verify_git_signature(git, b"# ours\n\n" + public)
        verify_git_signature(git, b'command="x ssh-ed25519 AAAA \\" y",no-pty ' + public)
        with pytest.raises(NotVerified, match="does not verify"):
            verify_git_signature(
                GitObject.parse(raw.replace(b"one" if git.kind == "tag" else b"One", b"two", 1)), public
            )


def test_ssh_of_another_key_or_for_another_use(tmp_path: Path) -> None:
    key, other = ssh_key(tmp_path), ssh_key(tmp_path, "ecdsa")
    repository = Signed(tmp_path / "r", "sha1", "gpg.format=ssh", f"user.signingKey={key}")
    _, raw = repository.commit("-S")
    with pytest.raises(NotVerified, match=r"is by another key: SHA256:.* not SHA256:"):
        verify_git_signature(GitObject.parse(raw), other.with_suffix(".pub").read_bytes())
    git = GitObject.parse(repository.commit()[1])
    whole = subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-f", key, "-n", "file"], input=git.signed, capture_output=True, check=True
    ).stdout
    head, body = git.raw.split(b"\n\n", 1)
    misused = head + b"\ngpgsig " + whole.rstrip(b"\n").replace(b"\n", b"\n ") + b"\n\n" + body
    with pytest.raises(NotVerified, match="for another use: its namespace is b'file', not git"):
        verify_git_signature(GitObject.parse(misused), key.with_suffix(".pub").read_bytes())


def test_an_object_without_a_signature(tmp_path: Path, gpg: GnuPG) -> None:
    repository = Signed(tmp_path / "r", "sha1")
    for _, raw in (repository.commit(), repository.tag("-a")):
        with pytest.raises(NotVerified, match="is not signed"):
            verify_git_signature(GitObject.parse(raw), gpg.export("ann"))


def test_a_signature_of_another_kind(tmp_path: Path, gpg: GnuPG) -> None:
    raw = Signed(tmp_path / "r", "sha1").commit()[1]
    armor = b"\ngpgsig -----BEGIN SIGNED MESSAGE-----\n AAAA\n -----END SIGNED MESSAGE-----\n\n"
    with pytest.raises(SignatureFault, match="is neither of OpenPGP nor of SSH"):
        verify_git_signature(GitObject.parse(raw.replace(b"\n\n", armor, 1)), gpg.export("ann"))


def test_the_wrong_kind_of_key(tmp_path: Path, gpg: GnuPG) -> None:
    key = ssh_key(tmp_path)
    pgp = Signed(tmp_path / "p", "sha1", f"user.signingKey={gpg.fingerprint('ann')}", home=gpg.home).commit("-S")[1]
    ssh = Signed(tmp_path / "s", "sha1", "gpg.format=ssh", f"user.signingKey={key}").commit("-S")[1]
    with pytest.raises(SignatureFault, match="the OpenPGP keys cannot be read"):
        verify_git_signature(GitObject.parse(pgp), key.with_suffix(".pub").read_bytes())
    with pytest.raises(SignatureFault, match="no SSH public key"):
        verify_git_signature(GitObject.parse(ssh), gpg.export("ann"))
