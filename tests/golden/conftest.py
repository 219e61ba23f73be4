"""--write-golden: write what is expected instead of comparing with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden.image import Read, read


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-golden", action="store_true", help="write tree.txt and config.json of the cases chosen")


@pytest.fixture(scope="session")
def base_read(base: Path) -> Read:
    return read(base)


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("golden") / "store"
