"""--proxy-network: what RUN steps reach, what they do not, and what is said and kept of it."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.lapstrake import Done, Lapstrake, folder
from tests.e2e.ownaddress import own_address
from tests.e2e.running import until
from tests.webserver import Exchange, WebServer, serving

pytestmark = pytest.mark.e2e

BUNDLE = "etc/ssl/certs/ca-certificates.crt"
OTHER = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
REFUSED = "127.0.0.1 is the build machine itself, which a RUN step reaches only with --network=host"
NETWORK = ("--proxy-network", "--allow", "network.host")


def hello(exchange: Exchange) -> None:
    exchange.send(200, b"hello " + exchange.seen.path.encode() + b"\n")


@pytest.fixture
def web() -> Iterator[WebServer]:
    with serving(hello, address=own_address()) as server:
        yield server


@pytest.fixture
def local() -> Iterator[WebServer]:
    with serving(hello) as server:
        yield server


def dockerfile(tmp_path: Path, *lines: str, **files: str) -> Path:
    """FROM base, which also has a bundle of certificates."""
    text = "\n".join(["FROM base", f"COPY bundle /{BUNDLE}", *lines, ""])
    return folder(tmp_path / "context", {"Dockerfile": text, "bundle": OTHER, **files})


def logged(done: Done, step: str) -> list[str]:
    """The log of the step whose name has a text in it."""
    number = next(line.split(" ")[0] for line in done.err.splitlines() if re.match(r"#\d+ \[", line) and step in line)
    lines = (re.fullmatch(rf"{number} \d+\.\d+ (.*)", line) for line in done.err.splitlines())
    return [line[1] for line in lines if line]


def layers(archive: Path) -> list[dict[str, bytes | None]]:
    """Of an OCI archive, without those of the base: member -> bytes of files."""
    with tarfile.open(archive) as tar:

        def blob(digest: str) -> bytes:
            file = tar.extractfile(f"blobs/sha256/{digest.removeprefix('sha256:')}")
            assert file is not None
            return file.read()

        index = tar.extractfile("index.json")
        assert index is not None
        manifest = json.loads(blob(json.load(index)["manifests"][0]["digest"]))
        found = []
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=io.BytesIO(blob(layer["digest"]))) as members:
                files = {m.name: members.extractfile(m) if m.isfile() else None for m in members}
                found.append({name: None if file is None else file.read() for name, file in files.items()})
    own = next(n for n, members in enumerate(found) if BUNDLE in members)
    return found[own:]


def test_http_passes_and_is_listed_and_nothing_else_passes(
    lapstrake: Lapstrake, web: WebServer, local: WebServer, tmp_path: Path
) -> None:
    lines = (
        f"RUN wget -qO- {web.url}/a?b=1; wget -qO- {local.url}/b; printf c",
        f"RUN nc -w 3 {web.address} {web.server_port} </dev/null; echo tcp $?",
        f"RUN echo x | nc -u -w 1 {web.address} 53 2>&1; nslookup localhost.test 2>&1; cat /proc/net/dev",
    )
    metadata = tmp_path / "metadata"
    context = dockerfile(tmp_path, *lines)
    done = lapstrake.built(context, "--proxy-network", "--metadata-file", str(metadata))
    log = logged(done, "wget -qO-")
    denial = f"proxy: GET {local.url}/b: {REFUSED}"
    assert denial in log[:-3]
    log.remove(denial)  # which may come before what the command wrote
    assert log == [
        "hello /a?b=1",
        "wget: server returned error: HTTP/1.1 403 Forbidden",
        "c",
        "proxy network requests:",
        f"- GET {web.url}/a?… -> 200",
        f"- GET {local.url}/b -> 403",
    ]
    assert "tcp 1" in logged(done, "tcp $?")
    assert "unreachable" in "\n".join(logged(done, "nslookup"))
    assert re.findall(r"(\w+):", "\n".join(logged(done, "nslookup")).partition("Inter-")[2]) == ["lo"]
    assert len(web.seen) == 1
    assert local.seen == []
    asked = json.loads(metadata.read_text())["lapstrake.proxy.requests"]
    first, second = next(step["requests"] for step in asked if "wget -qO-" in step["step"])
    assert (first["status"], first["size"], first["digest"][:7]) == (200, 13, "sha256:")
    assert (second["status"], second["incomplete"]) == (403, "forbidden_address")
    again = lapstrake.built(context, "--metadata-file", str(metadata))  # BuildKit's keys have no proxy either
    assert again.cached == len(lines) + 1
    assert len(web.seen) == 1
    assert "lapstrake.proxy.requests" not in json.loads(metadata.read_text())


def test_host_and_none(lapstrake: Lapstrake, local: WebServer, tmp_path: Path) -> None:
    lines = (
        f"RUN --network=host wget -qO- {local.url}/a; grep -c : /proc/net/dev",
        "RUN --network=none env | grep -ci proxy",
    )
    done = lapstrake.refused(dockerfile(tmp_path, *lines), *NETWORK)
    assert logged(done, "network=host")[:2] == ["hello /a", "1"]
    assert logged(done, "network=none") == ["0"]
    done = lapstrake.refused(dockerfile(tmp_path, *lines), "--proxy-network")
    assert "network.host is not allowed" in done.err


def test_the_variables_are_the_command_s_alone(lapstrake: Lapstrake, tmp_path: Path) -> None:
    lines = ("ENV http_proxy=http://mine", "RUN env | grep -i _proxy | sort > /seen")
    out = tmp_path / "out.tar"
    arguments = ("-o", f"type=oci,dest={out}", "--build-arg", "HTTPS_PROXY=http://yours")
    lapstrake.built(dockerfile(tmp_path, *lines), "--proxy-network", *arguments)
    proxy, direct = "http://127.0.0.1:26543", "127.0.0.1,localhost,::1"
    names = {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "NO_PROXY": direct}
    wanted = [f"{word}={value}" for name, value in names.items() for word in (name, name.lower())]
    assert (layers(out)[-1]["seen"] or b"").decode().split() == sorted(wanted)
    with tarfile.open(out) as tar:
        texts = [file.read() for file in map(tar.extractfile, tar) if file is not None]
    assert not [text for text in texts if text[:1] == b"{" and b"26543" in text]


def test_the_certificate_is_seen_and_in_no_layer(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """Whatever a step does to the bundle: it has what it did, without the certificate."""
    seen = f"grep -c BEGIN /{BUNDLE}; ls /etc/ssl/certs"
    lines = (
        f"RUN {seen}",
        f"RUN chmod 600 /{BUNDLE}",
        f"RUN echo mine >> /{BUNDLE} && cp /{BUNDLE} /{BUNDLE}.bak",
        "RUN chown -R 1:1 /etc/ssl/certs",
        f"RUN cp /{BUNDLE} /etc/ssl/certs/new && rm /etc/ssl/certs/*.* && mv /etc/ssl/certs/new /{BUNDLE}",
        "RUN rm -r /etc/ssl",
        f"RUN mkdir -p /etc/ssl/certs && echo fresh > /{BUNDLE}",
        f"RUN {seen}; touch /other",
    )
    out = tmp_path / "out.tar"
    done = lapstrake.built(dockerfile(tmp_path, *lines), "--proxy-network", "-o", f"type=oci,dest={out}")
    assert logged(done, lines[0]) == ["2", "ca-certificates.crt", "d35d280d.0"]
    assert logged(done, lines[-1])[0] == "1"
    base, untouched, mode, more, owner, moved, gone, fresh, last = layers(out)
    certs = "etc/ssl/certs/"
    assert not [name for name in untouched if "ssl" in name]
    assert mode[BUNDLE] == base[BUNDLE] == OTHER.encode()
    changed = OTHER.encode() + b"mine\n"
    assert more[BUNDLE] == more[f"{BUNDLE}.bak"] == owner[BUNDLE] == moved[BUNDLE] == changed
    assert sorted(name for name in owner if certs in name) == [BUNDLE, f"{BUNDLE}.bak"]
    assert sorted(name for name in moved if certs in name) == [certs + ".wh.ca-certificates.crt.bak", BUNDLE]
    assert [name for name in gone if "ssl" in name] == ["etc/.wh.ssl"]
    assert sorted(name for name in fresh if certs in name) == [BUNDLE]
    assert fresh[BUNDLE] == b"fresh\n"
    assert [name for name in last if "ssl" in name] == []


def test_a_bundle_that_an_image_does_not_have_does_not_come(lapstrake: Lapstrake, tmp_path: Path) -> None:
    out = tmp_path / "out.tar"
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\nRUN ls /etc/ssl || touch /none\n"})
    lapstrake.built(context, "--proxy-network", "-o", f"type=local,dest={out}")
    assert (out / "none").exists()
    assert not (out / "etc" / "ssl").exists()


def test_policies_deny_and_convert(lapstrake: Lapstrake, web: WebServer, tmp_path: Path) -> None:
    def rule(action: str, name: str, to: str = "") -> dict[str, object]:
        found: dict[str, object] = {"action": action, "selector": {"identifier": f"{web.url}/{name}"}}
        return found | ({"updates": {"identifier": f"{web.url}/{to}"}} if to else {})

    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps({"rules": [rule("DENY", "secret*"), rule("CONVERT", "old", "new")]}))
    lines = (
        f"RUN wget -qO- {web.url}/secret?k=v; true",
        f"RUN wget -qO- {web.url}/old",
        f"RUN printf 'POST {web.url}/old HTTP/1.0\\r\\nContent-Length: 0\\r\\n\\r\\n' | nc 127.0.0.1 26543",
    )
    environment = {"EXPERIMENTAL_BUILDKIT_SOURCE_POLICY": str(policy)}
    done = lapstrake.built(dockerfile(tmp_path, *lines), "--proxy-network", env=environment)
    denied = logged(done, "/secret")
    reason = f'source "{web.url}/secret?…" denied by policy: source denied by policy'
    assert f"proxy: GET {web.url}/secret?…: {reason}" in denied
    assert denied[-1] == f"- GET {web.url}/secret?… -> 403"
    assert logged(done, f"wget -qO- {web.url}/old")[0] == "hello /new"
    assert "which only a GET can have" in "\n".join(logged(done, "POST"))
    assert [(seen.method, seen.path) for seen in web.seen] == [("GET", "/new")]


def test_secrets_are_not_shown(lapstrake: Lapstrake, web: WebServer, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret/token\n")
    run = f'wget -qO- "{web.url}/$(cat /run/secrets/token)/x?y=$(cat /run/secrets/token)" > /dev/null'
    lines = (f"RUN --mount=type=secret,id=token {run}",)
    arguments = ("--secret", f"id=token,src={tmp_path}/token", "--metadata-file", str(tmp_path / "metadata"))
    done = lapstrake.built(dockerfile(tmp_path, *lines), "--proxy-network", *arguments)
    assert web.seen[0].path == "/s3cret/token/x?y=s3cret/token"
    assert f"- GET {web.url}/***/x?… -> 200" in done.err
    assert "s3cret" not in done.err + (tmp_path / "metadata").read_text()


def test_the_configuration_file_turns_it_on(lapstrake: Lapstrake, web: WebServer, tmp_path: Path) -> None:
    settings = tmp_path / "lapstrake.toml"
    settings.write_text("proxy-network = true\n")
    context = dockerfile(tmp_path, f"RUN wget -qO- {web.url}/a")
    done = lapstrake.built(context, env={"LAPSTRAKE_CONFIG": str(settings)})
    assert f"- GET {web.url}/a -> 200" in done.err


def test_a_failed_step_lists_its_requests(lapstrake: Lapstrake, web: WebServer, tmp_path: Path) -> None:
    done = lapstrake.refused(dockerfile(tmp_path, f"RUN wget -qO- {web.url}/a && exit 7"), "--proxy-network")
    assert f"- GET {web.url}/a -> 200" in done.err
    assert "exit code: 7" in done.err


def test_steps_have_no_descriptor_of_ours_and_no_way_into_pid_1(lapstrake: Lapstrake, tmp_path: Path) -> None:
    lines = (
        'RUN for fd in /proc/self/fd/*; do readlink $fd || true; done | grep -c "socket" ; true',
        "RUN ls /proc/1/fd 2>&1; nsenter -t 1 -n true 2>&1; true",
    )
    done = lapstrake.built(dockerfile(tmp_path, *lines), "--proxy-network")
    assert logged(done, "readlink") == ["0"]
    assert len(re.findall("denied|not permitted|can't", "\n".join(logged(done, "nsenter")))) == 2


def test_a_privileged_step_has_no_other_way_either(lapstrake: Lapstrake, web: WebServer, tmp_path: Path) -> None:
    lines = (
        f"RUN --security=insecure wget -qO- {web.url}/a; nc -w 3 {web.address} {web.server_port} </dev/null; echo $?",
    )
    done = lapstrake.built(dockerfile(tmp_path, *lines), "--proxy-network", "--allow", "security.insecure")
    log = logged(done, "security=insecure")
    assert log[0] == "hello /a"
    assert "1" in log
    assert len(web.seen) == 1


def test_two_steps_at_once_have_a_proxy_each(lapstrake: Lapstrake, web: WebServer, tmp_path: Path) -> None:
    wait = "i=0; while [ $i -lt 20 ]; do wget -qO- $URL/$NAME > /dev/null; i=$((i+1)); done; grep -c 0A: /proc/net/tcp"
    text = "\n".join(
        f"FROM base AS {name}\nARG URL\nRUN NAME={name}; {wait}; grep -c ' 0A ' /proc/net/tcp; touch /{name}"
        for name in ("one", "two")
    )
    text += "\nFROM base\nCOPY --from=one /one /\nCOPY --from=two /two /\n"
    context = folder(tmp_path / "context", {"Dockerfile": text})
    done = lapstrake.built(context, "--proxy-network", "--build-arg", f"URL={web.url}")
    for name, other in (("one", "two"), ("two", "one")):
        log = logged(done, f"RUN NAME={name}")
        assert log.count(f"- GET {web.url}/{name} -> 200") == 20
        assert not [line for line in log if f"/{other}" in line]
        assert "1" in log  # listening socket


REGO = """package docker
default allow := false
allow if not input.http
allow if input.http.path == "/good"
allow if input.http.checksum == "sha256:none"
caps["exec.proxy"] := true if input.env.capsRequest
deny_msg contains "not this one" if input.http.path == "/bad"
decision := {"allow": allow, "deny_msg": deny_msg, "caps": caps}
"""


def test_a_policy_in_rego_turns_it_on_and_is_asked(
    lapstrake: Lapstrake, base: Path, web: WebServer, tmp_path: Path
) -> None:
    """One that asks for a checksum has nothing fetched for that."""
    assert lapstrake.run("load", "-i", str(base)).status == 0
    run = f"RUN wget -qO- {web.url}/good; wget -qO- {web.url}/bad?k=hidden; true"
    context = folder(tmp_path / "context", {"Dockerfile": f"FROM base\n{run}\n", "Dockerfile.rego": REGO})
    done = Lapstrake(lapstrake.store).built(context)
    log = logged(done, "wget")
    assert "hello /good" in log
    assert log[-2:] == [f"- GET {web.url}/good -> 200", f"- GET {web.url}/bad?… -> 403"]
    assert "hidden" not in "\n".join(log)
    assert "policy enabled network proxy" in done.err
    assert [seen.path for seen in web.seen] == ["/good"]


def test_what_has_no_proxy_pays_nothing_for_it(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """Nor does a proxied build whose steps are cached."""
    context = dockerfile(tmp_path, "RUN true")
    for arguments in ((), ("--proxy-network",)):
        done = lapstrake.built(context, *arguments, env={"PYTHONPROFILEIMPORTTIME": "1"})
        imported = set(re.findall(r"^import time:.*\| +([\w.]+)$", done.err, re.MULTILINE))
        assert "builder.solve.scheduler" in imported
        wrong = [name for name in imported if re.match(r"(builder\.proxy|cryptography|h11|httpcore|httpx)\b", name)]
        assert wrong == []


@pytest.fixture
def hanging() -> Iterator[tuple[WebServer, threading.Event]]:
    """A server that answers /hang with nothing, and others after that came; whether it was hung up on."""
    asked, gone = threading.Event(), threading.Event()

    def answer(exchange: Exchange) -> None:
        if exchange.seen.path != "/hang":
            asked.wait(20)
            hello(exchange)
            return
        asked.set()
        if exchange.rfile.read(1) == b"":
            gone.set()
            exchange.cut()

    with serving(answer, address=own_address()) as server:
        yield server, gone


def test_a_download_that_is_left_behind_ends_with_the_step(
    lapstrake: Lapstrake, hanging: tuple[WebServer, threading.Event], tmp_path: Path
) -> None:
    server, gone = hanging
    line = f"RUN wget -qO- {server.url}/hang & wget -qO- {server.url}/a"
    log = logged(lapstrake.built(dockerfile(tmp_path, line), "--proxy-network"), "RUN wget")
    assert log[:2] == ["hello /a", "proxy network requests:"]
    assert set(log[2:]) == {f"- GET {server.url}/hang", f"- GET {server.url}/a -> 200"}
    assert gone.wait(20)


def test_ctrl_c_while_a_step_downloads(
    lapstrake: Lapstrake, hanging: tuple[WebServer, threading.Event], tmp_path: Path
) -> None:
    server, gone = hanging
    process = lapstrake.start(dockerfile(tmp_path, f"RUN wget -qO- {server.url}/hang"), "--proxy-network")
    until(lambda: len(server.seen) == 1, "nothing is asked for")
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130, err.decode()
    assert b"Traceback" not in err
    assert gone.wait(20)
