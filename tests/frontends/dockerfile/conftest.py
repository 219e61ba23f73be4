from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from builder.errors import SourceFault
from builder.graph.program import Program, ResolvedImage
from builder.oci.config import History, ImageConfig, RuntimeConfig
from builder.oci.platform import Platform
from cache.digest import Digest
from frontends.dockerfile.lower import lower
from frontends.dockerfile.options import LowerOptions
from frontends.dockerfile.parse import parse
from frontends.text import Source

PLATFORM = Platform(architecture="amd64", os="linux")
BASE = ImageConfig(
    platform=PLATFORM,
    runtime=RuntimeConfig(env=("PATH=/bin", "FROM_BASE=1"), cmd=("sh",)),
    created="2020-01-01T00:00:00Z",
    diff_ids=(Digest.of(b"layer"),),
    history=(History(created_by="base", created="2020-01-01T00:00:00Z"),),
)


class Images:
    """A resolver: every name is BASE unless `configs` says otherwise; asked: the names it was asked for."""

    def __init__(self) -> None:
        self.configs: dict[str, ImageConfig] = {}
        self.asked: list[str] = []

    def __call__(self, name: str, platform: Platform) -> ResolvedImage:
        self.asked.append(name)
        if name.startswith("missing"):
            raise SourceFault(f"{name}: not found", "pull it")
        return ResolvedImage(name, Digest.of(name.encode()), self.configs.get(name, BASE))


@pytest.fixture
def images() -> Images:
    return Images()


@pytest.fixture
def build(images: Images) -> Callable[..., Program]:
    """build(text, ignored=…, **LowerOptions fields) -> Program."""

    def run(text: str | bytes, *, ignored: Callable[[str], bool] = lambda path: False, **options: Any) -> Program:
        data = text.encode() if isinstance(text, str) else text
        chosen = LowerOptions(**{"platform": PLATFORM, "build_platform": PLATFORM, **options})
        return lower(parse(Source("Dockerfile", data)), chosen, images, ignored=ignored)

    return run
