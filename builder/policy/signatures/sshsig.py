"""SSH signatures (OpenSSH's PROTOCOL.sshsig): what one says of itself, and whether a key made it.

`ssh-keygen -Y verify` decides, which git asks, too, and which knows every kind of key that SSH has, hardware keys among
them. What it gets is in memory files: nothing is left behind, whatever ends us.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import subprocess
from contextlib import ExitStack
from typing import Self

import msgspec

from builder.errors import MissingLibrary, NotVerified, SignatureFault

BEGIN = b"-----BEGIN SSH SIGNATURE-----"
_END = b"-----END SSH SIGNATURE-----"
_MAGIC = b"SSHSIG"
_LIMIT = 64 << 10  # bytes of an armored signature
_HASHES = ("sha256", "sha512")
_KEY = re.compile(rb"(?:^|[ \t])((?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[A-Za-z0-9@.-]+)[ \t]+([A-Za-z0-9+/]+=*)(?=[ \t\r]|$)")
_WAIT = 60.0  # seconds


class SSHSignatureBlob(msgspec.Struct, frozen=True):
    """key: the public key's wire form. namespace: what the signature is for; hash: of the message, sha256 or sha512."""

    version: int
    key: bytes
    namespace: bytes
    hash: str

    @classmethod
    def parse(cls, armored: bytes) -> Self:
        """Read the first armored signature. Raises SignatureFault."""
        blob = _unarmored(armored)
        if not blob.startswith(_MAGIC):
            raise SignatureFault("malformed SSH signature: it does not begin with SSHSIG")
        version = int.from_bytes(blob[6:10], "big")
        if version != 1:
            raise SignatureFault(f"unsupported SSH signature version: {version}")
        fields, rest = [], blob[10:]
        for _ in range(5):
            field, rest = _string(rest)
            fields.append(field)
        key, namespace, _, name, _ = fields
        hash = name.decode("ascii", "replace")
        if hash not in _HASHES:
            raise SignatureFault(f"unsupported SSH signature hash algorithm: {hash[:40]!r}")
        if rest or not key:
            raise SignatureFault("malformed SSH signature: no key, or bytes that nothing names")
        return cls(version, key, namespace, hash)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.key)


def fingerprint(key: bytes) -> str:
    """SHA256:<base64>, as ssh-keygen -l shows a key. key: in wire form."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def authorized_key(text: bytes) -> tuple[str, bytes]:
    """Kind and wire form of the first key of a file in the form of authorized_keys (sshd(8)). Raises SignatureFault."""
    for line in text.splitlines():
        if line.lstrip().startswith(b"#"):
            continue
        for match in _KEY.finditer(_unquoted(line)):
            try:
                blob = base64.b64decode(match[2], validate=True)
                named, _ = _string(blob)
            except (binascii.Error, SignatureFault):
                continue
            if named == match[1] and b"-cert-" not in named:
                return named.decode(), blob
    raise SignatureFault("no SSH public key: the file holds none", "a line is: ssh-ed25519 AAAA... comment")


def verify(armored: bytes, signed: bytes, key: bytes, namespace: str, what: str) -> None:
    """That the key signed these bytes for this use. key: as for authorized_key. Raises SignatureFault, NotVerified."""
    signature = SSHSignatureBlob.parse(armored)
    kind, blob = authorized_key(key)
    if signature.namespace != namespace.encode():
        raise NotVerified(f"{what} is for another use: its namespace is {signature.namespace[:40]!r}, not {namespace}")
    if signature.key != blob:
        raise NotVerified(f"{what} is by another key: {signature.fingerprint}, not {fingerprint(blob)}")
    allowed = f'signer namespaces="{namespace}" {kind} {base64.b64encode(blob).decode()}\n'.encode()
    with ExitStack() as stack:
        files = [stack.enter_context(_MemoryFile(data)) for data in (allowed, armored, signed)]
        names = [f"/proc/self/fd/{file.fd}" for file in files]
        words = ["ssh-keygen", "-Y", "verify", "-f", names[0], "-I", "signer", "-n", namespace, "-s", names[1]]
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
        try:
            done = subprocess.run(
                words,
                stdin=files[2].fd,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                pass_fds=[file.fd for file in files[:2]],
                timeout=_WAIT,
                check=False,
            )
        except FileNotFoundError:
            raise MissingLibrary(
                "SSH signatures need ssh-keygen, which is not installed", "install OpenSSH's client"
            ) from None
        except subprocess.TimeoutExpired:
            raise SignatureFault(f"{what}: ssh-keygen did not answer in {_WAIT:.0f} s") from None
    if done.returncode != 0:
        said = next(iter(done.stdout.decode("ascii", "replace").splitlines()), f"status {done.returncode}")
        raise NotVerified(f"{what} does not verify: {said[:200]}")


class _MemoryFile:
    """Bytes as a file that has no name."""

    def __init__(self, data: bytes) -> None:
        self.fd = os.memfd_create("signature", os.MFD_CLOEXEC)
        try:
            with open(self.fd, "wb", closefd=False) as file:
                file.write(data)
            os.lseek(self.fd, 0, os.SEEK_SET)
        except BaseException:
            os.close(self.fd)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


def _unarmored(armored: bytes) -> bytes:
    if len(armored) > _LIMIT:
        raise SignatureFault(f"an SSH signature of {len(armored)} bytes is too large: more than {_LIMIT}")
    lines = armored.splitlines()
    if not lines or lines[0] != BEGIN or _END not in lines:
        raise SignatureFault("malformed SSH signature: its first or last line is missing")
    try:
        return base64.b64decode(b"".join(lines[1 : lines.index(_END)]), validate=True)
    except binascii.Error:
        raise SignatureFault("malformed SSH signature: it is not base64") from None


def _string(data: bytes) -> tuple[bytes, bytes]:
    """A `string` of RFC 4251 section 5, and what follows."""
    size = int.from_bytes(data[:4], "big")
    if len(data) < 4 + size:
        raise SignatureFault("malformed SSH key or signature: it ends in the middle")
    return data[4 : 4 + size], data[4 + size :]


def _unquoted(line: bytes) -> bytes:
    """A line with the quoted values of its options gone, in which a word may look like a key."""
    return re.sub(rb'"(?:[^"\\]|\\.)*"', b'""', line)
