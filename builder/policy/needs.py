"""What is to be found out of a source for a field of the input, if the evaluation comes to it."""

from __future__ import annotations

from builder.policy.input import Input

CONFIG, DIGEST, ATTESTATIONS, PROVENANCE = "image.config", "image.checksum", "image.signatures", "image.provenance"
CONTENT = "http.checksum"
REF, OBJECTS = "git.ref", "git.objects"

_FIELDS: dict[str, dict[str, str]] = {
    "image": {
        "checksum": DIGEST, "labels": CONFIG, "user": CONFIG, "volumes": CONFIG, "workingDir": CONFIG, "env": CONFIG,
        "createdTime": CONFIG, "hasProvenance": PROVENANCE, "signatures": ATTESTATIONS, "provenance": PROVENANCE,
    },
    "http": {"checksum": CONTENT},
    "git": {
        "tagName": REF, "branch": REF, "ref": REF, "checksum": REF, "isAnnotatedTag": REF, "commitChecksum": REF,
        "isSHA256": REF, "tag": OBJECTS, "commit": OBJECTS,
    },
}  # fmt: skip


def field_need(field: str) -> str:
    """What is to be found out for a field, `image.labels`; "" for one that is known anyway, or that there is not."""
    kind, _, name = field.partition(".")
    return _FIELDS.get(kind, {}).get(name.partition(".")[0].partition("[")[0], "")


def unresolved(found: Input, resolved: frozenset[str]) -> tuple[str, ...]:
    """Fields, `image.labels`, that are not known yet. resolved: what has been found out."""
    kind = next((kind for kind in _FIELDS if getattr(found, kind) is not None), "")
    known = set(resolved)
    if found.image is not None and (found.image.is_canonical or CONFIG in resolved):
        known.add(DIGEST)
    if found.git is not None and (found.git.is_commit_ref or OBJECTS in resolved):
        known.add(REF)
    named = found.git is not None and bool(found.git.ref)
    return tuple(
        f"{kind}.{name}"
        for name, need in _FIELDS.get(kind, {}).items()
        if need not in known and not (named and name in ("ref", "branch", "tagName"))
    )
