"""Fields and columns as Docker's tools have them (tonistiigi/go-csvvalue)."""

from __future__ import annotations

import pytest

from builder.oci.csvfields import fields
from cache.errors import Fault


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        (",", ["", ""]),
        (" a, b ", [" a", " b "]),
        ('"a,b",c', ["a,b", "c"]),
        ('"a ""b""",c', ['a "b"', "c"]),
        ('""', [""]),
        ('"",', ["", ""]),
        ('"a\nb"', ["a\nb"]),
        ('"src=/a,b",id=c', ["src=/a,b", "id=c"]),
    ],
)
def test_fields(text: str, found: list[str]) -> None:
    assert fields(text) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "EOF"),
        ('a"b', 'parse error on line 1, column 2: bare " in non-quoted-field'),
        ('é,x"', 'parse error on line 1, column 5: bare " in non-quoted-field'),
        ('"a"b', 'parse error on line 1, column 3: extraneous or missing " in quoted-field'),
        ('"a', 'parse error on line 1, column 2: extraneous or missing " in quoted-field'),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(Fault) as caught:
        fields(text)
    assert caught.value.message == message
