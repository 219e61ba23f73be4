"""The cases are those of buildx's build/policy_test.go and util/buildflags/policy_test.go, in other words."""

from __future__ import annotations

import pytest

from builder.policy.options import PolicyFile, PolicyGroup, PolicyOption, groups, parse_option
from cache.errors import Fault

DEFAULT = PolicyFile("Dockerfile.rego", b"")


def named(*texts: str, default: PolicyFile | None = DEFAULT) -> list[tuple[list[str], int | None]]:
    found = groups(default, [parse_option(text) for text in texts])
    return [([one.name for one in group.files], group.level) for group in found]


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ((), [(["Dockerfile.rego"], None)]),
        (("disabled=true",), []),
        (("disabled=false",), [(["Dockerfile.rego"], None)]),
        (("filename=a",), [(["Dockerfile.rego"], None), (["a"], None)]),
        (("filename=a,filename=b",), [(["Dockerfile.rego"], None), (["a", "b"], None)]),
        (("reset=true", "filename=a"), [(["a"], None)]),
        (("reset=true,filename=a",), [(["a"], None)]),
        (("reset=true",), []),
        (("strict=true,log-level=warn",), [(["Dockerfile.rego"], 3)]),
        (("filename=a", "log-level=debug", "filename=b,log-level=error"),
         [(["Dockerfile.rego"], None), (["a"], 5), (["b"], 2)]),
        (("reset=true,log-level=debug", "filename=a"), [(["a"], 5)]),
        (('"filename=a,b"',), [(["Dockerfile.rego"], None), (["a,b"], None)]),
    ],
)  # fmt: skip
def test_what_policies_there_are(texts: tuple[str, ...], found: object) -> None:
    assert named(*texts) == found


def test_without_a_file_beside_the_dockerfile() -> None:
    assert named(default=None) == named("strict=true", default=None) == []
    assert groups(DEFAULT, ()) == (PolicyGroup((DEFAULT,)),)
    assert parse_option("strict=1,Reset=t") == PolicyOption(strict=True, reset=True)


@pytest.mark.parametrize(
    "texts",
    [
        ("disabled=true,filename=a",), ("disabled=true,reset=true",), ("disabled=true,strict=false",),
        ("disabled=true,log-level=warn",), ("disabled=true", "reset=false"), ("filename=a", "disabled=true"),
    ],
)  # fmt: skip
def test_disabled_stands_alone(texts: tuple[str, ...]) -> None:
    with pytest.raises(Fault, match="disabled policy cannot be combined with other policy flags"):
        named(*texts)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "invalid value x"),
        ("", "invalid value : EOF"),
        ("filename=", "invalid value filename="),
        ("file=a", "invalid value file=a"),
        ("strict=maybe", "invalid value strict=maybe"),
        ("reset", "invalid value reset"),
        ("log-level=loud", 'not a valid logrus Level: "loud"'),
    ],
)
def test_what_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(Fault, match=message):
        parse_option(text)
