"""What holds for every test: a plain environment, and no test that needs root without it."""

from __future__ import annotations

import os

import pytest

_SPEAKING = ("LAPSTRAKE_", "BUILDKIT_", "BUILDX_", "DOCKER_", "SOURCE_DATE_EPOCH", "NO_COLOR", "XDG_DATA_HOME")


def pytest_configure(config: pytest.Config) -> None:
    for name in list(os.environ):
        if name.startswith(_SPEAKING):
            del os.environ[name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(pytest.mark.skip(reason="needs root"))
