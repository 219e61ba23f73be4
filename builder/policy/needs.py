"""Which parts of the input a policy looks at: what costs a request is asked for only where its text names it.

A name counts wherever it stands, as `.labels` or as "labels", unless it follows `input.` and another kind of source. So
nothing that is looked at is missing; now and then something is asked for that the policy would not have reached.
"""

from __future__ import annotations

from collections.abc import Iterable

from builder.policy.input import Input
from builder.policy.module import Module
from builder.policy.tokens import Token

CONFIG, DIGEST, ATTESTATIONS, PROVENANCE = "image.config", "image.checksum", "image.signatures", "image.provenance"
CONTENT = "http.checksum"
REF, OBJECTS = "git.ref", "git.objects"

_FIELDS: dict[str, dict[str, str]] = {
    "image": {
        "checksum": DIGEST, "labels": CONFIG, "user": CONFIG, "volumes": CONFIG, "workingDir": CONFIG, "env": CONFIG,
        "createdTime": CONFIG, "hasProvenance": ATTESTATIONS, "signatures": ATTESTATIONS, "provenance": PROVENANCE,
    },
    "http": {"checksum": CONTENT},
    "git": {
        "tagName": REF, "branch": REF, "ref": REF, "checksum": REF, "isAnnotatedTag": REF, "commitChecksum": REF,
        "isSHA256": REF, "tag": OBJECTS, "commit": OBJECTS,
    },
}  # fmt: skip
_CALLS = {
    "docker_github_builder": ATTESTATIONS,
    "docker_github_builder_tag": ATTESTATIONS,
    "docker_github_builder_bundle": CONTENT,
    "github_release_attestation": CONTENT,
    "artifact_attestation": CONTENT,
    "github_attestation": CONTENT,
    "verify_git_signature": OBJECTS,
}
_WHOLE = ("json.", "yaml.", "object.", "sprintf", "count", "walk")  # functions that look at all there is in a value


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
        if need not in known and name != "createdTime" and not (named and name in ("ref", "branch", "tagName"))
    )


def needs(modules: Iterable[Module]) -> frozenset[str]:
    """Names of the above."""
    found: set[str] = set()
    for module in modules:
        for number, token in enumerate(module.tokens):
            if token.kind == "string" or (token.kind == "name" and _is_field(module.tokens, number)):
                found |= _named(module.tokens, number, token)
            elif token.kind == "name" and token.text == "input":
                found |= _dynamic(module.tokens, number)
        for call in module.calls():
            if call.name in _CALLS:
                found.add(_CALLS[call.name])
            if call.name.startswith(_WHOLE):
                found |= _whole(module.tokens, call.at)
    return frozenset(found)


def _is_field(tokens: tuple[Token, ...], number: int) -> bool:
    return number > 0 and tokens[number - 1].kind == "mark" and tokens[number - 1].text == "."


def _named(tokens: tuple[Token, ...], number: int, token: Token) -> set[str]:
    path = _before(tokens, number)
    if path and path[0] == "input":
        if len(path) != 2:
            return _deep(path, token.text)
        need = _FIELDS.get(path[1] or "", {}).get(token.text)
        return {need} if need else set()
    return {fields[token.text] for fields in _FIELDS.values() if token.text in fields}


def _deep(path: list[str], name: str) -> set[str]:
    """A part below a field: of the materials of an image, which are inputs themselves."""
    if "materials" not in path:
        return set()
    return {fields[name] for fields in _FIELDS.values() if name in fields}


def _before(tokens: tuple[Token, ...], number: int) -> list[str]:
    """The parts of a reference that stand before one of them, `input`, `image` before `labels`; "" for an index."""
    parts: list[str] = []
    at = number
    while at > 0:
        mark = tokens[at - 1]
        if mark.kind != "mark" or mark.text not in (".", "["):
            break
        at = at - 2 if mark.text == "." or tokens[at - 1].joined else -1
        if at < 0:
            return []
        if tokens[at].kind == "mark" and tokens[at].text == "]":
            depth = 1
            inside = at
            while at > 0 and depth:
                at -= 1
                if tokens[at].kind == "mark":
                    depth += {"]": 1, "[": -1}.get(tokens[at].text, 0)
            single = inside - at == 2 and tokens[at + 1].kind == "string"
            parts.insert(0, tokens[at + 1].text if single else "")
            at += 1  # the bracket opens behind the part before it
            continue
        if tokens[at].kind != "name":
            return []
        parts.insert(0, tokens[at].text)
    return parts


def _dynamic(tokens: tuple[Token, ...], number: int) -> set[str]:
    """`input[x]`, `input.image[x]` and `some k, v in input.image`: any field may be meant."""
    path, at = _after(tokens, number)
    bare = number and tokens[number - 1].kind == "name" and tokens[number - 1].text == "in"
    opens = at < len(tokens) and tokens[at].kind == "mark" and tokens[at].text == "[" and tokens[at].joined
    if opens or bare:
        return _all(path)
    return set()


def _whole(tokens: tuple[Token, ...], at: int) -> set[str]:
    """`input` or `input.image` as an argument of a call that begins at a token."""
    found: set[str] = set()
    depth = 1
    while at < len(tokens) and depth:
        token = tokens[at]
        if token.kind == "mark":
            depth += {"(": 1, ")": -1}.get(token.text, 0)
        elif token.kind == "name" and token.text == "input" and not _is_field(tokens, at):
            path, _ = _after(tokens, at)
            found |= _all(path)
        at += 1
    return found


def _all(path: list[str]) -> set[str]:
    if not path:
        return {need for fields in _FIELDS.values() for need in fields.values()}
    return set(_FIELDS.get(path[0], {}).values()) if len(path) == 1 else set()


def _after(tokens: tuple[Token, ...], number: int) -> tuple[list[str], int]:
    """The parts that follow `input`, as far as they are said, and the index of the token behind them."""
    path, at = [], number + 1
    while at + 1 < len(tokens) and tokens[at].kind == "mark":
        if tokens[at].text == "." and tokens[at + 1].kind == "name":
            path.append(tokens[at + 1].text)
            at += 2
        elif (
            tokens[at].text == "["
            and tokens[at + 1].kind == "string"
            and at + 2 < len(tokens)
            and tokens[at + 2].text == "]"
        ):
            path.append(tokens[at + 1].text)
            at += 3
        else:
            break
    return path, at
