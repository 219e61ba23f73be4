from __future__ import annotations

import json

import pytest

from builder.errors import SourceFault
from builder.graph.operation import GitSource, HttpSource
from builder.source.policy import SourcePolicy, git_identifier
from builder.source.sourcerules import SourceRules

SHA = "sha256:" + "ab" * 32


def policy(*rules: dict[str, object]) -> SourcePolicy:
    return SourcePolicy.parse(json.dumps({"rules": rules}).encode(), "policy.json")


def rule(
    action: object, identifier: str, match: object = "WILDCARD", to: str = "", **more: object
) -> dict[str, object]:
    selector = {"identifier": identifier, "matchType": match, **more}
    return {"action": action, "selector": selector, **({"updates": {"identifier": to}} if to else {})}


@pytest.mark.parametrize(
    ("given", "used"),
    [
        (("docker-image://docker.io/library/alpine:3", "EXACT", f"docker-image://docker.io/library/alpine:3@{SHA}"),
         f"docker.io/library/alpine:3@{SHA}"),
        (("docker-image://docker.io/library/*:3", "WILDCARD", "docker-image://mirror.example/${1}:3"),
         "mirror.example/alpine:3"),
        (("docker-image://docker.io/(.*)/(?P<name>[a-z]+):", "REGEX", "docker-image://example.com/$1/${name}-x:"),
         "example.com/library/alpine-x:3"),
        (("docker-image://docker.io/library/(.*)", "REGEX", "docker-image://example.com/$2$$1${1}"), None),
        (("docker-image://docker.io/library/busybox:*", 0, "docker-image://example.com/a"), "alpine:3"),
        (("docker-image://docker.io/library/*", "EXACT", "docker-image://example.com/a"), "alpine:3"),
    ],
)  # fmt: skip
def test_images_are_converted(given: tuple[str, object, str], used: str | None) -> None:
    identifier, match, to = given
    made = policy(rule("CONVERT", identifier, match, to))
    if used is None:
        assert made.image("alpine:3") == "example.com/$1alpine:3"
    else:
        assert made.image("alpine:3") == used


@pytest.mark.parametrize(
    ("actions", "denied"),
    [
        (("DENY",), True), (("DENY", "ALLOW"), False), (("ALLOW", "DENY"), True), ((1,), True), (("ALLOW",), False),
    ],
)  # fmt: skip
def test_the_last_rule_that_fits_decides(actions: tuple[object, ...], denied: bool) -> None:
    made = policy(*(rule(action, "docker-image://docker.io/library/alpine:*") for action in actions))
    if denied:
        with pytest.raises(
            SourceFault, match=r'source "docker-image://docker.io/library/alpine:latest" denied by policy'
        ):
            made.image("alpine")
    else:
        assert made.image("alpine") == "alpine"
    assert made.image("busybox") == "busybox"


def test_what_stands_in_is_judged_too() -> None:
    made = policy(
        rule("CONVERT", "docker-image://docker.io/library/a:1", "EXACT", "docker-image://docker.io/library/b:1"),
        rule("DENY", "docker-image://docker.io/library/b:*"),
    )
    with pytest.raises(SourceFault, match="library/b:1"):
        made.image("a:1")


def test_a_circle_ends() -> None:
    made = policy(
        rule("CONVERT", "docker-image://docker.io/library/a:1", "EXACT", "docker-image://docker.io/library/b:1"),
        rule("CONVERT", "docker-image://docker.io/library/b:1", "EXACT", "docker-image://docker.io/library/a:1"),
    )
    with pytest.raises(SourceFault, match="too many operations"):
        made.image("a:1")


def test_a_checksum_may_be_asked_for_or_set() -> None:
    made = policy(
        rule("DENY", "https://example.com/*", constraints=[{"key": "http.checksum", "value": ""}]),
        {
            "action": "CONVERT",
            "selector": {"identifier": "https://example.com/known"},
            "updates": {"attrs": {"http.checksum": SHA}},
        },
    )
    assert made.remote(HttpSource(url="https://example.com/known", name="known")).checksum == SHA
    pinned = HttpSource(url="https://example.com/x", name="x", checksum=SHA)
    assert made.remote(pinned) == pinned
    with pytest.raises(SourceFault, match="denied"):
        made.remote(HttpSource(url="https://example.com/x", name="x"))


@pytest.mark.parametrize(
    ("condition", "value", "denied"),
    [("EQUAL", SHA, True), ("NOTEQUAL", SHA, False), ("MATCHES", "^sha256:ab", True), ("MATCHES", "^md5", False)],
)
def test_constraints(condition: str, value: str, denied: bool) -> None:
    constraint = {"key": "http.checksum", "value": value, "condition": condition}
    made = policy(rule("DENY", "https://*", constraints=[constraint]))
    source = HttpSource(url="https://example.com/x", name="x", checksum=SHA)
    if denied:
        with pytest.raises(SourceFault):
            made.remote(source)
    else:
        assert made.remote(source) == source


@pytest.mark.parametrize(
    ("remote", "ref", "subdir", "identifier"),
    [
        ("https://example.com/a/b.git", "", "", "git://example.com/a/b.git"),
        ("https://me@example.com/a.git", "v1", "", "git://example.com/a.git#v1"),
        ("git@example.com:a/b.git", "v1", "x", "git://example.com/a/b.git#v1:x"),
        ("ssh://git@example.com:22/a.git", "", "x", "git://example.com:22/a.git#:x"),
    ],
)
def test_repositories_have_one_name_for_all_protocols(remote: str, ref: str, subdir: str, identifier: str) -> None:
    assert git_identifier(GitSource(remote=remote, ref=ref, subdir=subdir)) == identifier


def test_repositories_are_converted() -> None:
    made = policy(rule("CONVERT", "git://example.com/a.git#*", "WILDCARD", "git://mirror.example/a.git#${1}"))
    used = made.remote(GitSource(remote="https://example.com/a.git", ref="v1"))
    assert (used.remote, used.ref) == ("https://mirror.example/a.git", "v1")  # type: ignore[union-attr]


def test_folders_of_the_client() -> None:
    policy(rule("ALLOW", "local://context")).local("context")
    with pytest.raises(SourceFault, match='source "local://context" denied by policy'):
        policy(rule("DENY", "local://*")).local("context")


@pytest.mark.parametrize("kind", ["oci-layout", "docker-archive"])
def test_images_in_files_of_the_client(kind: str) -> None:
    only = rule("DENY", "*"), rule("ALLOW", "docker-image://*")
    with pytest.raises(SourceFault, match=f'source "{kind}://base" denied by policy'):
        SourceRules(policy(*only)).archive(kind, "base")
    SourceRules(policy(*only, rule("ALLOW", f"{kind}://base"))).archive(kind, "base")
    with pytest.raises(SourceFault, match="cannot be converted"):
        SourceRules(policy(rule("CONVERT", "*", "WILDCARD", "docker-image://a"))).archive(kind, "base")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "failed to parse policy"),
        ('{"rules": 3}', "failed to parse policy"),
        ('{"version": 2}', "unsupported policy version: 2"),
        ('{"rules": [{"action": "FORBID", "selector": {"identifier": "a"}}]}', "invalid PolicyAction value: FORBID"),
        ('{"rules": [{"action": 7, "selector": {"identifier": "a"}}]}', "invalid PolicyAction value: 7"),
        ('{"rules": [{"selector": {"identifier": "a", "matchType": "GLOB"}}]}', "invalid MatchType value: GLOB"),
        ('{"rules": [{"selector": {"identifier": "a(", "matchType": "REGEX"}}]}', "invalid regex"),
        ('{"rules": [{"selector": {"identifier": "a**"}}]}', "invalid wildcard"),
        ('{"rules": [{"action": "CONVERT", "selector": {"identifier": "a"}}]}', "missing destination for convert rule"),
    ],
)
def test_what_is_no_policy(text: str, message: str) -> None:
    with pytest.raises(SourceFault, match=message):
        SourcePolicy.parse(text.encode(), "policy.json")


def test_a_source_stays_of_its_kind() -> None:
    made = policy(rule("CONVERT", "docker-image://*", "WILDCARD", "https://example.com/${1}"))
    with pytest.raises(SourceFault, match="of another kind"):
        made.image("alpine")
