"""One machine exports its cache, another one, which is an empty store, imports it."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.dockerregistry import DockerRegistry, docker_registry
from tests.e2e.lapstrake import Done, Lapstrake, folder
from tests.e2e.running import PATIENCE, until
from tests.memoryregistry import MemoryRegistry, running
from tests.s3server import KEY, SECRET, s3_server
from tests.webserver import Exchange

STAGES = (
    "FROM base AS made\nWORKDIR /w\nCOPY in .\nRUN cat in in > out && head -c 3000 /dev/urandom > big\n"
    "FROM base\nRUN echo tools > /tools\nCOPY --from=made /w/out /out\nRUN cat /out > /last\n"
)
STEPS = 6


@pytest.fixture
def context(tmp_path: Path) -> Path:
    return folder(tmp_path / "context", {"Dockerfile": STAGES, "in": "text\n"})


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[DockerRegistry]:
    (tmp_path / "registry").mkdir()
    with docker_registry(tmp_path / "registry") as one:
        yield one


def machine(tmp_path: Path, name: str, like: Lapstrake) -> Lapstrake:
    """Another one, with an empty store."""
    return Lapstrake(tmp_path / name, like.base)


def fetched(done: Done) -> int:
    """How many layers came from the cache."""
    return len(set(re.findall(r"\[internal\] fetching layer (sha256:\w+) from", done.err)))


@pytest.mark.e2e
def test_a_folder(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    place = tmp_path / "cache"
    lapstrake.built(context, "--cache-to", f"type=local,dest={place},mode=max", "-o", f"type=oci,dest={tmp_path}/a.tar")
    other = machine(tmp_path, "b", lapstrake)
    done = other.built(context, "--cache-from", f"type=local,src={place}", "-o", "type=cacheonly")
    assert (done.cached, fetched(done)) == (STEPS, 0), done.err
    done = other.built(context, "--cache-from", f"type=local,src={place}", "-o", f"type=oci,dest={tmp_path}/b.tar")
    assert (done.cached, fetched(done)) == (STEPS, 3), done.err
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    again = other.built(context, "-o", "type=cacheonly")  # what came is the machine's own now
    assert again.cached >= 3


@pytest.mark.e2e
def test_a_registry(lapstrake: Lapstrake, context: Path, registry: DockerRegistry, tmp_path: Path) -> None:
    """In each form that BuildKit has: a manifest, an index, Docker's index, other layers."""
    for number, form in enumerate(("", ",image-manifest=false", ",oci-mediatypes=false", ",compression=zstd")):
        ref = f"{registry.host}/team/cache{number}:main"
        first = lapstrake.built(
            context, "--cache-to", f"type=registry,ref={ref},mode=max{form}", "-o", "type=cacheonly"
        )
        assert f"exporting cache to registry {ref}" in first.err
        other = machine(tmp_path, f"b{number}", lapstrake)
        done = other.built(context, "--cache-from", ref, "-t", "app")
        assert (done.cached, fetched(done)) == (STEPS, 3), done.err
    assert json.loads(other.run("inspect", "app").out)[0]["RootFS"]["Layers"]


@pytest.mark.e2e
def test_s3(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    (tmp_path / "s3").mkdir()
    with s3_server(tmp_path / "s3", "builds") as url:
        place = f"type=s3,bucket=builds,region=eu-central-1,name=main,endpoint_url={url},use_path_style=true"
        login = f"access_key_id={KEY},secret_access_key={SECRET}"
        first = lapstrake.built(context, "--cache-to", f"{place},{login},mode=max", "-o", "type=cacheonly")
        other = machine(tmp_path, "b", lapstrake)
        login_env = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        done = other.built(context, "--cache-from", place, "-t", "app", env=login_env)
        assert (done.cached, fetched(done)) == (STEPS, 3), done.err
        wrong = machine(tmp_path, "c", lapstrake)
        refused = wrong.built(
            context, "--cache-from", f"{place},access_key_id={KEY},secret_access_key=no-such", "-t", "a"
        )
        assert "SignatureDoesNotMatch" in refused.err or "AccessDenied" in refused.err
    assert "exporting cache to Amazon S3 s3://builds/manifests/main" in first.err
    for said in (first.err, done.err, refused.err):
        assert SECRET not in said and "no-such" not in said


@pytest.mark.e2e
def test_only_what_is_wanted_moves(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    memory = MemoryRegistry()
    with running(memory) as host:
        to = f"type=registry,ref={host}/team/cache,mode=max"
        lapstrake.built(context, "--cache-to", to, "-o", f"type=registry,name={host}/team/app")
        other = machine(tmp_path, "b", lapstrake)
        memory.server.seen.clear()
        share = ("--cache-from", f"{host}/team/cache", "--cache-to", to)
        done = other.built(context, *share, "-o", f"type=registry,name={host}/team/again")
        assert done.cached == STEPS and fetched(done) == 0, done.err
        layers = [one.path for one in memory.server.seen if one.body.startswith(b"\x1f\x8b")]
        image = json.loads(memory.manifests["team/again", memory.tags["team/again", "latest"]][1])
        assert len(layers) == len(image["layers"]) - 3, layers  # the base came from an archive: nobody there had it
        assert [
            one.path.rpartition("/")[0] for one in memory.server.seen if one.method == "GET" and "/v2/team" in one.path
        ] == [
            "/v2/team/cache/manifests",
            "/v2/team/cache/blobs",
        ]
        (context / "Dockerfile").write_text(STAGES + "RUN cat /tools\n")
        done = other.built(context, *share, "-o", "type=cacheonly")
        assert (done.cached, fetched(done)) == (STEPS, 3), done.err
        (context / "in").write_text("other\n")
        done = other.built(context, *share, "-o", "type=cacheonly")
        assert (done.cached, fetched(done)) == (2, 1), done.err  # WORKDIR and tools


@pytest.mark.e2e
def test_the_layers_of_the_image_only(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    """mode=min: what is unchanged is a hit all the same; a stage whose layers are wanted is made anew."""
    place = tmp_path / "cache"
    about = ("--metadata-file", f"{tmp_path}/about")
    lapstrake.built(context, "--cache-to", f"type=local,dest={place}", "-o", "type=cacheonly", *about)
    manifest = json.loads((place / "index.json").read_text())["manifests"][0]["digest"]
    assert json.loads(json.loads((tmp_path / "about").read_text())["cache.manifest"])["digest"] == manifest
    assert len(json.loads((place / "blobs/sha256" / manifest.partition(":")[2]).read_text())["layers"]) == 3
    other = machine(tmp_path, "b", lapstrake)
    share = ("--cache-from", f"type=local,src={place}", "-o", "type=cacheonly")
    assert other.built(context, *share).cached == STEPS
    stage = other.built(context, *share, "--target", "made")
    assert set(stage.steps("DONE")) >= {
        "WORKDIR /w",
        "COPY in .",
        "RUN cat in in > out && head -c 3000 /dev/urandom > big",
    }
    third = machine(tmp_path, "c", lapstrake)
    (context / "Dockerfile").write_text(STAGES.replace("COPY --from=made /w/out", "COPY --from=made /w/big"))
    changed = third.built(context, *share)
    assert "RUN cat in in > out && head -c 3000 /dev/urandom > big" in changed.steps("DONE"), changed.err
    assert "WARN" not in changed.err and "missed: its layer is in no shared cache" in changed.err


@pytest.mark.e2e
def test_in_the_image(lapstrake: Lapstrake, context: Path, registry: DockerRegistry, tmp_path: Path) -> None:
    ref = f"{registry.host}/team/app:1"
    lapstrake.built(context, "--cache-to", "type=inline", "-o", f"type=registry,name={ref}")
    digest = registry.digest("team/app:1")
    other = machine(tmp_path, "b", lapstrake)
    done = other.built(context, "--cache-from", ref, "--cache-to", "type=inline", "-o", f"type=registry,name={ref}")
    assert (done.cached, fetched(done)) == (STEPS, 0), done.err
    assert registry.digest("team/app:1") == digest
    older = ("--build-arg", "BUILDKIT_INLINE_CACHE=1", "--cache-from", ref)
    other.built(context, *older, "-o", f"type=registry,name={registry.host}/team/app:2")
    assert registry.digest("team/app:2") == digest
    (context / "Dockerfile").write_text(f"FROM {ref}\nRUN echo child > /child\n")
    other.built(context, "--cache-from", "type=registry,ref=" + ref, "-t", "child")
    assert "dev.lapstrake.cache" not in other.run("image", "inspect", "child").out
    other.built(context, "-o", f"type=local,dest={tmp_path}/out")
    assert (tmp_path / "out" / "last").read_text() == "text\ntext\n"


@pytest.mark.e2e
def test_what_is_damaged_is_made_anew_and_mended(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    """Also with the output in a pipe, of which nothing was written yet."""
    place = tmp_path / "cache"
    share = ("--cache-from", f"type=local,src={place}", "--cache-to", f"type=local,dest={place},mode=max")
    lapstrake.built(context, *share, "-o", "type=cacheonly")
    manifest = json.loads((place / "index.json").read_text())["manifests"][0]["digest"].partition(":")[2]
    layers = [layer["digest"] for layer in json.loads((place / "blobs/sha256" / manifest).read_text())["layers"]]
    for digest in layers:
        blob = place / "blobs/sha256" / digest.partition(":")[2]
        data = blob.read_bytes()
        blob.write_bytes(data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])
    other = machine(tmp_path, "b", lapstrake)
    done = other.built(context, *share, "-o", "type=tar,dest=-")
    assert done.err.count("is refused, its step is run") >= 3, done.err
    assert "missed: its layer in the shared cache is damaged or gone" in done.err
    third = machine(tmp_path, "c", lapstrake)
    again = third.built(context, "--cache-from", f"type=local,src={place}", "-o", "type=tar,dest=-")
    assert again.cached == STEPS and "refused" not in again.err, again.err
    assert again.out == done.out


@pytest.mark.e2e
def test_what_cannot_be_reached(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    """An import that fails is a warning; an export that fails is an error, and the image is there all the same."""
    sources = ("--cache-from", "127.0.0.1:1/no:cache", "--cache-from", f"type=local,src={tmp_path}/none")
    none = ("--cache-from", "type=inline", "--cache-from", "type=s3,region=x")
    done = lapstrake.built(context, *sources, *none, "-o", "type=cacheonly", env={"AWS_BUCKET": ""})
    assert "cache import skipped: unknown cache importer: inline" in done.err
    assert "cache import skipped: bucket ($AWS_BUCKET) not set for s3 cache" in done.err
    assert done.err.count("cache import from") == 2 and done.cached == 0
    cached = lapstrake.built(context, *sources, "-o", "type=cacheonly")
    assert "import" not in cached.err and cached.cached == STEPS  # nobody had to be asked
    memory = MemoryRegistry()
    memory.upload = lambda exchange, name, session, query: exchange.send(403)  # type: ignore[method-assign]
    with running(memory) as host:
        to = f"type=registry,ref={host}/no:cache"
        refused = lapstrake.refused(context, "--cache-to", to, "-t", "app")
        assert f"failed to export cache to {host}/no:cache: " in refused.err
        assert "app" in lapstrake.run("images").out
        ignored = lapstrake.built(context, "--cache-to", f"{to},ignore-error=true")
        assert "failed to export cache to" in ignored.err
    (tmp_path / "file").write_text("")
    assert "is a file" in lapstrake.refused(context, "--cache-to", f"type=local,dest={tmp_path}/file").err
    lapstrake.built(context, "--cache-to", f"type=local,dest={tmp_path}/file,ignore-error=true")


@pytest.mark.e2e
def test_many_export_to_one_folder(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    place = tmp_path / "cache"
    tags = [str(number) for number in range(3)]
    processes = [
        lapstrake.start(
            context, "--cache-to", f"type=local,dest={place},tag={tag},mode=max,reset=true", "-o", "type=cacheonly"
        )
        for tag in tags
    ]
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err.decode()
    for tag in tags:
        other = machine(tmp_path, tag, lapstrake)
        done = other.built(context, "--cache-from", f"type=local,src={place},tag={tag}", "-t", "app")
        assert done.cached == STEPS and "refused" not in done.err


@pytest.mark.e2e
def test_two_users(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    """A folder that one may only read is a source of caches, and no place for them."""
    place = tmp_path / "cache"
    lapstrake.built(context, "--cache-to", f"type=local,dest={place},mode=max")
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    for path in (place, place / "blobs/sha256"):
        path.chmod(0o555)
    other = machine(tmp_path, "b", lapstrake)
    share = ("--cache-from", f"type=local,src={place}")
    assert other.built(context, *share, "-t", "app").cached == STEPS
    assert "is not writable" in other.refused(context, *share, "--cache-to", f"type=local,dest={place}").err
    other.built(context, *share, "--cache-to", f"type=local,dest={place},ignore-error=true")


@pytest.mark.e2e
def test_a_registry_that_goes_away(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    """The records were read; then layers cannot be had, and the steps are run."""

    class Leaving(MemoryRegistry):
        def body(self, exchange: Exchange, status: int, data: bytes, start: int) -> None:
            if self.gone and data.startswith(b"\x1f\x8b"):
                exchange.send(403, b'{"errors":[{"code":"DENIED","message":"no more"}]}')
            else:
                super().body(exchange, status, data, start)

        gone = False

    memory = Leaving()
    with running(memory) as host:
        lapstrake.built(context, "--cache-to", f"type=registry,ref={host}/cache,mode=max", "-o", "type=cacheonly")
        memory.gone = True
        done = machine(tmp_path, "b", lapstrake).built(context, "--cache-from", f"{host}/cache", "-t", "app")
    assert done.err.count("is given up") >= 1 and "no more" in done.err
    assert "RUN echo tools > /tools" in done.steps("DONE")


@pytest.mark.e2e
def test_a_question_makes_and_asks_nothing(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    share = ("--cache-from", "127.0.0.1:1/none", "--cache-to", f"type=local,dest={tmp_path}/made")
    assert "cache" not in lapstrake.built(context, *share, "--check").err
    assert not (tmp_path / "made").exists()


@pytest.mark.e2e
def test_cache_mounts(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """They go and come where both sides ask for it, for a step that is run."""
    step = "FROM base\nRUN --mount=type=cache,target=/c,uid=1000,mode=750 {}\n"
    more = "stat -c '%u %a' /c > /own; cat /c/f > /got 2>&1; echo text > /c/f; head -c 3000 /dev/zero > /c/g"
    context = folder(tmp_path / "context", {"Dockerfile": step.format(more)})
    place = tmp_path / "cache"
    to = f"type=local,dest={place},mode=max,mounts=true"
    lapstrake.built(context, "--cache-to", to, "-o", "type=cacheonly")
    (context / "Dockerfile").write_text(step.format(f"true; {more}"))
    for number, attribute in enumerate(("mounts=true", "mounts=false")):
        other = machine(tmp_path, f"b{number}", lapstrake)
        source = f"type=local,src={place},{attribute}"
        done = other.built(context, "--cache-from", source, "-o", f"type=local,dest={tmp_path}/out{number}")
        assert ("fetching cache mount" in done.err) is (number == 0)
    assert (tmp_path / "out0/got").read_text() == "text\n"
    assert "No such file" in (tmp_path / "out1/got").read_text()
    assert (tmp_path / "out0/own").read_text() == (tmp_path / "out1/own").read_text() == "1000 750\n"
    capped = lapstrake.built(context, "--cache-to", f"{to},mounts-max-size=1k", "-o", "type=cacheonly")
    assert "cache mount /c is not exported" in capped.err
    last = machine(tmp_path, "last", lapstrake)
    done = last.built(context, "--cache-from", f"type=local,src={place},mounts=true", "-o", "type=cacheonly")
    assert done.cached == 1 and "fetching cache mount" not in done.err


@pytest.mark.e2e
@pytest.mark.parametrize("where", ["layers", "manifest", "upload"])
def test_ctrl_c(lapstrake: Lapstrake, context: Path, tmp_path: Path, where: str) -> None:
    """While a registry lets us wait."""

    class Waiting(MemoryRegistry):
        asked, go = threading.Event(), threading.Event()
        stop = ""

        def wait(self, now: str) -> None:
            if self.stop == now:
                self.asked.set()
                self.go.wait(PATIENCE)

        def body(self, exchange: Exchange, status: int, data: bytes, start: int) -> None:
            if data.startswith(b"\x1f\x8b"):
                self.wait("layers")
            super().body(exchange, status, data, start)

        def manifest(self, exchange: Exchange, name: str, what: str) -> None:
            self.wait("manifest")
            super().manifest(exchange, name, what)

        def upload(self, exchange: Exchange, name: str, session: str, query: dict[str, list[str]]) -> None:
            self.wait("upload")
            super().upload(exchange, name, session, query)

    memory = Waiting()
    with running(memory) as host:
        share = ("--cache-from", f"{host}/cache", "--cache-to", f"type=registry,ref={host}/cache,mode=max")
        lapstrake.built(context, *share, "-o", "type=cacheonly")
        if where == "upload":
            memory.blobs.clear()
            share = share[2:]
        memory.stop = where
        process = machine(tmp_path, "b", lapstrake).start(context, *share, "-t", "app")
        assert memory.asked.wait(PATIENCE)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE / 2)
        memory.go.set()
    assert process.returncode == 130, err.decode()
    assert not list((tmp_path / "b" / "tmp").glob("blob-*"))


@pytest.mark.e2e
def test_images_of_several_platforms(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """Inline: each image has the records of its own steps. A cache elsewhere has all."""
    lines = "FROM scratch\nARG TARGETARCH\nCOPY in /in-$TARGETARCH\nCOPY in /both\n"
    context = folder(tmp_path / "context", {"Dockerfile": lines, "in": "text"})
    both = ("--platform", "linux/amd64,linux/arm64")
    memory = MemoryRegistry()
    with running(memory) as host:
        to = ("--cache-to", "type=inline", "--cache-to", f"type=registry,ref={host}/cache")
        lapstrake.built(context, *both, *to, "-o", f"type=registry,name={host}/app")
        for number, source in enumerate((f"{host}/app", f"{host}/cache")):
            done = machine(tmp_path, str(number), lapstrake).built(context, *both, "--cache-from", source, "-t", "app")
            assert (done.cached, fetched(done)) == (4, 3), done.err
        one = ("--platform", "linux/arm64", "--cache-from", f"{host}/app", "-t", "app")
        assert machine(tmp_path, "one", lapstrake).built(context, *one).cached == 2


def exports(process: subprocess.Popen[bytes], place: Path) -> None:
    """Wait until it writes there, or has ended."""
    before = set(place.rglob("*"))
    until(lambda: process.poll() is not None or set(place.rglob("*")) != before, "nothing is exported")


@pytest.mark.e2e
def test_killed_while_it_exports(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """At any moment: what index.json leads to is whole."""
    place, moments = tmp_path / "cache", random.Random(1)
    dockerfile = "FROM scratch\nCOPY a /\nCOPY b /\nCOPY c /\n"
    context = folder(tmp_path / "context", {"Dockerfile": dockerfile, "a": b"", "b": b"", "c": b""})
    share = ("--cache-to", f"type=local,dest={place},mode=max,reset=true", "-o", "type=cacheonly")
    for _ in range(int(os.environ.get("LT_KILLS", "4"))):
        for name in "abc":
            (context / name).write_bytes(moments.randbytes(300_000))
        process = lapstrake.start(context, *share)
        exports(process, place)
        time.sleep(moments.uniform(0, 0.03))
        with suppress(ProcessLookupError):  # it may have ended by then
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        done = machine(tmp_path, "b", lapstrake).built(context, "--cache-from", f"type=local,src={place}", "-t", "app")
        assert "refused" not in done.err
    lapstrake.built(context, *share)
    done = machine(tmp_path, "c", lapstrake).built(context, "--cache-from", f"type=local,src={place}", "-t", "app")
    assert done.cached == 3
    assert not list(place.rglob("*.tmp-*"))
