"""Which requests go through a proxy."""

from __future__ import annotations

import pytest

from builder.transport.address import origin
from builder.transport.proxies import Proxies

BOTH = {"HTTP_PROXY": "http://p:1", "HTTPS_PROXY": "http://s:2"}


def test_by_scheme_and_the_lower_case_name_first() -> None:
    proxies = Proxies.of({**BOTH, "http_proxy": "q:3"})
    assert proxies.proxy(origin("http://h/")) == "http://q:3"
    assert proxies.proxy(origin("https://h/")) == "http://s:2"
    assert Proxies.of({}).proxy(origin("https://h/")) == ""


def test_a_variable_that_a_web_client_may_have_set_does_not_count() -> None:
    assert Proxies.of({**BOTH, "REQUEST_METHOD": "GET"}).proxy(origin("http://h/")) == ""


@pytest.mark.parametrize(
    ("word", "url", "through"),
    [
        ("example.com", "http://example.com/", False),
        ("example.com", "http://a.example.com/", False),
        ("example.com", "http://notexample.com/", True),
        (".example.com", "http://a.example.com/", False),
        (".example.com", "http://example.com/", True),
        ("*.example.com", "http://a.example.com/", False),
        ("example.com:8080", "http://example.com/", True),
        ("example.com:8080", "http://example.com:8080/", False),
        ("10.0.0.0/8", "http://10.1.2.3/", False),
        ("10.0.0.0/8", "http://11.1.2.3/", True),
        ("10.1.2.3", "http://10.1.2.3/", False),
        ("[2001:db8::1]:80", "http://[2001:db8::1]/", False),
        ("2001:db8::1", "http://[2001:db8::1]/", False),
        ("*", "http://h/", False),
        ("", "http://localhost/", False),
        ("", "http://127.0.0.9:5000/", False),
        ("", "http://h/", True),
    ],
)
def test_exempt(word: str, url: str, through: bool) -> None:
    assert bool(Proxies.of({**BOTH, "NO_PROXY": f" {word} , x"}).proxy(origin(url))) is through
