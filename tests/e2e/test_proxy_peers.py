"""Programs that others wrote, behind the proxy: they find and trust it by what a step has, with no option of theirs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import LOOPBACK, Authority
from tests.e2e import peers
from tests.e2e import webserver as gitserver
from tests.e2e.lapstrake import Lapstrake, folder
from tests.e2e.ownaddress import own_address
from tests.e2e.test_proxy_network import BUNDLE, NETWORK, layers, logged
from tests.webserver import Exchange, WebServer, serving

pytestmark = pytest.mark.e2e

APT = (
    "mkdir -p /etc/apt/apt.conf.d /var/lib/apt/lists/partial /var/cache/apt/archives/partial /var/lib/dpkg"
    ' && touch /var/lib/dpkg/status && echo "deb [trusted=yes] $URL/apt ./" > /sources'
    " && apt-get -q -o Dir::Etc::SourceList=/sources -o APT::Sandbox::User=root -o APT::Architecture=amd64"
    " -o APT::Architectures=amd64 update 2>&1 && grep -h Package: /var/lib/apt/lists/*Packages"
)
FETCH = "import urllib.request as r; print(r.urlopen('$URL/python').read().decode())"
PACKAGES = b"Package: proxied\nVersion: 1\nArchitecture: amd64\nFilename: ./p.deb\nSize: 1\nMD5sum: 0\n\n"


def answer(exchange: Exchange) -> None:
    path = exchange.seen.path
    if path.startswith("/apt/"):
        exchange.send(200 if path.endswith("/Packages") else 404, PACKAGES if path.endswith("/Packages") else b"")
    else:
        exchange.send(200, f"{exchange.seen.method} {path} {len(exchange.seen.body)}\n".encode())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def web(authority: Authority) -> Iterator[WebServer]:
    address = own_address()
    with serving(answer, authority.context("peers", f"IP:{address}"), address) as server:
        yield server


@pytest.fixture
def repository(tmp_path: Path, authority: Authority) -> Iterator[str]:
    """The URL of a git repository, by https on loopback."""
    work = tmp_path / "work"
    work.mkdir()
    git = ["git", "-C", str(work), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q", "-b", "main"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    bare = tmp_path / "repositories" / "r.git"
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(bare)], check=True)
    with gitserver.serving(tmp_path / "repositories") as served:
        context = authority.context("git", LOOPBACK)
        served.server.socket = context.wrap_socket(served.server.socket, server_side=True)
        yield f"https://127.0.0.1:{served.port}/git/r.git"


def test_they_work_and_all_is_listed(
    lapstrake: Lapstrake, web: WebServer, repository: str, authority: Authority, tmp_path: Path
) -> None:
    made = "update-ca-certificates 2>&1 | tail -n 3; curl -sS $URL/renewed"
    dockerfile = f"""FROM base
COPY peers /
COPY own.crt /{BUNDLE}
COPY own.crt /usr/share/ca-certificates/own.crt
RUN echo own.crt > /etc/ca-certificates.conf && mkdir -p /etc/ca-certificates/update.d
ARG URL GIT
RUN curl -sS $URL/curl; head -c 300000 /dev/zero | curl -sS -T - $URL/put
RUN wget -qO- $URL/wget
RUN {peers.PYTHON} -c "{FETCH}"
RUN {APT}
RUN --network=host NO_PROXY= no_proxy= git clone -q $GIT /cloned && git -C /cloned log --oneline | wc -l
RUN {made}
"""
    context = folder(tmp_path / "context", {"Dockerfile": dockerfile, "own.crt": authority.ca.read_text()})
    peers.gathered(context / "peers")
    out, metadata = tmp_path / "out.tar", tmp_path / "metadata"
    given = ("--build-arg", f"URL={web.url}", "--build-arg", f"GIT={repository}", "--metadata-file", str(metadata))
    done = lapstrake.built(
        context, *NETWORK, *given, "-o", f"type=oci,dest={out}", env={"SSL_CERT_FILE": str(authority.ca)}
    )
    assert logged(done, "RUN curl")[:2] == ["GET /curl 0", "PUT /put 300000"]
    assert logged(done, "RUN wget")[0] == "GET /wget 0"
    assert logged(done, f"RUN {peers.PYTHON}")[0] == "GET /python 0"
    assert "Package: proxied" in logged(done, "RUN mkdir -p /etc/apt")
    cloned = logged(done, "git clone")
    assert "1" in cloned
    assert f"- POST {repository}/git-upload-pack -> 200" in cloned
    assert "GET /renewed 0" in logged(done, "RUN update-ca")
    asked = json.loads(metadata.read_text())["lapstrake.proxy.requests"]
    urls = [request["url"].removeprefix(web.url) for step in asked for request in step["requests"]]
    assert {"/curl", "/put", "/wget", "/python", "/apt/./Packages", "/renewed"} <= set(urls)
    *_, renewed = layers(out)
    assert (renewed[BUNDLE] or b"").strip() == authority.ca.read_bytes().strip()
    assert not [name for name in renewed if "d35d280d" in name]
