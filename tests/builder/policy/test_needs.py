from __future__ import annotations

import pytest

from builder.policy.input import Git, Http, Image, Input
from builder.policy.module import Module
from builder.policy.needs import field_need, needs, unresolved

EVERYTHING = {
    "git.objects", "git.ref", "http.checksum", "image.checksum", "image.config", "image.provenance", "image.signatures",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('allow if input.image.repo == "x"', set()),
        ('allow if input.image.tag == "v1"', set()),
        ('allow if input.http.url == "x"', set()),
        ("allow if input.env.labels.x", set()),
        ('allow if input["image"]["checksum"] == "x"', {"image.checksum"}),
        ("allow if input.http.checksum", {"http.checksum"}),
        ("allow if input.git.branch", {"git.ref"}),
        ('allow if input.git.commit.message == "x"', {"git.objects"}),
        ("i := input.image\nallow if i.labels.x", {"image.config"}),
        ("import input.image as i\nallow if i.user", {"image.config"}),
        ("f(i) if i.volumes[0]\nallow if f(input.image)", {"image.config"}),
        ('names := ["labels"]', {"image.config"}),
        ('allow if object.get(input.image, "us" , 1)', EVERYTHING - {"git.objects", "git.ref", "http.checksum"}),
        ("allow if input[x][y]", EVERYTHING),
        ("allow if input.http[x]", {"http.checksum"}),
        ("allow if { some k, v in input.http; v == 1 }", {"http.checksum"}),
        ('allow if json.marshal(input.http) == "x"', {"http.checksum"}),
        ('m := sprintf("%v", [input.http])', {"http.checksum"}),
        ("allow if print(input.image)", set()),
        ("allow if { input.image }", set()),
        ("allow if { not input.http }", set()),
        ('allow if docker_github_builder(input.image, "a/b")', {"image.signatures"}),
        ("allow if github_release_attestation(input.http)", {"http.checksum"}),
        ('allow if verify_git_signature(input.git.commit, "k")', {"git.objects"}),
        ('allow if input.image.labels["com.x.env"] == "env"', {"image.config"}),
        ("allow if input.image.provenance.materials[_].http.checksum", {"image.provenance", "http.checksum"}),
    ],
)
def test_what_a_policy_looks_at(text: str, found: set[str]) -> None:
    got = needs([Module.read("p", f"package docker\n{text}\n".encode())])
    assert got == found or ("materials" in text and got >= found)


def test_what_is_not_known_yet() -> None:
    plain = Input(image=Image(ref="a"))
    assert unresolved(plain, frozenset()) == (
        "image.checksum", "image.labels", "image.user", "image.volumes", "image.workingDir", "image.env",
        "image.hasProvenance", "image.signatures", "image.provenance",
    )  # fmt: skip
    assert unresolved(plain, frozenset({"image.config"}))[0] == "image.hasProvenance"
    assert "image.checksum" not in unresolved(Input(image=Image(is_canonical=True)), frozenset())
    assert unresolved(Input(http=Http(url="x")), frozenset()) == ("http.checksum",)
    assert unresolved(Input(git=Git(ref="refs/tags/x", tag_name="x")), frozenset())[:2] == (
        "git.checksum",
        "git.isAnnotatedTag",
    )
    assert unresolved(Input(git=Git(is_commit_ref=True)), frozenset()) == ("git.tag", "git.commit")
    assert field_need("image.labels.x") == "image.config"
    assert field_need("image.repo") == field_need("nope") == ""
