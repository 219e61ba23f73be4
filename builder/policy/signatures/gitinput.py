"""Commit and Tag: what a policy sees of a git object, in the words of buildx's input (`input.git.commit`, `.tag`)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import msgspec

from builder.errors import SignatureFault
from builder.policy.signatures.gitobject import GitObject
from builder.policy.signatures.gitsignature import PGPSignature, SSHSignature, described

_ZONE = re.compile(r"([+-])([01]\d|2[0-3])([0-5]\d)\Z", re.ASCII)
_SECONDS = re.compile(r"[+-]?\d{1,12}\Z", re.ASCII)


class Actor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who, and when: an RFC 3339 time with the zone that was written."""

    name: str = ""
    email: str = ""
    when: str = ""


class Commit(msgspec.Struct, frozen=True, omit_defaults=True):
    """Fields as buildx's policy.Commit has them."""

    tree: str = ""
    parents: list[str] = []
    author: Actor | None = None
    committer: Actor | None = None
    message: str = ""
    pgp_signature: PGPSignature | None = msgspec.field(default=None, name="pgpSignature")
    ssh_signature: SSHSignature | None = msgspec.field(default=None, name="sshSignature")


class Tag(msgspec.Struct, frozen=True, omit_defaults=True):
    """Fields as buildx's policy.Tag has them. object: what it names; type: commit, tree, blob or tag."""

    object: str = ""
    type: str = ""
    tag: str = ""
    tagger: Actor | None = None
    message: str = ""
    pgp_signature: PGPSignature | None = msgspec.field(default=None, name="pgpSignature")
    ssh_signature: SSHSignature | None = msgspec.field(default=None, name="sshSignature")


def proved(raw: bytes, name: str, kind: str) -> GitObject:
    """A commit or tag. name: its sha1 or sha256, which is checked. Raises SignatureFault."""
    git = GitObject.parse(raw)
    git.check(name)
    if git.kind != kind:
        raise SignatureFault(f"{name} is a {git.kind}, no {kind}")
    return git


def commit_input(git: GitObject) -> Commit:
    pgp, ssh = described(git.signature)
    return Commit(
        tree=git.first("tree"),
        parents=list(git.headers.get("parent", ())),
        author=_actor(git.first("author")),
        committer=_actor(git.first("committer")),
        message=git.message,
        pgp_signature=pgp,
        ssh_signature=ssh,
    )


def tag_input(git: GitObject) -> Tag:
    pgp, ssh = described(git.signature)
    return Tag(
        object=git.first("object"),
        type=git.first("type"),
        tag=git.first("tag"),
        tagger=_actor(git.first("tagger")),
        message=git.message,
        pgp_signature=pgp,
        ssh_signature=ssh,
    )


def _actor(text: str) -> Actor | None:
    """`NAME <EMAIL> SECONDS ZONE`; the last brackets count, since a name may have some."""
    text = text.strip()
    start, end = text.rfind("<"), text.rfind(">")
    if start < 0 or end < start:
        return Actor(name=text) if text else None
    actor = Actor(text[:start].strip(), text[start + 1 : end].strip(), _when(text[end + 1 :].split()))
    return actor if actor != Actor() else None


def _when(words: list[str]) -> str:
    """Seconds and a zone as RFC 3339, "" where they are no time of the years 1 to 9999."""
    zone = _ZONE.match(words[1]) if len(words) > 1 else None
    if zone is None or not _SECONDS.match(words[0]):
        return ""
    offset = timedelta(hours=int(zone[2]), minutes=int(zone[3]))
    try:
        moment = datetime.fromtimestamp(
            int(words[0]), timezone(-offset if zone[1] == "-" else offset) if offset else UTC
        )
    except (OverflowError, OSError, ValueError):
        return ""
    return moment.isoformat().replace("+00:00", "Z")
