"""Policies in Rego: --policy and the file beside the Dockerfile, as buildx has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = pytest.mark.e2e

DENY = 'package docker\ndefault allow := false\ndecision := {"allow": allow, "deny_msg": ["not here"]}\n'
ALLOW = 'package docker\ndecision := {"allow": true}\n'


def rego(*rules: str, more: str = "") -> str:
    return "\n".join(("package docker", "default allow := false", *rules, f'decision := {{"allow": allow{more}}}', ""))


@pytest.fixture
def stored(lapstrake: Lapstrake, tmp_path: Path) -> Lapstrake:
    """A store with the image `real:1`, whose label and variable a policy may look at."""
    text = "FROM base\nLABEL com.example.policy=label\nENV POLICY_ENV=envval\n"
    lapstrake.built(folder(tmp_path / "real", {"Dockerfile": text}), "-t", "real:1")
    return Lapstrake(lapstrake.store)


def test_images_by_their_parts(stored: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM real:1\nRUN true\n"})
    digest = stored.run("images", "--digests", "--format", "{{.Digest}}").out.strip()
    for rule, allowed in (
        ('input.image.repo == "real"', True),
        ('input.image.repo == "other"', False),
        ('input.image.fullRepo == "docker.io/library/real"', True),
        ('input.image.ref == "docker.io/library/real:1"', True),
        ('input.image.host == "docker.io"', True),
        ('input.image.host == "ghcr.io"', False),
        ('input.image.tag == "1"', True),
        ('input.image.tag == "latest"', False),
        ("input.image.isCanonical", False),
        (f'input.image.checksum == "{digest}"', True),
        (f'input.image.checksum == "sha256:{64 * "0"}"', False),
        ('input.image.labels["com.example.policy"] == "label"', True),
        ('input.image.env[_] == "POLICY_ENV=envval"', True),
        ('startswith(input.image.platform, "linux/")', True),
        ("input.env.depth == 0", True),
    ):
        (context / "policy.rego").write_text(rego("allow if not input.image", f"allow if {rule}"))
        done = stored.build(context, "--policy", f"filename={context}/policy.rego")
        assert (done.status == 0) is allowed, (rule, done.err)
        assert f"loading policies {context}/policy.rego" in done.err
        word = "ALLOW" if allowed else "DENY"
        assert "policy decision for source docker-image://docker.io/library/real:1 (linux/" in done.err
        assert f"): {word}" in done.err
        if not allowed:
            assert 'source "docker-image://docker.io/library/real:1" not allowed by policy: action DENY' in done.err


def test_a_cached_build_is_asked_about_too(stored: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM real:1\nRUN true\nCOPY a /\n", "a": "1"})
    stored.built(context)
    assert stored.built(context).cached == 2
    (context / "Dockerfile.rego").write_text(DENY)
    done = stored.refused(context)
    assert 'source "local://dockerfile" not allowed by policy: action DENY' in done.err
    assert "Policy: not here\n" in done.err
    assert " - not here" in done.err
    (context / "Dockerfile.rego").write_text(rego('allow if input.local.name == "dockerfile"', "allow if input.image"))
    assert 'source "local://context" not allowed by policy' in stored.refused(context).err
    (context / "Dockerfile.rego").write_text(rego("allow if input.local"))
    assert 'source "docker-image://docker.io/library/real:1" not allowed' in stored.refused(context).err
    (context / "Dockerfile.rego").write_text(ALLOW)
    assert stored.built(context).cached == 2
    (context / "Dockerfile.rego").unlink()
    assert "policies" not in stored.built(context).err
