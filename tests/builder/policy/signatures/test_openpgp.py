from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import MissingLibrary, NotVerified, SignatureFault
from builder.policy.signatures.openpgp import (
    BEGIN,
    LIMIT,
    certificates,
    described,
    signatures,
    verify_file,
    verify_http_pgp_signature,
    verify_text,
)
from tests.gpgpeer import GnuPG

DATA = b"one\ntwo\n" * 5000
NOBODY = "it was not made by one of the keys"


@pytest.fixture
def download(tmp_path: Path) -> Path:
    path = tmp_path / "download"
    path.write_bytes(DATA)
    return path


def check(path: Path, signature: bytes, keys: bytes, now: float | None = None) -> None:
    with path.open("rb") as file:
        verify_file(signature, file.fileno(), keys, "it", *([] if now is None else [lambda: now]))


@pytest.mark.parametrize("armored", [True, False])
@pytest.mark.parametrize("digest", ["SHA256", "SHA384", "SHA512"])
def test_a_download(gpg: GnuPG, download: Path, armored: bool, digest: str) -> None:
    for user, other in (("ann", "bob"), ("bob", "ann")):
        made = gpg.sign(DATA, user, more=("--digest-algo", digest), armored=armored)
        for keys in (gpg.export(user), gpg.export(user, armored=False), gpg.export(user, other)):
            check(download, made, keys)
        verify_http_pgp_signature(str(download), made, gpg.export(other) + gpg.export(user))
        with pytest.raises(NotVerified, match=NOBODY):
            check(download, made, gpg.export(other))


def test_a_download_that_was_altered(gpg: GnuPG, download: Path) -> None:
    made = gpg.sign(DATA, "ann")
    for data in (DATA[:-1], DATA + b"\n", b"0" + DATA[1:], DATA.replace(b"\n", b"\r\n"), b""):
        download.write_bytes(data)
        with pytest.raises(NotVerified, match=NOBODY):
            check(download, made, gpg.export("ann"))


def test_two_signatures_of_which_one_is_enough(gpg: GnuPG, download: Path) -> None:
    for armored in (True, False):
        both = gpg.sign(DATA, "ann", "bob", armored=armored)
        assert len(signatures(both)) == 2
        check(download, both, gpg.export("ann"))
        check(download, both, gpg.export("bob"))


@pytest.mark.parametrize("digest", ["SHA1", "SHA224", "RIPEMD160"])
def test_a_weak_hash(gpg: GnuPG, download: Path, digest: str) -> None:
    made = gpg.sign(DATA, "bob", more=("--digest-algo", digest))
    with pytest.raises(NotVerified, match="it is refused: it is by the hash"):
        check(download, made, gpg.export("bob"))
    with pytest.raises(NotVerified, match="it is refused: it is by the hash"):
        verify_text(made, DATA, gpg.export("bob"), "it")


def test_a_signature_over_text(gpg: GnuPG, download: Path) -> None:
    made = gpg.sign(DATA, "ann", more=("--textmode",))
    with pytest.raises(NotVerified, match=r"it is refused: it is one of kind SignatureType\.Text"):
        check(download, made, gpg.export("ann"))
    verify_text(made, DATA, gpg.export("ann"), "it")


def test_weak_keys(gpg: GnuPG, download: Path) -> None:
    gpg.key("short", "rsa1024")
    gpg.key("dsa", "dsa2048")
    with pytest.raises(NotVerified, match=NOBODY):
        check(download, gpg.sign(DATA, "short", more=("--digest-algo", "SHA256")), gpg.export("short"))
    with pytest.raises(NotVerified, match=r"it is refused: it is by PublicKeyAlgorithm\.DSA"):
        check(download, gpg.sign(DATA, "dsa", more=("--digest-algo", "SHA256")), gpg.export("dsa"))


def test_a_key_that_is_bound_by_a_weak_hash(gpg: GnuPG, download: Path) -> None:
    gpg.key("weak", "rsa2048", "--cert-digest-algo", "SHA1", "--allow-weak-digest-algos")
    with pytest.raises(NotVerified, match=NOBODY) as caught:
        check(download, gpg.sign(DATA, "weak", more=("--digest-algo", "SHA256")), gpg.export("weak"))
    assert "bound by SHA-1" in caught.value.hint


def test_a_subkey(gpg: GnuPG, download: Path) -> None:
    whole = gpg.key("cat", "rsa2048")
    primary = gpg.export("cat")
    gpg.run("--quick-add-key", whole, "ed25519", "sign", "0")
    made = gpg.sign(DATA, "cat")
    assert signatures(made)[0].issuer_fingerprint != whole.lower()
    check(download, made, gpg.export("cat"))
    with pytest.raises(NotVerified, match=NOBODY):
        check(download, made, primary)


def test_a_subkey_that_may_not_sign(gpg: GnuPG, download: Path) -> None:
    """One that signs when it should only decrypt: the flags of its binding say so."""
    whole = gpg.key("eve", "rsa2048")
    gpg.run("--quick-add-key", whole, "rsa2048", "sign", "0")
    made = gpg.sign(DATA, "eve")
    check(download, made, gpg.export("eve"))
    listed = gpg.run("--list-keys", "--with-colons", whole).decode()
    assert listed.count("\nsub:") == 1
    gpg.run("--command-fd", "0", "--edit-key", whole, input=b"key 1\nchange-usage\nS\nE\nQ\nsave\n")
    with pytest.raises(NotVerified, match=NOBODY):
        check(download, made, gpg.export("eve"))


def test_time(gpg: GnuPG, download: Path) -> None:
    def at(day: str) -> tuple[str, ...]:
        return "--faked-system-time", f"{day}T000000!"

    gpg.key("old", "ed25519", *at("20230101"), until="2023-03-01")
    keys = gpg.export("old")
    check(download, gpg.sign(DATA, "old", more=at("20230201")), keys)  # expired since: that is how old files verify
    with pytest.raises(NotVerified, match=NOBODY):
        check(download, gpg.sign(DATA, "old", more=(*at("20230201"), "--default-sig-expire", "2023-02-02")), keys)
    made = gpg.sign(DATA, "old", more=at("20230201"))
    when = signatures(made)[0].created
    assert when is not None
    check(download, made, keys, now=when.timestamp() - 299)
    with pytest.raises(NotVerified, match="it says no time, or one in the future"):
        check(download, made, keys, now=when.timestamp() - 301)
    gpg.key("late", "ed25519", *at("20230101"))
    late = gpg.sign(DATA, "late", more=at("20230501"))
    gpg.run(*at("20230102"), "--quick-set-expire", gpg.fingerprint("late"), "2023-03-01")
    with pytest.raises(NotVerified, match=NOBODY):
        check(download, late, gpg.export("late"))


def test_a_key_that_is_revoked(gpg: GnuPG, download: Path) -> None:
    gpg.key("gone")
    made = gpg.sign(DATA, "gone")
    check(download, made, gpg.export("gone"))
    gpg.revoke("gone")
    with pytest.raises(NotVerified, match=f"{NOBODY}|is revoked"):
        check(download, made, gpg.export("gone"))
    check(download, gpg.sign(DATA, "ann"), gpg.export("gone", "ann"))


def test_a_key_that_was_replaced(gpg: GnuPG, download: Path) -> None:
    """A revocation whose reason lets older signatures stand elsewhere refuses them here, as in BuildKit."""
    whole = gpg.key("moved", "ed25519", "--faked-system-time", "20230101T000000!")
    made = gpg.sign(DATA, "moved", more=("--faked-system-time", "20230201T000000!"))
    words = b"y\n2\n\ny\n"
    revocation = gpg.run("--no-batch", "--no-tty", "--command-fd", "0", "--gen-revoke", whole, input=words)
    gpg.run("--import", input=revocation)
    with pytest.raises(NotVerified, match=r"it is refused: its key .* is revoked"):
        check(download, made, gpg.export("moved"))


def test_input_that_is_nothing(gpg: GnuPG, download: Path) -> None:
    made, keys = gpg.sign(DATA, "bob"), gpg.export("bob")
    whole = gpg.run("--sign", "-u", "<ann@example.com>", "-o", "-", input=b"x")
    for bad in (b"", made[:200], made[:-50], made.replace(b"i", b"j"), b"junk", BEGIN, keys, whole, DATA):
        with pytest.raises(SignatureFault):
            check(download, bad, keys)
    for bad in (b"", keys[:300], keys[:-60], b"ssh-ed25519 AAAA", made, DATA):
        with pytest.raises(SignatureFault):
            check(download, made, bad)
    with pytest.raises(SignatureFault, match="too large"):
        signatures(made + b"x" * 10_000_000)
    with pytest.raises(SignatureFault, match="too large"):
        certificates(os.urandom(LIMIT + 1))


def test_a_file_of_too_many_signatures(gpg: GnuPG) -> None:
    one = gpg.sign(DATA, "ann", armored=False)
    assert len(signatures(one * 64)) == 64
    with pytest.raises(SignatureFault, match="too many"):
        signatures(one * 65)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.policy.signatures.openpgp.find_spec", lambda name: None)
    for call in (signatures, certificates):
        with pytest.raises(MissingLibrary, match="need pysequoia, which is not installed") as caught:
            call(b"")
        assert caught.value.hint == "pip install 'lapstrake[policy]'"


def test_a_large_file_is_not_read_into_memory(gpg: GnuPG, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(200 << 20)
    signed = subprocess.run(
        ["gpg", "--batch", "-u", "<ann@example.com>", "-o", "-", "-b", path],
        env=gpg.environment,
        capture_output=True,
        check=True,
    ).stdout
    (tmp_path / "sig").write_bytes(signed)
    (tmp_path / "key").write_bytes(gpg.export("ann"))
    program = (
        "import resource, sys\n"
        "from builder.policy.signatures.openpgp import verify_http_pgp_signature as verify\n"
        "import pysequoia\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (96 << 20, 96 << 20))\n"
        "large, sig, key = sys.argv[1:]\n"
        "verify(large, open(sig, 'rb').read(), open(key, 'rb').read())\n"
    )
    subprocess.run([sys.executable, "-c", program, path, tmp_path / "sig", tmp_path / "key"], check=True)


def test_nothing_is_imported_before_it_is_used() -> None:
    program = "import sys, builder.policy.signatures.openpgp\nassert 'pysequoia' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert importlib.util.find_spec("pysequoia") is not None


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    for form in (data, BEGIN + b"\n\n" + data, b"\x89\x02\x33" + data, b"\xc2\x7a\x04\x00\x16\x08" + data):
        for call in (signatures, certificates, described):
            try:
                call(form)
            except SignatureFault:
                pass


@given(st.data())
def test_one_byte_changed(gpg: GnuPG, data: st.DataObject) -> None:
    """What is signed, and the signature. Some of a signature's bytes are not signed, as RFC 9580 has it: no matter."""
    if not _MADE:
        _MADE.append((gpg.sign(DATA[:64], "ann", armored=False), gpg.export("ann")))
    made, keys = _MADE[0]
    at, bits = data.draw(st.integers(0, 63)), data.draw(st.integers(1, 255))
    with pytest.raises(NotVerified):
        verify_text(made, _changed(DATA[:64], at, bits), keys, "it")
    try:
        verify_text(_changed(made, data.draw(st.integers(0, len(made) - 1)), bits), DATA[:64], keys, "it")
    except SignatureFault:
        pass


_MADE: list[tuple[bytes, bytes]] = []


def _changed(data: bytes, at: int, bits: int) -> bytes:
    return data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]
