"""Credentials in files and helper programs."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

import pytest

from builder.errors import RegistryFault
from builder.registry.auth import Login
from builder.registry.credentials import Credentials

ME = Login("me", "se:cret")
HELPER = """#!/bin/sh
cat > "$STATE/in"
case $1 in
get) cat "$STATE/out" 2>/dev/null || { echo "credentials not found in native keychain"; exit 1; } ;;
*) echo $1 >> "$STATE/done" ;;
esac
"""


def auths(**entries: dict[str, str]) -> str:
    return json.dumps({"auths": entries})


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_saved_and_found_again(tmp_path: Path) -> None:
    config = tmp_path / "new" / "config.json"
    credentials = Credentials(str(config))
    assert credentials.find("reg.example:5000") is None
    assert credentials.save("reg.example:5000", ME) == str(config)
    credentials.save("docker.io", Login("hub", "word", identity="I"))
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert credentials.find("reg.example:5000") == ME
    assert json.loads(config.read_text())["auths"].keys() == {"reg.example:5000", "https://index.docker.io/v1/"}
    assert credentials.find("docker.io") == Login("hub", "", identity="I")
    assert credentials.forget("docker.io") and not credentials.forget("docker.io")
    assert credentials.find("reg.example:5000") == ME


def test_what_else_is_in_the_file_stays(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"psFormat": "table", "auths": {"a": {"auth": "eDp5"}}}')
    Credentials(str(config)).save("b", ME)
    assert json.loads(config.read_text())["psFormat"] == "table"
    assert Credentials(str(config)).find("a") == Login("x", "y")


@pytest.mark.parametrize("text", ["{", "[]", '{"auths": 7}', '{"auths": {"a": {"auth": "%%"}}}', "\0"])
def test_damaged_files_hold_nothing(tmp_path: Path, text: str) -> None:
    config = tmp_path / "config.json"
    config.write_text(text)
    told: list[str] = []
    credentials = Credentials(str(config), warn=told.append)
    assert credentials.find("a") is None and credentials.find("b") is None
    assert len(told) == ("%%" not in text)  # one login that cannot be read spoils no other
    assert all(str(config) in line and "no login is taken from it" in line for line in told)


def test_a_damaged_file_is_not_overwritten(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text("{ oh")
    with pytest.raises(RegistryFault, match="cannot be read"):
        Credentials(str(config)).save("a", ME)
    assert config.read_text() == "{ oh"


def test_spellings_of_older_programs(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"auths": {"https://reg.example/v1/": {"username": "u", "password": "p"}}}))
    assert Credentials(str(config)).find("reg.example") == Login("u", "p")


def test_auth_json_has_logins_by_repository(tmp_path: Path) -> None:
    auth = tmp_path / "auth.json"
    auth.write_text(json.dumps({"auths": {"q.io": {"auth": coded("all:1")}, "q.io/a/b": {"auth": coded("b:2")}}}))
    credentials = Credentials(str(tmp_path / "none"), (str(tmp_path / "none"), str(auth)))
    assert credentials.find("q.io", "a/b/c") == Login("b", "2")
    assert credentials.find("q.io", "a/bc") == Login("all", "1")


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "docker-credential-test"
    program.write_text(HELPER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("STATE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("setting", [{"credsStore": "test"}, {"credHelpers": {"reg.example": "test"}}])
def test_a_helper_program(helper: Path, setting: dict[str, object]) -> None:
    config = helper / "config.json"
    config.write_text(json.dumps(setting))
    credentials = Credentials(str(config))
    assert credentials.find("reg.example") is None
    (helper / "out").write_text('{"ServerURL":"reg.example","Username":"u","Secret":"s"}')
    assert credentials.find("reg.example") == Login("u", "s")
    (helper / "out").write_text('{"Username":"<token>","Secret":"s"}')
    assert credentials.find("reg.example") == Login(identity="s")
    credentials.save("reg.example", ME)
    assert json.loads((helper / "in").read_text())["Secret"] == "se:cret"
    assert "cret" not in config.read_text()
    assert credentials.forget("reg.example")
    assert (helper / "done").read_text().split() == ["store", "erase"]


def test_helpers_that_are_none(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    for name, words in (("../../bin/sh", "no name"), ("not-there", "cannot be run")):
        config.write_text(json.dumps({"credsStore": name}))
        with pytest.raises(RegistryFault, match=words):
            Credentials(str(config)).find("a")
