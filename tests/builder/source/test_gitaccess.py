from __future__ import annotations

import base64
import shlex

import pytest

from builder.source.gitaccess import GitAccess, access
from cache.errors import Fault

URL = "https://example.com/o/r.git"


def way(remote: str, main: str = "", **secrets: bytes) -> GitAccess:
    named = {name.replace("__", "."): value for name, value in secrets.items()}
    return access(remote, named.get, lambda id: None, ["/known"], main)


def header(found: GitAccess) -> str:
    return dict(found.config).get(f"http.{found.url}.extraheader", "")


def test_a_token_is_a_basic_header_of_this_url_alone() -> None:
    found = way(URL, GIT_AUTH_TOKEN=b"t\n")
    assert header(found) == "Authorization: basic " + base64.b64encode(b"x-access-token:t").decode()
    assert dict(found.config)["http.followRedirects"] == "false"
    assert header(way(URL, GIT_AUTH_HEADER=b"Bearer x")) == "Authorization: Bearer x"
    assert way(URL).config == ()


def test_a_secret_without_a_host_is_not_for_submodules_elsewhere() -> None:
    assert header(way(URL, main="https://other.org/x.git", GIT_AUTH_TOKEN=b"t")) == ""
    github = way("https://github.com/o/r", main="https://github.com/o/m.git", GIT_AUTH_TOKEN=b"t")
    assert "http.https://github.com/.extraheader" in dict(github.config)


def test_a_password_leaves_the_url() -> None:
    found = way("https://u:p%40ss@example.com/o/r.git")
    assert found.url == URL
    assert found.shown == "https://u:xxxxx@example.com/o/r.git"
    assert header(found) == "Authorization: basic " + base64.b64encode(b"u:p@ss").decode()


@pytest.mark.parametrize(
    "remote",
    [
        "-oProxyCommand=x",
        "ext::sh -c id",
        "/etc",
        "../x",
        "file:///etc",
        "a@-oProxyCommand:x",
        "https://h/\nx",
        "https://[x/a",
    ],
)
def test_what_git_must_not_be_given(remote: str) -> None:
    with pytest.raises(Fault, match="git remote"):
        way(remote)


def test_a_secret_of_two_lines_is_refused() -> None:
    with pytest.raises(Fault, match="more than one line"):
        way(URL, GIT_AUTH_HEADER=b"a\nb: c")


def test_ssh_uses_forwarded_keys_alone() -> None:
    environment = dict(access("git@h:x", lambda name: None, {"default": "/agent"}.get, ["/k n", "/100%"]).environment)
    assert environment["SSH_AUTH_SOCK"] == "/agent"
    words = shlex.split(environment["GIT_SSH_COMMAND"])
    assert words[:3] == ["ssh", "-F", "/dev/null"]
    assert 'UserKnownHostsFile="/k n" "/100%%"' in words
    assert "SSH_AUTH_SOCK" not in dict(way("ssh://git@h/x").environment)
