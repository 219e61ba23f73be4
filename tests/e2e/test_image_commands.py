"""Commands for images beside those of a newer Docker Engine, their output compared (docs/conformance.md)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.dockerregistry import DockerRegistry, docker_registry
from tests.e2e.engine import Engine
from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as one:
        yield one


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
            remote = far.run("manifest", "inspect", *options, image)
            assert (remote.status, remote.out) == (theirs.returncode, theirs.stdout)
            assert (name != "none") == bool(remote.out)
            assert theirs.stderr.strip() in remote.err
            if name in forms:
                assert near.run("manifest", "inspect", *options, image).out == theirs.stdout
    assert not list((far.store / "blobs/sha256").iterdir())
