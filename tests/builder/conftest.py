"""Small images for the tests of everything that handles whole images."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.images.image import Image, assemble
from builder.layer.layer import Layer
from builder.oci.config import History, ImageConfig, RuntimeConfig
from builder.oci.descriptor import OCI_LAYER, OCI_LAYER_GZIP, Descriptor
from builder.oci.platform import host
from cache.digest import Digest
from cache.store import Store

MakeImage = Callable[..., Image]


def tar_bytes(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


@pytest.fixture
def make_image(store: Store) -> MakeImage:
    """make_image({"name": b"data"}, ..., compressed=True): an image of one layer for each dict, in the store."""

    def make(*layers: dict[str, bytes], compressed: bool = True, cmd: str = "/bin/true") -> Image:
        made = []
        for files in layers or ({"hello": b"hello\n"},):
            plain = tar_bytes(files)
            data = gzip.compress(plain, 1, mtime=0) if compressed else plain
            digest, size = store.blobs.put(data)
            media = OCI_LAYER_GZIP if compressed else OCI_LAYER
            made.append(Layer(Digest.of(plain), Descriptor(media, digest, size)))
        config = ImageConfig(
            platform=host(),
            runtime=RuntimeConfig(cmd=(cmd,)),
            created="2001-02-03T04:05:06Z",
            history=tuple(History(created_by="COPY x /", created="2001-02-03T04:05:06Z") for _ in made),
        )
        image = assemble(config, tuple(made))
        store.blobs.put(image.config_raw)
        store.blobs.put(image.manifest_raw)
        return image

    return make
