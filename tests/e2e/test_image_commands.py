"""Commands for images beside those of a newer Docker Engine, their output compared (docs/conformance.md)."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.cli import main
from builder.oci.platform import host
from tests.e2e.dockerregistry import DockerRegistry, docker_registry
from tests.e2e.engine import Engine
from tests.e2e.lapstrake import PROGRAM, Done, Lapstrake, folder
from tests.memoryregistry import tar_of
from tests.webserver import Exchange, serving

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as one:
        yield one


def in_process(lapstrake: Lapstrake, *words: str) -> Done:
    """As Lapstrake.run, without the time that a process takes."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main.run(["--root", str(lapstrake.store), *words])
    return Done(status, out.getvalue(), err.getvalue())


def test_manifest_inspect(engine: Engine, registry: DockerRegistry, tmp_path: Path) -> None:
    """Manifests and indexes of OCI's types and Docker's, and one that is not there, byte for byte."""
    near, far = Lapstrake(tmp_path / "near"), Lapstrake(tmp_path / "far")
    context = folder(tmp_path / "c", {"Dockerfile": "FROM scratch\nCOPY Dockerfile /\nLABEL a=<b>&c\n"})
    forms = {
        "one": ("--platform=linux/arm64", "--annotation=x=<y>&é"),
        "two": ("--platform=linux/amd64,linux/arm/v7", "--annotation=index:x=y"),
    }
    for name, options in forms.items():
        image = f"{registry.host}/{name}:1"
        near.built(context, "-t", image, *options)
        assert near.run("push", "-q", image).status == 0
        output = f"--output=type=registry,name={registry.host}/docker-{name}:1,oci-mediatypes=false"
        near.built(context, output, *options[:1])
    for name in (*forms, "docker-one", "docker-two", "none"):
        for options in ((), ("--verbose",)):
            image = f"{registry.host}/{name}:1"
            theirs = engine.run("manifest", "inspect", "--insecure", *options, image)
            remote = in_process(far, "manifest", "inspect", *options, image)
            assert (remote.status, remote.out) == (theirs.returncode, theirs.stdout)
            assert (name != "none") == bool(remote.out)
            assert theirs.stderr.strip() in remote.err
            if name in forms:
                assert in_process(near, "manifest", "inspect", *options, image).out == theirs.stdout
    assert not list((far.store / "blobs/sha256").iterdir())


IMAGE = """FROM scratch
COPY Dockerfile /
LABEL a=<b>&c x.y=1
ENV A=1
EXPOSE 80
VOLUME /a
HEALTHCHECK CMD x
USER 7
ENTRYPOINT ["x"]
STOPSIGNAL 9
SHELL ["/s"]
ONBUILD RUN x
MAINTAINER me
CMD aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ééé
"""
NAMES = ("compared/app:1.2", "reg.example.com:5000/compared/app:2")
ROW = r"{{.Repository}}\t{{.Tag}}\t{{.ID}}"
# What must be the same on standard output, order of lines included but for `images`, whose dates differ.
SAME = (
    ("images", "--format", ROW), ("images", "--no-trunc", "--format", ROW), ("images", "-q", "compared/app"),
    ("images", "--format", "table " + ROW, "compared/app"), ("images", "-f", "reference=*/app", "--format", ROW),
    ("images", "-f", "label=x.y=1", "--format", ROW), ("images", "-f", "label=x.y=2"), ("images", "no-such"),
    ("images", "-f", "dangling=true", "-q"), ("images", "-f", "until=1970-01-02", "-q"), ("images", "x:*", "-q=true"),
    ("images", "--format", "{{.Nope}}"), ("images", "--format", "{{upper .Tag}} {{json .Repository}}", "compared/app"),
    ("history", "@"), ("history", "--no-trunc", "@"), ("history", "-q", "@"), ("history", "-H=false", "@"),
    ("history", "--format", "json", "@"), ("history", "--platform", "linux/s390x", "@"), ("history", "no-such"),
    ("history", "--format", r"table {{.ID}}\t{{.CreatedBy}}", "@"), ("history", "-q", "--no-trunc", "@"),
    ("inspect", "no-such"), ("image", "inspect", "no-such"),
    ("inspect", "-f", "{{.Id}} {{json .RepoTags}}", "no-such", "@"),
    ("inspect", "-f", "{{json .RootFS}}{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}", "@"),
    ("inspect", "-f", "{{.Nope}}", "@"), ("inspect", "-f", "{{", "@"),
    ("tag", "no-such", "x"), ("tag", "@", "compared/other"), ("rmi", "compared/other"), ("rmi", "no-such"),
    ("save", "no-such"),
)  # fmt: skip


def test_images_history_inspect(engine: Engine, tmp_path: Path) -> None:
    ours = Lapstrake(tmp_path / "store")
    context = folder(tmp_path / "c", {"Dockerfile": IMAGE})
    tags = [word for name in NAMES for word in ("-t", name)]
    ours.built(context, *tags, "-o", f"type=docker,dest={tmp_path}/a.tar")
    assert sorted(ours.run("load", "-i", str(tmp_path / "a.tar")).out.splitlines()) == sorted(
        engine.call("load", "-i", str(tmp_path / "a.tar")).splitlines()
    )
    try:
        for named in SAME:
            words = [NAMES[0] if word == "@" else word for word in named]
            theirs, done = engine.run(*words), in_process(ours, *words)
            expected, got = theirs.stdout, done.out
            if words[0] == "images" and "-q" not in words:  # of the images of other tests nothing is said
                lines = [line for line in expected.splitlines() if "compared/" in line or "REPOSITORY" in line]
                expected, got = "\n".join(sorted(lines)), "\n".join(sorted(got.splitlines()))
            assert (got, done.status) == (expected, theirs.returncode), words
            said = theirs.stderr.strip().removeprefix("Error response from daemon: ").removeprefix("Error: ")
            assert said.partition(" but its platform")[0].lower() in done.err.lower(), words
        assert inspected(ours.run("inspect", NAMES[1]).out) == inspected(engine.call("inspect", NAMES[1]))
    finally:
        engine.call("rmi", "-f", *NAMES)


CHANGES = (
    'CMD ["a", "b c"]', "ENTRYPOINT sh -c x", "ENV A=1 B=$A", "ENV C=$A$PATH", "WORKDIR x/../y", "USER u:g",
    "EXPOSE 80 443/udp", "VOLUME /a /b", "LABEL a=b c='d e'", "HEALTHCHECK --interval=5s CMD x", "STOPSIGNAL 9",
    "ONBUILD RUN x",
)  # fmt: skip
# What an engine that keeps images in its own storage says, and what it says of itself.
NOT_COMPARED = ("Created", "Descriptor", "DockerVersion", "GraphDriver", "Id", "Metadata", "RepoDigests", "Size")


def inspected(text: str) -> dict[str, object]:
    """Without empty fields of the config, which newer engines leave out."""
    found = {name: value for name, value in json.loads(text)[0].items() if name not in NOT_COMPARED}
    return found | {"Config": {name: value for name, value in found["Config"].items() if value}}


def test_import(engine: Engine, tmp_path: Path) -> None:
    tar = tar_of({"etc/hostname": b"here\n", "bin/sh": os.urandom(100_000)})
    (tmp_path / "a.tar").write_bytes(tar)
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(tar))
    ours = Lapstrake(tmp_path / "store")
    changes = [word for change in CHANGES for word in ("--change", change)]
    for args in (["a.tar"], [*changes, "-m", "a message", "--platform", "linux/arm/v7", "a.tar.gz"]):
        words = [*args[:-1], str(tmp_path / args[-1]), "imported:1"]
        engine.call("import", *words)
        done = ours.run("import", *words)
        assert done.status == 0, done.err
        assert inspected(ours.run("inspect", "imported:1").out) == inspected(engine.call("inspect", "imported:1"))
        form = "{{.CreatedBy}}|{{.Comment}}|{{.Size}}"
        assert ours.run("history", "--format", form, "imported:1").out == engine.call(
            "history", "--format", form, "imported:1"
        )
    for change in ("RUN x", "FROM x", 'SHELL ["x"]', "ENV", "STOPSIGNAL NOPE"):
        words = ["--change", change, str(tmp_path / "a.tar")]
        theirs = engine.run("import", *words)
        done = ours.run("import", *words)
        assert done.status == theirs.returncode == 1
        assert theirs.stderr.strip().removeprefix("Error response from daemon: ") in done.err
    saved = ours.run("save", "-o", str(tmp_path / "saved.tar"), "imported:1")
    assert saved.status == 0, saved.err
    assert "Loaded image: imported:1" in engine.call("load", "-i", str(tmp_path / "saved.tar"))
    with (tmp_path / "a.tar.gz").open("rb") as stdin:
        piped = subprocess.run(
            [*PROGRAM, "--root", str(ours.store), "import", "-", "piped"], stdin=stdin, capture_output=True, check=True
        )
    assert piped.stdout.decode() == ours.run("import", str(tmp_path / "a.tar")).out
    engine.call("rmi", "-f", "imported:1")


FOUND = [
    {"name": "debian", "description": "Debian is a\nLinux distribution. " + "x" * 60, "star_count": 5000,
     "is_official": True, "is_automated": False},
    {"name": "user/debian", "description": "<b>", "star_count": 3, "is_official": False, "is_automated": True},
    {"name": "wide/名前", "description": "名" * 30, "star_count": 0, "is_official": False},
]  # fmt: skip
SEARCHES = (
    (), ("--no-trunc",), ("-f", "stars=3"), ("-f", "is-official=true"), ("-f", "is-official=0"),
    ("-f", "is-automated=true"), ("--format", "json"), ("--format", "{{.Name}} {{.IsOfficial}} {{json .}}"),
    ("--format", r"table {{.Name}}\t{{.StarCount}}"), ("--limit", "101"), ("-f", "x=y"), ("--format", "{{.No}}"),
)  # fmt: skip


def test_search(engine: Engine, tmp_path: Path) -> None:
    """Of a registry that is searched as Docker Hub is."""

    def answer(exchange: Exchange) -> None:
        bodies = {"/v1/_ping": b"true", "/v1/search": json.dumps({"results": FOUND}).encode(), "/v2/": b"{}"}
        body = bodies.get(exchange.path.partition("?")[0])
        exchange.send(404 if body is None else 200, body or b"")

    with serving(answer) as server:
        for options in SEARCHES:
            words = ("search", *options, f"{server.host}/deb")
            theirs, done = engine.run(*words), in_process(Lapstrake(tmp_path), *words)
            assert (done.out, done.status) == (theirs.stdout, theirs.returncode), words
            asked = [seen.path for seen in server.seen if seen.path.startswith("/v1/search")]
            assert len(set(asked)) <= 1


def test_archives_of_platforms(engine: Engine, tmp_path: Path) -> None:
    """Docker loads what is saved of an index, and we what it saves then."""
    ours, theirs = Lapstrake(tmp_path / "ours"), Lapstrake(tmp_path / "theirs")
    name = "platforms:1"
    context = folder(tmp_path / "c", {"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})
    ours.built(context, "-t", name, "--platform=linux/amd64,linux/arm64,linux/s390x")
    for wanted, chosen in (("linux/s390x", "s390x"), (f"linux/s390x,linux/{host().architecture}", host().architecture)):
        archive = str(tmp_path / "app.tar")
        assert in_process(ours, "save", "--platform", wanted, "-o", archive, name).status == 0
        assert f"Loaded image: {name}" in engine.call("load", "-i", archive)
        shown = ("-f", "{{.Architecture}}", name)
        assert (
            engine.call("inspect", *shown)
            == f"{chosen}\n"
            == in_process(ours, "inspect", "--platform", f"linux/{chosen}", *shown).out
        )
        engine.call("save", "-o", archive, name)
        assert in_process(theirs, "load", "-i", archive).out == f"Loaded image: {name}\n"
        assert in_process(theirs, "inspect", *shown).out == f"{chosen}\n"
    engine.call("rmi", "-f", name)
