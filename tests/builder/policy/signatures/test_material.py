from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import ImageFault
from builder.policy.signatures.material import Material, ResourceDescriptor, parse_docker_purl, parse_material
from cache.errors import Fault

A, B = "a" * 64, "b" * 64


def parsed(uri: str, **digest: str) -> Material | None:
    return parse_material(ResourceDescriptor(uri, digest))


@pytest.mark.parametrize(
    ("uri", "digest", "source"),
    [
        ("pkg:docker/alpine", {}, "docker.io/library/alpine:latest"),
        ("pkg:docker/alpine@3.19", {}, "docker.io/library/alpine:3.19"),
        ("pkg:docker/x/y@z", {"sha256": A}, f"docker.io/x/y:z@sha256:{A}"),
        ("pkg:docker/ghcr.io/x/y@z", {"sha256": f" sha256:{A}"}, f"ghcr.io/x/y:z@sha256:{A}"),
        ("pkg:docker/localhost%3A5000/y@z?digest=sha256%3A" + A, {"sha256": A}, f"localhost:5000/y:z@sha256:{A}"),
        (f"pkg:docker/y@sha256:{A}", {}, f"docker.io/library/y@sha256:{A}"),
        (f"pkg:docker/y@sha256%3A{A}?digest=sha256:{A}", {}, f"docker.io/library/y@sha256:{A}"),
        (f"pkg:docker/y?digest=sha256:{A}", {}, f"docker.io/library/y@sha256:{A}"),
        ("pkg:docker/y@1?x=y&&=#part", {}, "docker.io/library/y:1"),
        ("pkg:docker/y@1", {"sha512": "x"}, "docker.io/library/y:1"),
    ],
)
def test_images(uri: str, digest: dict[str, str], source: str) -> None:
    found = parsed(uri, **digest)
    assert found is not None
    assert (found.source, found.kind, found.url, found.platform) == (f"docker-image://{source}", "image", "", None)


def test_the_platform_of_an_image() -> None:
    found = parsed("pkg:docker/y@1?PLATFORM=windows(10.0.1)%2Famd64")
    assert found is not None and found.platform is not None
    assert (str(found.platform), found.platform.os_version) == ("windows/amd64", "")


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        ("https://x.test/r.git", "git://x.test/r.git"),
        ("https://u:p@x.test:8443/a/r.GIT#v1:/sub/../b", "git://x.test:8443/a/r.GIT#v1:b"),
        ("http://x.test/r.git#:s", "git://x.test/r.git#:s"),
        ("https://x.test/r.git#v1:", "git://x.test/r.git#v1"),
        ("ssh://git@x.test/r", "git://x.test/r"),
        ("git://x.test//r/", "git://x.test/r"),
        ("git@x.test:o/r.git#main", "git://x.test/o/r.git#main"),
    ],
)
def test_git(uri: str, source: str) -> None:
    assert parsed(uri) == Material(source, url=uri)


def test_urls() -> None:
    for uri in ("https://x.test/a.tar?b#c", "http://x.test", "https://x.test/r.git/a"):
        assert parsed(uri) == Material(uri)


@pytest.mark.parametrize(
    ("uri", "digest"),
    [
        ("", {}),
        ("alpine", {}),
        ("ftp://x/y.git", {}),
        ("HTTPS://x.test/a.tar", {}),
        ("pkg:npm/x@1", {}),
        ("pkg:docker/", {}),
        ("pkg:docker/A", {}),
        ("pkg:docker/y@a b", {}),
        ("pkg:docker/y@1?platform=a%2Fb%2Fc%2Fd", {}),
        ("pkg:docker/y@1", {"sha256": "x"}),
        (f"pkg:docker/y@sha256:{A}", {"sha256": B}),
        (f"pkg:docker/y@sha256:{A}?digest=sha256:{B}", {}),
        ("https://[x/r.git", {}),
        ("ssh://x.test:port/r", {}),
    ],
)
def test_what_is_no_source(uri: str, digest: dict[str, str]) -> None:
    assert parsed(uri, **digest) is None
    assert parse_material(ResourceDescriptor(None, None)) is None


def test_a_package_of_another_kind() -> None:
    with pytest.raises(ImageFault, match="not a package URL of a docker image"):
        parse_docker_purl("pkg:npm/x")


@given(st.text(max_size=40))
def test_any_text(text: str) -> None:
    for begin in ("", "pkg:docker/", "https://", "ssh://", "a@b:"):
        parse_material(ResourceDescriptor(begin + text, {"sha256": text}))
    try:
        parse_docker_purl("pkg:docker/" + text)
    except Fault:
        pass
