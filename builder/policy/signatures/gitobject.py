"""GitObject: a commit or an annotated tag as git stores it: headers, message, signature, and what that signs.

git's own forms: git-hash-object(1), Documentation/gitformat-signature. Like BuildKit's gitobject, a commit is signed
without its `gpgsig` headers, a tag up to the signature that ends its message.
"""

from __future__ import annotations

import hashlib
import re
from typing import Self

import msgspec

from builder.errors import SignatureFault

LIMIT = 16 << 20  # bytes of one object: a message is text that somebody wrote
_BEGINS = (b"-----BEGIN PGP SIGNATURE-----", b"-----BEGIN SSH SIGNATURE-----")
_SIGNATURES = (b"gpgsig", b"gpgsig-sha256")
_REQUIRED = {"commit": ("tree", "author", "committer"), "tag": ("object", "type", "tag", "tagger")}
_NAME = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")


class GitObject(msgspec.Struct, frozen=True):
    """kind: "commit" or "tag". headers: values by name, in order. signature: armored, b"" if there is none.

    signed: the bytes that the signature is over. raw: all, as git hashes it.
    """

    kind: str
    headers: dict[str, tuple[str, ...]]
    message: str
    signature: bytes
    signed: bytes
    raw: bytes

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read what `git cat-file` gives of a commit or a tag. Raises SignatureFault where it is neither."""
        if len(raw) > LIMIT:
            raise SignatureFault(f"a git object of {len(raw)} bytes is too large: more than {LIMIT}")
        head, _, body = raw.partition(b"\n\n")
        kind = "tag" if raw.startswith(b"object ") else "commit"
        headers, kept, signatures = _headers(head, kind)
        if kind == "tag":
            text, signature = _cut(body)
            signed = head + b"\n\n" + text
            text = text.removesuffix(b"\n") if signature else text
        else:
            text, signature = body, signatures[0] if signatures else b""
            signed = kept + raw[len(head) :]
        for name in _REQUIRED[kind]:
            if name not in headers:
                raise SignatureFault(f"invalid {kind} object: missing {name} header")
        message = text.removesuffix(b"\n").decode("utf-8", "replace")
        return cls(kind, headers, message, signature, signed, raw)

    def first(self, name: str) -> str:
        """The first value of a header, "" if there is none."""
        return self.headers.get(name, ("",))[0]

    def check(self, name: str) -> None:
        """SignatureFault unless the object's name is this one: a sha1 or a sha256, in hexadecimal."""
        if not _NAME.match(name):
            raise SignatureFault(f"{name!r} is no name of a git object: want 40 or 64 hexadecimal digits")
        whole = f"{self.kind} {len(self.raw)}\0".encode() + self.raw
        if len(name) == 40:
            found = hashlib.sha1(whole, usedforsecurity=False).hexdigest()  # git's name for it, and all that there is
        else:
            found = hashlib.sha256(whole).hexdigest()
        if found != name:
            raise SignatureFault(f"checksum mismatch of a git object: expected {name}, got {found}")


def _headers(head: bytes, kind: str) -> tuple[dict[str, tuple[str, ...]], bytes, list[bytes]]:
    """Headers by name; the bytes of the head without a commit's signatures; those signatures."""
    found: dict[str, list[str]] = {}
    kept: list[bytes] = []
    signatures: list[list[bytes]] = []
    in_signature = False
    for line in head.split(b"\n"):
        name, space, value = line.partition(b" ")
        if kind == "commit" and space and name in _SIGNATURES:
            in_signature = True
            signatures.append([value])
        elif in_signature and not name and space:
            signatures[-1].append(value)
        else:
            in_signature = False
            kept.append(line)
            if space:
                found.setdefault(name.decode("utf-8", "replace"), []).append(value.decode("utf-8", "replace"))
    headers = {name: tuple(values) for name, values in found.items()}
    return headers, b"\n".join(kept), [b"\n".join(lines) for lines in signatures]


def _cut(body: bytes) -> tuple[bytes, bytes]:
    """A tag's message and the signature that begins with a line of its own."""
    at = 0
    for line in body.split(b"\n"):
        if line in _BEGINS:
            return body[:at], body[at:]
        at += len(line) + 1
    return body, b""
