"""A hostile registry, through `pull` and through the FROM of a build: words, no harm, and the next command works.

All on one store, three commands at a time, as they would be on a busy machine. With HOSTILE_REGISTRY=all each image is
both pulled and built upon, else one of the two.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, count
from pathlib import Path

import pytest

from tests.e2e.lapstrake import Done, Lapstrake, folder
from tests.hostileregistry import HostileRegistry
from tests.memoryregistry import running

pytestmark = pytest.mark.e2e

ALL = os.environ.get("HOSTILE_REGISTRY") == "all"
SECRET = "a secret of the host"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    return folder(tmp_path / "outside", {"secret": SECRET})


@pytest.fixture
def registry(outside: Path) -> Iterator[HostileRegistry]:
    made = HostileRegistry(str(outside))
    with running(made):
        yield made


def whole(lapstrake: Lapstrake) -> list[str]:
    """What has a name in the store; it must be what the name says, and nothing half-written be left."""
    names = sorted(os.listdir(lapstrake.store / "blobs" / "sha256"))
    for name in names:
        assert hashlib.sha256((lapstrake.store / "blobs" / "sha256" / name).read_bytes()).hexdigest() == name
    assert os.listdir(lapstrake.store / "tmp") == []
    return names


def place_of(name: str) -> str:
    """A folder's name."""
    return name.partition("@")[0].replace("/", "_").replace(":", "_")


def images(lapstrake: Lapstrake) -> str:
    return lapstrake.run("images", "-a", "-q").out


def test_images_that_cannot_be_had(registry: HostileRegistry, tmp_path: Path) -> None:
    lapstrake = Lapstrake(tmp_path / "store")
    host = registry.server.host

    def ask(number: int, name: str) -> list[tuple[str, Done]]:
        context = folder(tmp_path / place_of(name), {"Dockerfile": f"FROM {host}/{name}\nCOPY Dockerfile /\n"})
        ways = [lambda: lapstrake.run("pull", f"{host}/{name}"), lambda: lapstrake.build(context)]
        return [(name, way()) for way in (ways if ALL else [ways[number % 2]])]

    with ThreadPoolExecutor(3) as pool:
        for name, done in chain.from_iterable(pool.map(ask, count(), registry.broken)):
            assert done.status == 1 and "ERROR: " in done.err, (name, done)
            assert "Traceback" not in done.err and "internal error" not in done.err, (name, done)
            assert "\x1b" not in done.err and done.err.count("\n") < 60, (name, done)
    layers = {
        layer["digest"].partition(":")[2]
        for kind, raw in registry.manifests.values()
        if "index" not in kind
        for layer in _layers(raw)
    }
    assert not layers & set(whole(lapstrake)) and images(lapstrake) == ""
    registry.add_image("good", "1", [{"f": b"1"}], "amd64")
    assert lapstrake.run("pull", "--platform", "linux/amd64", f"{host}/good:1").status == 0
    assert images(lapstrake).count("\n") == 1


def _layers(raw: bytes) -> list[dict[str, str]]:
    try:
        return list(json.loads(raw)["layers"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


@pytest.mark.parametrize("tag", ["../../x", "a/b", "x\x1b[2J", "-rf", "a@sha256:0", "x" * 129])
def test_tags_that_are_none(registry: HostileRegistry, tmp_path: Path, tag: str) -> None:
    """Nothing of a repository is pulled whose list has such a one."""
    registry.add_image("tags", "1", [{"f": b"1"}])
    registry.tags["tags", tag] = registry.tags["tags", "1"]
    lapstrake = Lapstrake(tmp_path / "store")
    done = lapstrake.run("pull", "-a", f"{registry.server.host}/tags")
    assert done.status == 1 and "invalid reference format" in done.err and "\x1b" not in done.err + done.out
    assert whole(lapstrake) == []


def test_layers_that_reach_outside(registry: HostileRegistry, outside: Path, base: Path, tmp_path: Path) -> None:
    """Run in, copied from, looked at: the host keeps what it has, and shows nothing."""
    lapstrake = Lapstrake(tmp_path / "store", base)
    host = registry.server.host
    lapstrake.built(folder(tmp_path / "first", {"Dockerfile": "FROM base\nRUN true\n"}))

    def build(name: str) -> tuple[str, Done]:
        lines = [
            f"FROM {host}/{name} AS hostile",
            "COPY Dockerfile /more",
            'RUN --mount=type=bind,from=base,source=/bin,target=/.bin ["/.bin/busybox", "find", "/", "-xdev"]',
            "FROM base",
            f"COPY --from={host}/{name} / /copied/",
            "RUN true",
        ]
        context = folder(tmp_path / place_of(name), {"Dockerfile": "\n".join(lines)})
        return name, lapstrake.build(context, "-o", f"type=tar,dest={context}.tar")

    with ThreadPoolExecutor(3) as pool:
        for name, done in pool.map(build, registry.reaching):
            assert "Traceback" not in done.err and "internal error" not in done.err, (name, done)
            assert done.status in (0, 1) and SECRET not in done.err, (name, done)
            archive = tmp_path / f"{place_of(name)}.tar"
            assert not archive.exists() or SECRET.encode() not in archive.read_bytes()
    assert sorted(os.listdir(outside)) == ["secret"] and (outside / "secret").read_text() == SECRET
    whole(lapstrake)
    for path in lapstrake.store.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert SECRET.encode() not in path.read_bytes()


def test_a_layer_that_grows(registry: HostileRegistry, tmp_path: Path) -> None:
    """While it comes: it is not even stored. The bound can be raised."""
    registry.add_image("bomb", "1", [{"zeros": bytes(30 << 20)}], "amd64")
    lapstrake = Lapstrake(tmp_path / "store")
    name = f"{registry.server.host}/bomb:1"
    context = folder(tmp_path / "context", {"Dockerfile": f"FROM --platform=linux/amd64 {name}\nCOPY Dockerfile /\n"})
    small = {"LAPSTRAKE_UNPACK_LIMIT": "1000000"}
    for done in (
        lapstrake.run("pull", "--platform", "linux/amd64", name, env=small),
        lapstrake.build(context, "--platform=linux/amd64", env=small),
    ):
        assert done.status == 1 and "is too large: " in done.err and "hint: raise LAPSTRAKE_UNPACK_LIMIT" in done.err
    assert len(whole(lapstrake)) == 2  # its manifest and config
    assert (
        lapstrake.run("pull", "--platform", "linux/amd64", name, env={"LAPSTRAKE_UNPACK_LIMIT": "40000000"}).status == 0
    )
