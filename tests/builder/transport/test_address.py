"""URLs: origins, what is sent, what is shown."""

from __future__ import annotations

import pytest

from builder.errors import TransportFault
from builder.transport.address import Origin, bare, joined, origin, shown, userinfo


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://Example.com/x", Origin("https", "example.com", 443)),
        ("http://example.com.", Origin("http", "example.com", 80)),
        ("http://u:p@host:5000/x?y", Origin("http", "host", 5000)),
        ("https://[::1]:8443/", Origin("https", "::1", 8443)),
    ],
)
def test_origin(url: str, expected: Origin) -> None:
    assert origin(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/x",
        "file:///etc/passwd",
        "ftp://h/",
        "http://",
        "http://h:0/",
        "http://h:99999/",
        "http://[::1/",
        "http://a b/",
    ],
)
def test_what_is_no_web_address(url: str) -> None:
    with pytest.raises(TransportFault, match="invalid URL"):
        origin(url)


def test_name_of_an_origin() -> None:
    assert [origin(u).name for u in ("https://h/", "https://h:80/", "http://h:80/", "http://[::1]:5000/")] == [
        "h",
        "h:80",
        "h",
        "[::1]:5000",
    ]


def test_secrets_are_not_shown() -> None:
    assert shown("https://user:secret@h/p?X-Amz-Signature=secret#frag") == "https://h/p?…"
    assert "secret" not in shown("https://user:secret@[h/p")
    assert "\n" not in shown("https://h/a\nb")


def test_userinfo_is_taken_out() -> None:
    assert userinfo("http://us%40er:p%3Aw@h/") == ("us@er", "p:w")
    assert userinfo("http://h/") is None
    assert bare("http://u:p@h:1/a?b#c") == "http://h:1/a?b"
    assert joined("http://h/a/b", "//u:p@other/c") == "http://other/c"
    assert joined("http://h/a/b", "c?d=e") == "http://h/a/c?d=e"
