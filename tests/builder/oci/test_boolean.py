from __future__ import annotations

import pytest

from builder.oci.boolean import parse_bool


@pytest.mark.parametrize(
    ("texts", "value"),
    [("1 t T true True TRUE", True), ("0 f F false False FALSE", False), ("tRUE yes on 2 01 None", None)],
)
def test_the_forms_of_go(texts: str, value: bool | None) -> None:
    assert [parse_bool(text) for text in texts.split()] == [value] * 6


def test_no_text_is_neither() -> None:
    assert parse_bool("") is None
