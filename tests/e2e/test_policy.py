"""Source policies: what a build may use, and what stands in for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = pytest.mark.e2e


def policy(path: Path, *rules: dict[str, object]) -> dict[str, str]:
    path.write_text(json.dumps({"rules": rules}))
    return {"EXPERIMENTAL_BUILDKIT_SOURCE_POLICY": str(path)}


def test_denied_images_folders_and_urls(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM scratch\nCOPY a /a\nFROM other:1\nFROM scratch AS url\nADD http://127.0.0.1:1/x /x\n"
    context = folder(tmp_path / "context", {"Dockerfile": text, "a": "1"})
    for target, denied in (
        ("stage-0", "local://context"),
        ("stage-1", "docker-image://docker.io/library/other:1"),
        ("url", "http://127.0.0.1:1/x"),
    ):
        env = policy(tmp_path / "policy.json", {"action": "DENY", "selector": {"identifier": denied}})
        args = () if target.startswith("stage") else ("--target", target)
        if target == "stage-0":
            (context / "Dockerfile").write_text("FROM scratch\nCOPY a /a\n")
        elif target == "stage-1":
            (context / "Dockerfile").write_text("FROM other:1\n")
        else:
            (context / "Dockerfile").write_text(text)
        done = lapstrake.build(context, *args, env=env)
        assert done.status == 1, done.err
        assert f'source "{denied}" denied by policy' in done.err
        assert "Traceback" not in done.err


def test_the_folder_of_the_dockerfile_is_a_source_too(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM scratch\nLABEL a=b\n"})
    env = policy(tmp_path / "policy.json", {"action": "DENY", "selector": {"identifier": "local://*"}})
    assert 'source "local://dockerfile" denied by policy' in lapstrake.build(context, env=env).err


def test_another_image_stands_in(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\nRUN echo 1 > /one\n"})
    lapstrake.built(context, "-t", "real:1")
    env = policy(
        tmp_path / "policy.json",
        {
            "action": "CONVERT",
            "selector": {"identifier": "docker-image://docker.io/library/wanted:*"},
            "updates": {"identifier": "docker-image://docker.io/library/real:${1}"},
        },
    )
    context = folder(tmp_path / "user", {"Dockerfile": "FROM wanted:1\nRUN cat /one\n"})
    lapstrake.built(context, env=env)
    assert lapstrake.build(context).status == 1


def test_files_that_are_no_policy(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\n", "bad": "{"})
    for name, message in (("none", "failed to read policy file"), ("bad", "failed to parse policy")):
        done = lapstrake.build(context, env={"EXPERIMENTAL_BUILDKIT_SOURCE_POLICY": str(context / name)})
        assert done.status == 1
        assert message in done.err
