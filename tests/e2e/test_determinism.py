"""The same input gives the same bytes: other folder, other time, other umask, other store."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import pytest

from tests.e2e.compare import flatten
from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = pytest.mark.e2e

DOCKERFILE = """\
FROM base
WORKDIR /app
COPY . .
ADD data.tar /data/
ENV A=b
LABEL c=d
COPY --chown=web:web sub/x /owned/x
"""


def context(path: Path) -> Path:
    made = folder(path, {"Dockerfile": DOCKERFILE, "sub/x": "x\n", "sub/y": "y\n" * 1000, "é": "ü"})
    os.symlink("x", made / "sub" / "link")
    os.link(made / "sub" / "y", made / "sub" / "hard")
    with tarfile.open(made / "data.tar", "w") as tar:
        info = tarfile.TarInfo("d/e")
        info.mtime = 1_234_567_890
        tar.addfile(info)
    for found in made.rglob("*"):
        os.utime(found, (1_000_000_000, 1_000_000_000), follow_symlinks=False)
    return made


def layers(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        member = tar.extractfile("manifest.json")
        assert member
        return list(json.load(member)[0]["Layers"])


def test_two_folders_two_umasks_two_stores(tmp_path: Path, base: Path) -> None:
    archives = []
    for number, mask in enumerate((0o077, 0o002)):
        store = Lapstrake(tmp_path / f"store{number}", base)
        archive = tmp_path / f"{number}.tar"
        made = context(tmp_path / ("a" * (number + 1)))
        before = os.umask(mask)
        try:
            store.built(made, "-o", f"type=docker,dest={archive}", env={"SOURCE_DATE_EPOCH": "1500000000"})
        finally:
            os.umask(before)
        archives.append(archive)
    assert layers(archives[0]) == layers(archives[1])
    assert archives[0].read_bytes() == archives[1].read_bytes()


def test_layers_do_not_depend_on_the_day(tmp_path: Path, base: Path) -> None:
    """Without an epoch the config has times, the layers of COPY, ADD and WORKDIR do not."""
    made = context(tmp_path / "context")
    for number in (0, 1):
        Lapstrake(tmp_path / f"store{number}", base).built(made, "-o", f"type=docker,dest={tmp_path}/{number}.tar")
    assert layers(tmp_path / "0.tar") == layers(tmp_path / "1.tar")


def test_epoch_is_the_time_of_the_image(tmp_path: Path, base: Path) -> None:
    made = context(tmp_path / "context")
    Lapstrake(tmp_path / "store", base).built(
        made, "--build-arg", "SOURCE_DATE_EPOCH=1500000000", "-o", f"type=docker,dest={tmp_path}/a.tar"
    )
    document = flatten(tmp_path / "a.tar").document
    assert document["created"] == "2017-07-14T02:40:00Z"
    assert {entry["created"] for entry in document["history"][-6:]} == {"2017-07-14T02:40:00Z"}
    assert sum(not entry.get("empty_layer") for entry in document["history"]) == len(document["rootfs"]["diff_ids"])


def test_compression_does_not_change_what_a_layer_is(tmp_path: Path, base: Path) -> None:
    made = context(tmp_path / "context")
    store = Lapstrake(tmp_path / "store", base)
    flats = []
    for kind in ("gzip", "zstd", "uncompressed"):
        store.built(made, "-o", f"type=docker,dest={tmp_path}/{kind}.tar,compression={kind}")
        flats.append(flatten(tmp_path / f"{kind}.tar"))
    assert flats[0] == flats[1] == flats[2]
