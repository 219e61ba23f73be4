"""Annotations: their two spellings, and where they go."""

from __future__ import annotations

import pytest

from builder.errors import OutputFault
from builder.export.annotations import Annotation, from_attribute, from_option, of_image, of_index
from builder.oci.platform import Platform

AMD = Platform(architecture="amd64", os="linux")
ARM = Platform(architecture="arm64", os="linux")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a=b", [Annotation("manifest", "a", "b")]),
        ("a=", [Annotation("manifest", "a", "")]),
        ("index:a=b=c", [Annotation("index", "a", "b=c")]),
        (
            "manifest,manifest-descriptor[linux/arm64]:a=b",
            [Annotation("manifest", "a", "b"), Annotation("manifest-descriptor", "a", "b", ARM)],
        ),
    ],
)
def test_option(text: str, found: list[Annotation]) -> None:
    assert list(from_option(text)) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", 'invalid annotation "a", expected key=value'),
        (
            "manifest[:a=b",
            'invalid annotation type "manifest[", expected type and optional platform in square brackets',
        ),
        ("layer:a=b", 'unknown annotation type "layer"'),
    ],
)
def test_option_errors(text: str, message: str) -> None:
    with pytest.raises(OutputFault) as caught:
        from_option(text)
    assert caught.value.message == message


def test_attribute() -> None:
    assert from_attribute("annotation.a.b", "c") == Annotation("manifest", "a.b", "c")
    assert from_attribute("annotation-manifest-descriptor[linux/amd64].a", "c") == Annotation(
        "manifest-descriptor", "a", "c", AMD
    )
    assert from_attribute("annotations", "c") is None
    with pytest.raises(OutputFault, match="unrecognized annotation type layer"):
        from_attribute("annotation-layer.a", "c")


def test_of_image() -> None:
    given = [Annotation("manifest", "a", "2", AMD), Annotation("manifest", "a", "1"), Annotation("manifest", "b", "1")]
    given.append(Annotation("manifest-descriptor", "d", "3"))
    assert of_image(given, AMD) == ({"a": "2", "b": "1"}, {"d": "3"})
    other = [Annotation("manifest", "a", "2", ARM), Annotation("manifest-descriptor", "a", "2", ARM)]
    assert of_image(other, AMD) == ({}, {})
    for platform in (None, AMD, ARM):
        for kind in ("index", "index-descriptor"):
            with pytest.raises(OutputFault, match="index annotations not supported for single platform export"):
                of_image([Annotation(kind, "a", "2", platform)], AMD)


def test_of_index() -> None:
    given = [
        Annotation("index", "a", "1"), Annotation("index-descriptor", "d", "2"), Annotation("manifest", "m", "3", ARM),
    ]  # fmt: skip
    assert of_index(given, [AMD, ARM]) == ({"a": "1"}, {"d": "2"})
    assert of_image(given, AMD, joined=True) == ({}, {})
    assert of_image(given, ARM, joined=True) == ({"m": "3"}, {})
    with pytest.raises(OutputFault, match="invalid annotation: no platform linux/arm64 found in source"):
        of_index(given, [AMD])
