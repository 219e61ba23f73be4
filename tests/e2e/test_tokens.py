"""Debian's docker-registry with a token server before it: who may do what, over TLS with an authority of our own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.certificates import Authority
from tests.e2e.dockerregistry import docker_registry
from tests.e2e.lapstrake import PROGRAM, Done, Lapstrake, folder
from tests.relay import relaying
from tests.tokenserver import TokenServer, running

USER, WORD = "me", "pass:word"


class Guarded(NamedTuple):
    """A registry that wants tokens. home: what $HOME is, with certs.d of both servers in it."""

    host: str
    tokens: TokenServer
    home: Path
    lapstrake: Lapstrake

    def run(self, *args: str) -> Done:
        done = self.lapstrake.run(*args, env=self.environment)
        assert WORD not in done.out + done.err and "Traceback" not in done.err
        return done

    @property
    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.home), "DOCKER_CONFIG": str(self.home / ".docker")}

    def login(self, word: str = WORD) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, "login", "-u", USER, "--password-stdin", self.host],
            input=word,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def build(self, name: str, *lines: str) -> None:
        """An image of that name in the local store."""
        context = folder(self.home / name.replace("/", "_"), {"a": name * 999, "Dockerfile": "\n".join(lines)})
        done = self.run("build", "--progress=plain", "-t", f"{self.host}/{name}", str(context))
        assert done.status == 0, done.err


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    for name in ("ca", "registry", "home"):
        (tmp_path / name).mkdir()
    authority = Authority(tmp_path / "ca")
    tokens = TokenServer(authority)
    tokens.users[USER] = WORD
    with (
        running(tokens, authority.context("tokens")) as url,
        docker_registry(
            tmp_path / "registry", tls=authority.issue("registry"), tokens=(url, tokens.bundle)
        ) as registry,
    ):
        for host in (registry.host, tokens.server.host):
            place = tmp_path / "home" / ".docker" / "certs.d" / host
            place.mkdir(parents=True)
            (place / "ca.crt").write_bytes(authority.ca.read_bytes())
        yield Guarded(registry.host, tokens, tmp_path / "home", Lapstrake(tmp_path / "store"))


@pytest.mark.e2e
def test_pull_push_and_mount_with_an_identity_token(guarded: Guarded) -> None:
    guarded.tokens.rights[USER, "team/base"] = guarded.tokens.rights[USER, "team/app"] = {"pull", "push"}
    guarded.tokens.rights["", "team/base"] = {"pull"}
    assert guarded.login().stdout == "Login Succeeded\n"
    entry = json.loads((guarded.home / ".docker" / "config.json").read_text())["auths"][guarded.host]
    assert entry["identitytoken"] == f"identity of {USER}" and WORD not in str(entry)
    guarded.build("team/base", "FROM scratch", "COPY a /a")
    pushed = guarded.run("push", f"{guarded.host}/team/base")
    assert pushed.status == 0, pushed.err
    assert guarded.tokens.scopes[-1] == ("POST", USER, ["repository:team/base:pull,push"])

    guarded.run("rmi", f"{guarded.host}/team/base")
    guarded.run("prune", "--all", "--force")
    guarded.build("team/app", f"FROM {guarded.host}/team/base", "ENV X=1")
    assert ("POST", USER, ["repository:team/base:pull"]) in guarded.tokens.scopes
    context = guarded.home / "team_app"
    done = guarded.run("build", "--progress=plain", "--push", "-t", f"{guarded.host}/team/app", str(context))
    assert done.status == 0, done.err
    assert ("POST", USER, ["repository:team/app:pull,push", "repository:team/base:pull"]) in guarded.tokens.scopes

    (guarded.home / ".docker" / "config.json").unlink()
    public = guarded.run("pull", f"{guarded.host}/team/base")
    assert public.status == 0, public.err
    assert guarded.tokens.scopes[-1] == ("GET", "", ["repository:team/base:pull"])
    private = guarded.run("pull", f"{guarded.host}/team/app")
    assert private.status == 1 and "access denied" in private.err and "lapstrake login" in private.err


@pytest.mark.e2e
def test_what_a_login_does_not_allow(guarded: Guarded) -> None:
    wrong = guarded.login("other word")
    assert wrong.returncode == 1 and "incorrect username or password" in wrong.stderr
    assert not (guarded.home / ".docker" / "config.json").exists()
    assert guarded.login().returncode == 0
    guarded.build("team/app", "FROM scratch", "COPY a /a")
    name = f"{guarded.host}/team/app"
    guarded.tokens.rights[USER, "team/app"] = {"pull"}
    refused = guarded.run("push", name)
    assert refused.status == 1 and "denied" in refused.err
    guarded.tokens.rights[USER, "team/app"] = {"pull", "push"}
    guarded.tokens.until = -100.0  # the registry forgives a minute
    expired = guarded.run("push", name)
    assert expired.status == 1 and "denied" in expired.err
    guarded.tokens.until = 300.0
    guarded.tokens.identities.clear()
    revoked = guarded.run("push", name)
    assert revoked.status == 1 and "incorrect username or password" in revoked.err
    assert guarded.login().returncode == 0
    assert guarded.run("push", name).status == 0


@pytest.mark.e2e
def test_a_neighbour_that_may_not_be_read_is_not_mounted_from(guarded: Guarded) -> None:
    """Its layer, which came when it might be read, is sent instead."""
    guarded.tokens.rights[USER, "team/base"] = guarded.tokens.rights[USER, "team/app"] = {"pull", "push"}
    assert guarded.login().returncode == 0
    guarded.build("team/base", "FROM scratch", "COPY a /a")
    assert guarded.run("push", f"{guarded.host}/team/base").status == 0
    context = folder(guarded.home / "app", {"Dockerfile": f"FROM {guarded.host}/team/base\nENV X=1\n"})
    other = guarded._replace(lapstrake=Lapstrake(guarded.home / "other"))
    assert other.run("build", "-q", "-t", "local", str(context)).status == 0
    guarded.tokens.rights[USER, "team/base"] = set()
    done = other.run("build", "--progress=plain", "--push", "-t", f"{guarded.host}/team/app", str(context))
    assert done.status == 0, done.err
    mount = ["repository:team/app:pull,push", "repository:team/base:pull"]
    assert ("POST", USER, mount) in guarded.tokens.scopes
    fresh = guarded._replace(lapstrake=Lapstrake(guarded.home / "fresh"))
    assert fresh.run("pull", f"{guarded.host}/team/app").status == 0


@pytest.mark.e2e
def test_certificates_of_a_registry_that_is_not_on_this_machine(guarded: Guarded, tmp_path: Path) -> None:
    """Reached through a proxy, so that its name is no local one, which need not prove itself."""
    authority = Authority(folder(tmp_path / "other-ca", {}))
    trusted = guarded.home / ".docker" / "certs.d" / "registry.test"
    conf = tmp_path / "registries.conf"
    conf.write_text('[[registry]]\nlocation = "registry.test"\ninsecure = true\n')
    guarded.tokens.rights["", "team/app"] = {"pull", "push"}
    guarded.build("team/app", "FROM scratch", "COPY a /a")
    folder(tmp_path / "registry.test", {})
    assert guarded.run("push", f"{guarded.host}/team/app").status == 0

    def pull(**more: str) -> Done:
        environment = {**guarded.environment, "HTTPS_PROXY": f"http://{proxy.host}", **more}
        return Lapstrake(tmp_path / "other").run("pull", "registry.test/team/app", env=environment)

    with relaying(guarded.host, proxy=True) as proxy:
        unknown = pull()
        assert unknown.status == 1 and "tls: failed to verify certificate: unable to get local issuer" in unknown.err
        trusted.mkdir()
        (trusted / "ca.crt").write_bytes(authority.ca.read_bytes())
        assert "tls: failed to verify certificate" in pull().err  # of another authority
        (trusted / "ca.crt").write_bytes((guarded.tokens.bundle).read_bytes())
        assert "Hostname mismatch" in pull().err or "not valid for" in pull().err
        insecure = pull(CONTAINERS_REGISTRIES_CONF=str(conf))
    assert proxy.asked[0] == "registry.test:443" and insecure.status == 0, insecure.err
