from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.policy.signatures.material import Material
from builder.policy.signatures.provenance import LIMIT, SLSA02, SLSA1, parse_provenance

V1: dict[str, Any] = {
    "buildDefinition": {
        "buildType": "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md",
        "externalParameters": {
            "configSource": {"uri": "https://x.test/r.git#v1", "digest": {"sha1": "ab"}, "path": "Dockerfile"},
            "request": {
                "frontend": "dockerfile.v0",
                "args": {"build-arg:A": "2", "build-arg:": "x", "force-network-mode": "none"},
                "locals": [{"name": "context"}],
            },
        },
        "internalParameters": {"builderPlatform": "linux/amd64", "buildConfig": {"llbDefinition": []}},
        "resolvedDependencies": [
            {"uri": "pkg:docker/alpine@3.19?platform=linux%2Farm64", "digest": {"sha256": "0" * 64}},
            {"uri": "ftp://x"},
            {"uri": "https://x.test/a.tar", "digest": {"sha256": "1" * 64}},
        ],
    },
    "runDetails": {
        "builder": {"id": "https://x.test/me"},
        "metadata": {
            "invocationId": "i1",
            "startedOn": "2026-11-25T11:25:38.901136331Z",
            "finishedOn": "2026-11-25T13:25:39+02:00",
            "buildkit_metadata": {"layers": {}},
            "buildkit_completeness": {"request": True, "resolvedDependencies": False},
            "buildkit_reproducible": True,
        },
    },
}
V02: dict[str, Any] = {
    "builder": {"id": "me"},
    "buildType": "https://mobyproject.org/buildkit@v1",
    "invocation": {
        "configSource": {"entryPoint": "Dockerfile"},
        "parameters": {"frontend": "gateway.v0", "args": {"build-arg:A": "2"}},
        "environment": {"platform": "linux/amd64"},
    },
    "materials": [{"uri": "https://x.test/r.git#v1", "digest": {"sha1": "ab"}}],
    "metadata": {
        "buildInvocationID": "i2",
        "buildStartedOn": "2026-11-25T11:25:38Z",
        "completeness": {"parameters": True, "environment": True, "materials": False},
        "reproducible": False,
        "https://mobyproject.org/buildkit@v1#hermetic": True,
    },
}


def statement(predicate: object, kind: str | None) -> bytes:
    typed = {} if kind is None else {"predicateType": kind}
    return json.dumps({"_type": "https://in-toto.io/Statement/v0.1", **typed, "predicate": predicate}).encode()


def test_v1() -> None:
    found = parse_provenance(statement(V1, SLSA1), SLSA1)
    assert found is not None
    assert msgspec.to_builtins(found.shown) == {
        "predicateType": SLSA1,
        "buildType": V1["buildDefinition"]["buildType"],
        "builderID": "https://x.test/me",
        "invocationID": "i1",
        "startedOn": "2026-11-25T11:25:38Z",
        "finishedOn": "2026-11-25T11:25:39Z",
        "configSource": {"uri": "https://x.test/r.git#v1", "digest": {"sha1": "ab"}, "path": "Dockerfile"},
        "frontend": "dockerfile.v0",
        "buildArgs": {"A": "2"},
        "rawArgs": {"build-arg:A": "2", "build-arg:": "x", "force-network-mode": "none"},
        "reproducible": True,
        "hermetic": False,
        "completeness": {"parameters": True, "materials": False},
    }
    assert [(one.kind, one.source) for one in found.sources] == [
        ("image", f"docker-image://docker.io/library/alpine:3.19@sha256:{'0' * 64}"),
        ("http", "https://x.test/a.tar"),
    ]
    assert str(found.sources[0].platform) == "linux/arm64"


@pytest.mark.parametrize("kind", [SLSA02, None])
def test_v02(kind: str | None) -> None:
    found = parse_provenance(statement(V02, kind), SLSA02)
    assert found is not None
    assert msgspec.to_builtins(found.shown) == {
        "predicateType": SLSA02,
        "buildType": "https://mobyproject.org/buildkit@v1",
        "builderID": "me",
        "invocationID": "i2",
        "startedOn": "2026-11-25T11:25:38Z",
        "configSource": {"path": "Dockerfile"},
        "frontend": "gateway.v0",
        "buildArgs": {"A": "2"},
        "rawArgs": {"build-arg:A": "2"},
        "reproducible": False,
        "hermetic": True,
        "completeness": {"parameters": True, "environment": True, "materials": False},
    }
    assert found.sources == (Material("git://x.test/r.git#v1", "https://x.test/r.git#v1"),)


def test_the_least_that_is_one() -> None:
    for predicate, kind in (
        ({"buildDefinition": {"buildType": "t"}}, SLSA1),
        ({"buildType": "t", "metadata": None}, SLSA02),
    ):
        found = parse_provenance(statement(predicate, kind), kind)
        assert found is not None
        assert msgspec.to_builtins(found.shown) == {"predicateType": kind, "buildType": "t", "configSource": {}}


def test_what_it_says_of_itself_counts() -> None:
    """The annotation is only the manifest's word."""
    found = parse_provenance(statement(V02, SLSA02), SLSA1)
    assert found is not None and found.shown.predicate_type == SLSA02
    assert parse_provenance(statement(V02, "https://spdx.dev/Document"), SLSA02) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"predicate": null}',
        b'{"predicate": {}}',
        b'{"predicate": 1}',
        b"\xff",
        b"[" * 100_000,
        statement({**V1, "runDetails": []}, SLSA1),
        statement({"buildDefinition": {"buildType": 1}}, SLSA1),
        statement({"runDetails": {"builder": {"id": "x"}, "metadata": {"startedOn": "yesterday"}}}, SLSA1),
    ],
)
def test_what_is_none(raw: bytes) -> None:
    assert parse_provenance(raw, SLSA1) is None


def test_too_large() -> None:
    raw = statement(V1, SLSA1)
    assert parse_provenance(raw + b" " * LIMIT, SLSA1) is None
    assert parse_provenance(raw, "https://spdx.dev/Document") is None


NAMES = sorted({*V1, *V02, *V1["buildDefinition"], *V1["runDetails"], *V1["runDetails"]["metadata"], "uri"})
LEAVES = st.none() | st.booleans() | st.text(max_size=5)


@given(
    st.recursive(
        LEAVES,
        lambda inner: st.dictionaries(st.sampled_from(NAMES), inner, max_size=4) | st.lists(inner, max_size=3),
        max_leaves=12,
    )
)
def test_any_predicate(predicate: object) -> None:
    for kind in (SLSA1, SLSA02):
        found = parse_provenance(statement(predicate, kind), kind)
        if found is not None:
            json.dumps(msgspec.to_builtins(found.shown))
