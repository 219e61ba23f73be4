from __future__ import annotations

from builder.policy.input import Git, Http, Image, Input
from builder.policy.needs import field_need, unresolved


def test_what_is_not_known_yet() -> None:
    plain = Input(image=Image(ref="a"))
    assert unresolved(plain, frozenset()) == (
        "image.checksum", "image.labels", "image.user", "image.volumes", "image.workingDir", "image.env",
        "image.createdTime", "image.hasProvenance", "image.signatures", "image.provenance",
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
