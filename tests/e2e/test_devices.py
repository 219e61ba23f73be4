"""RUN --device: devices that files of the machine describe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = pytest.mark.e2e

TEXT = "FROM base\nRUN --device=vendor.com/thing=one,required test -c /dev/lt/null && echo x > /dev/lt/null && "
TEXT += 'test "$THING" = one && cat /opt/thing/file > /seen && ! touch /opt/thing/file\n'


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    folder(tmp_path / "given", {"file": "of the machine\n"})
    device = {
        "name": "one",
        "annotations": {"org.mobyproject.buildkit.device.class": "things"},
        "containerEdits": {
            "env": ["THING=one"],
            "deviceNodes": [{"path": "/dev/lt/null", "hostPath": "/dev/null", "type": "c", "major": 1, "minor": 3}],
            "mounts": [{"hostPath": str(tmp_path / "given"), "containerPath": "/opt/thing", "options": ["ro", "bind"]}],
        },
    }
    hooked = {"name": "hooked", "containerEdits": {"hooks": [{"hookName": "createContainer", "path": "/bin/true"}]}}
    spec = {"cdiVersion": "0.6.0", "kind": "vendor.com/thing", "devices": [device, hooked]}
    return folder(tmp_path / "cdi", {"thing.json": json.dumps(spec)})


def test_a_device(lapstrake: Lapstrake, tmp_path: Path, specs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAPSTRAKE_CDI_DIRS", str(specs))
    context = folder(tmp_path / "context", {"Dockerfile": TEXT})
    words = "device vendor.com/thing=one is requested by the build but not allowed"
    assert words in lapstrake.refused(context).err
    lapstrake.built(context, "--allow", "device=vendor.com/thing=one", "-o", str(tmp_path / "out"))
    assert (tmp_path / "out" / "seen").read_text() == "of the machine\n"
    assert not (tmp_path / "out" / "opt" / "thing").exists()
    assert words in lapstrake.refused(context).err  # cached or not


@pytest.mark.parametrize(
    ("name", "allow"),
    [
        ("vendor.com/thing=one", "device"),
        ("things", "device=things"),
        ("mine", "device=vendor.com/thing=one,alias=mine"),
    ],
)
def test_names(
    lapstrake: Lapstrake, tmp_path: Path, specs: Path, monkeypatch: pytest.MonkeyPatch, name: str, allow: str
) -> None:
    monkeypatch.setenv("LAPSTRAKE_CDI_DIRS", str(specs))
    context = folder(tmp_path / "context", {"Dockerfile": TEXT.replace("vendor.com/thing=one", name, 1)})
    err = lapstrake.refused(context, "--allow", "device=other").err
    assert "thing=one is requested by the build but not allowed" in err or f'"{name}" is not registered' in err
    lapstrake.built(context, "--allow", allow, "-o", str(tmp_path / "out"))
    assert (tmp_path / "out" / "seen").read_text() == "of the machine\n"


def test_what_is_not_there_or_has_hooks(
    lapstrake: Lapstrake, tmp_path: Path, specs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAPSTRAKE_CDI_DIRS", str(specs))
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\nRUN --device=a.b/c=d,required true\n"})
    assert 'required device "a.b/c=d" is not registered' in lapstrake.refused(context, "--allow=device").err
    folder(context, {"Dockerfile": "FROM base\nRUN --device=a.b/c=d true\n"})
    lapstrake.built(context)
    folder(context, {"Dockerfile": "FROM base\nRUN --device=vendor.com/thing=hooked true\n"})
    assert "wants hooks to be run" in lapstrake.refused(context, "--allow=device").err
    assert 'unknown device config key "name"' in lapstrake.refused(context, "--allow=device=a,name=b").err
