from __future__ import annotations

import pytest

from builder.errors import ImageFault
from builder.oci.reference import Reference

HEX = "a" * 64


@pytest.mark.parametrize(
    ("text", "canonical", "familiar"),
    [
        ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("user/app", "docker.io/user/app:latest", "user/app:latest"),
        ("docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("index.docker.io/library/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("ghcr.io/x/y/z:v1", "ghcr.io/x/y/z:v1", "ghcr.io/x/y/z:v1"),
        ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
        ("localhost:5000/app:1", "localhost:5000/app:1", "localhost:5000/app:1"),
        ("[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest"),
        (f"app@sha256:{HEX}", f"docker.io/library/app@sha256:{HEX}", f"app@sha256:{HEX}"),
        (f"app:1@sha256:{HEX}", f"docker.io/library/app:1@sha256:{HEX}", f"app:1@sha256:{HEX}"),
        ("a__b/c-d--e.f", "docker.io/a__b/c-d--e.f:latest", "a__b/c-d--e.f:latest"),
    ],
)
def test_names(text: str, canonical: str, familiar: str) -> None:
    reference = Reference.parse(text)
    assert str(reference) == canonical
    assert reference.familiar == familiar
    assert Reference.parse(canonical) == reference == Reference.parse(familiar)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "UPPER", "a b", "-a", "a-", "a..b", "a//b", "/a", "a/", "a:", "a:b:c", "a:-tag", f"a:{'t' * 129}",
        "a@", "a@sha256:", "a@sha256:abc", f"a@sha256:{HEX.upper()}", f"a@md5:{HEX}", "../../etc/passwd", "a/../b",
        "a\nb", "a\0b", "busybox\n", "busybox:1\n", "http://a/b", "a.b:port/c", f"{'x' * 256}", "ä", "a:ä", ".", "..",
        "$(id)", "a;b", "a.io/", "[::1/a", "-oProxyCommand=x/a", "a.io/-x",
    ],
)  # fmt: skip
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(ImageFault, match="invalid reference format"):
        Reference.parse(text)


def test_the_case_is_named() -> None:
    with pytest.raises(ImageFault, match=r"repository name \(user/App\) must be lowercase"):
        Reference.parse("user/App")
