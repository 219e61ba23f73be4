from __future__ import annotations

import json

import pytest

from builder.errors import Canceled, SourceFault
from builder.graph.operation import GitSource, HttpSource, RemoteSource
from builder.source.policy import SourcePolicy
from builder.source.remotes import Remotes
from builder.source.sourcerules import SourceRules

GIT, HTTP = GitSource(remote="https://h/r.git"), HttpSource(url="https://h/f", name="f")


class Kind:
    """Stands for GitSources or Downloads; asked: what was called, with which source."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, object]] = []

    def __getattr__(self, name: str) -> object:
        return lambda *source: self.asked.append((name, *source))  # type: ignore[arg-type]


def remotes(policy: SourceRules | None = None) -> tuple[Remotes, list[Kind], list[Kind]]:
    git: list[Kind] = []
    web: list[Kind] = []

    def opened(into: list[Kind]) -> Kind:
        into.append(Kind())
        return into[-1]

    return Remotes(lambda: opened(git), lambda: opened(web), policy), git, web  # type: ignore[arg-type, return-value]


def test_each_kind_is_opened_once_when_it_is_asked_for() -> None:
    made, git, web = remotes()
    made.close()
    assert (git, web) == ([], [])
    for source in (GIT, HTTP, GIT):
        made.identify(source)
        made.tree(source)
        made.time(source)
    made.close()
    calls = ["identify", "tree", "commit_time"]
    assert [name for kind in git for name, *_ in kind.asked] == [*calls, *calls, "close"]
    assert [name for kind in web for name, *_ in kind.asked] == ["identify", "tree", "time", "close"]


def test_cancel_reaches_what_is_open_and_what_is_not() -> None:
    made, git, web = remotes()
    made.identify(GIT)
    made.cancel()
    assert git[0].asked[-1] == ("cancel",)
    with pytest.raises(Canceled):
        made.identify(HTTP)
    assert web == []


@pytest.mark.parametrize("ask", [Remotes.identify, Remotes.tree, Remotes.time])
def test_the_policy_is_asked_before_anything_is(ask: object) -> None:
    rules = [
        {"action": "DENY", "selector": {"identifier": "git://*", "matchType": "WILDCARD"}},
        {
            "action": "CONVERT",
            "selector": {"identifier": "https://h/f", "matchType": "EXACT"},
            "updates": {"identifier": "https://other/f"},
        },
    ]
    made, git, web = remotes(SourceRules(SourcePolicy.parse(json.dumps({"rules": rules}).encode(), "p")))
    with pytest.raises(SourceFault):
        ask(made, GIT)  # type: ignore[operator]
    assert git == []
    ask(made, HTTP)  # type: ignore[operator]
    asked: RemoteSource = web[0].asked[0][1]  # type: ignore[assignment]
    assert isinstance(asked, HttpSource) and asked.url == "https://other/f"
