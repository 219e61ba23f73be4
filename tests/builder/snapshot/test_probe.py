from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from builder.snapshot import probe


def test_the_answer_is_kept_for_this_boot_and_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def mounts(folder: str) -> bool:
        calls.append(folder)
        return True

    monkeypatch.setattr(probe, "mounts_overlay", mounts)
    assert [probe.probe(str(tmp_path)) for _ in range(3)] == ["overlay"] * 3
    assert len(calls) == 1
    monkeypatch.setattr(probe, "boot_id", lambda: "another boot")
    probe.probe(str(tmp_path))
    assert len(calls) == 2
    assert os.listdir(tmp_path) == [".probe"]


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"question": 1}', json.dumps({"answer": "x"})])
def test_a_kept_answer_that_is_worth_nothing(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".probe").write_text(text)
    monkeypatch.setattr(probe, "mounts_overlay", lambda folder: False)
    assert probe.probe(str(tmp_path)) == "plain"


def test_a_real_mount_leaves_nothing_behind(tmp_path: Path) -> None:
    mounts = Path("/proc/self/mounts").read_text()
    worked = probe.mounts_overlay(str(tmp_path))
    assert worked is (worked and os.geteuid() == 0)
    assert os.listdir(tmp_path) == []
    assert Path("/proc/self/mounts").read_text() == mounts
