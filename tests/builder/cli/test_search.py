"""`search` against a server that answers as Docker Hub's index does, or badly, or has only a catalog."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from builder.cli import main
from tests.webserver import Exchange, serving

HUB = {
    "num_results": 3,
    "query": "deb",
    "results": [
        {"name": "debian", "description": "Debian is a\nLinux distribution. " + "x" * 60, "star_count": 5000,
         "is_official": True, "is_automated": False},
        {"name": "user/debian", "description": None, "star_count": 3, "is_official": False, "is_automated": True},
        {"name": "wide/名前", "description": "名" * 30, "star_count": 0, "is_official": False},
    ],
}  # fmt: skip


class Index:
    """Answers /v1/search with `body`; a catalog in pages of two where there is one."""

    def __init__(self, body: bytes = b"", status: int = 200, catalog: list[str] | None = None) -> None:
        self.body, self.status, self.catalog = body, status, catalog
        self.asked: list[dict[str, list[str]]] = []

    def answer(self, exchange: Exchange) -> None:
        url = urlsplit(exchange.path)
        query = parse_qs(url.query)
        if url.path == "/v2/":
            exchange.send(200)
        elif url.path == "/v1/search":
            self.asked.append(query)
            exchange.send(self.status, self.body)
        elif url.path == "/v2/_catalog" and self.catalog is not None:
            last = query.get("last", [""])[0]
            left = [name for name in self.catalog if name > last]
            more = {"Link": f'</v2/_catalog?n=2&last={left[1]}>; rel="next"'} if len(left) > 2 else {}
            exchange.send(200, json.dumps({"repositories": left[:2]}).encode(), **more)
        else:
            exchange.send(404)


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """ask(index, *args): the command, with Docker Hub at the index's address; {host} in args is that."""
    conf = tmp_path / "registries.conf"
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(conf))
    monkeypatch.setenv("HOME", str(tmp_path))

    def call(index: Index, *args: str) -> tuple[int, str, str]:
        with serving(index.answer) as server:
            conf.write_text(f'[[registry]]\nprefix = "docker.io"\nlocation = "{server.host}"\ninsecure = true\n')
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                status = main.run(["search", *(arg.replace("{host}", server.host) for arg in args)])
            return status, out.getvalue(), err.getvalue().replace(server.host, "HOST")

    return call


def hub() -> Index:
    return Index(json.dumps(HUB).encode())


def test_the_table(ask):
    index = hub()
    status, out, err = ask(index, "deb ian&x")
    assert (status, err) == (0, "")
    assert index.asked == [{"q": ["deb ian&x"], "n": ["25"]}]
    assert out == (
        "NAME          DESCRIPTION                                     STARS     OFFICIAL\n"
        "debian        Debian is a Linux distribution. xxxxxxxxxxxx…   5000      [OK]\n"
        "user/debian                                                   3         \n"
        f"wide/名前     {'名' * 22}…   0         \n"
    )


def test_other_forms(ask):
    assert (
        ask(hub(), "--format", "{{.Name}} {{.StarCount}} {{.IsOfficial}}", "x")[1].splitlines()[0] == "debian 5000 [OK]"
    )
    lines = ask(hub(), "--format", "json", "x")[1].splitlines()
    assert lines[1] == '{"Description":"","IsOfficial":"false","Name":"user/debian","StarCount":"3"}'
    assert ask(hub(), "--format", "{{json .}}", "x")[1].splitlines() == lines
    assert "x" * 60 in ask(hub(), "--no-trunc", "x")[1]
    assert ask(hub(), "--format", "{{.Nope}}", "x")[0] == 1


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (["stars=3"], ["debian", "user/debian"]),
        (["stars=3", "stars=4"], ["debian"]),
        (["is-official=true"], ["debian"]),
        (["is-official=0"], ["user/debian", "wide/名前"]),
        (["is-automated=false"], ["debian", "user/debian", "wide/名前"]),
        (["is-automated=true"], []),
    ],
)
def test_filters(ask, filters, names):
    args = [word for text in filters for word in ("-f", text)]
    status, out, _ = ask(hub(), *args, "--format", "{{.Name}}", "x")
    assert (status, out.splitlines()) == (0, names)


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (["-f", "stars"], "bad format of filter 'stars' (expected name=value)"),
        (["-f", "stars=many"], "invalid filter 'stars=many'"),
        (["-f", f"stars={'9' * 5000}"], "invalid filter 'stars="),
        (["-f", "name=x"], "invalid filter 'name'"),
        (["-f", "is-official=yes"], "invalid filter 'is-official=yes'"),
        (["-f", "is-official=1", "-f", "is-official=0"], "invalid filter 'is-official=0,1'"),
        (["--limit", "101"], "limit 101 is outside the range of [1, 100]"),
        (["--limit", "-1"], "limit -1 is outside the range of [1, 100]"),
    ],
)
def test_what_is_refused_before_anybody_is_asked(ask, args, error):
    index = hub()
    status, out, err = ask(index, *args, "x")
    assert (status, out, index.asked) == (1, "", [])
    assert err.splitlines()[-1 if "hint" not in err else -2].startswith(f"ERROR: {error}")


def test_a_scheme_is_refused(ask):
    status, _, err = ask(hub(), "https://x/y")
    assert status == 1 and "should not have a scheme" in err


def test_the_limit_holds_whatever_comes(ask):
    index = hub()
    assert len(ask(index, "--limit", "2", "--format", "{{.Name}}", "x")[1].splitlines()) == 2
    assert index.asked[0]["n"] == ["2"]


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"<html>", 200, "error decoding registry search results"),
        (b"", 200, "error decoding registry search results"),
        (b"[]", 200, "error decoding registry search results"),
        (b'{"results": [{"name": 5}]}', 200, "error decoding registry search results"),
        (b'{"results": [{"name": "x", "star_count": 1e99}]}', 200, "error decoding registry search results"),
        (b'{"results": [{"name": "\xff"}]}', 200, "error decoding registry search results"),
        (b'{"results":' + b"[" * 100_000, 200, "error decoding registry search results"),
        (b" " * (9 << 20), 200, "larger than"),
        (b"", 404, "unexpected status 404"),
        (b"", 403, "access denied"),
    ],
)
def test_bad_answers_of_the_hub(ask, body, status, error):
    code, out, err = ask(Index(body, status), "x")
    assert (code, out) == (1, "")
    assert error in err and "Traceback" not in err and "internal error" not in err


def test_control_characters_are_made_visible(ask):
    body = json.dumps({"results": [{"name": "a\x1b[31m", "description": "\x1b]0;x\x07\ttab"}]}).encode()
    out = ask(Index(body), "x")[1]
    assert "\x1b" not in out and "\x07" not in out and "\t" not in out


def test_null_is_the_empty_value(ask):
    fields = ("name", "description", "star_count", "is_official")
    body = json.dumps({"results": [dict.fromkeys(fields)]}).encode()
    assert ask(Index(body), "--format", "<{{.Name}}|{{.Description}}|{{.StarCount}}>", "x") == (0, "<||0>\n", "")


def test_an_empty_answer(ask):
    assert ask(Index(b"{}"), "x") == (0, "NAME      DESCRIPTION   STARS     OFFICIAL\n", "")
    assert ask(Index(b"{}"), "--format", "{{.Name}}", "x") == (0, "", "")


CATALOG = ["base", "team/a", "team/app", "team/b", "web"]


@pytest.mark.parametrize("index", [Index(status=404), Index(b"<html>"), Index(status=403)])
def test_a_registry_with_a_catalog(ask, index):
    index.catalog = CATALOG
    _, out, err = ask(index, "{host}/team/", "--format", "{{.Name}}")
    assert [line.partition("/")[2] for line in out.splitlines()] == ["team/a", "team/app", "team/b"], err
    assert ask(index, "--format", "{{.Name}}", "{host}/")[1].count("\n") == 5
    assert ask(index, "--format", "{{.Name}}", "--limit", "2", "{host}/a")[1].count("\n") == 2
    assert ask(index, "--format", "{{.Name}}", "{host}/none") == (0, "", "")


def test_a_registry_that_searches_as_docker_hub_does(ask):
    index = hub()
    assert "user/debian" in ask(index, "{host}/deb")[1]
    assert index.asked == [{"q": ["deb"], "n": ["25"]}]


def test_a_registry_without_either(ask):
    status, out, err = ask(Index(status=404), "{host}/x")
    assert (status, out) == (1, "")
    assert err.startswith("ERROR: HOST: not found")
