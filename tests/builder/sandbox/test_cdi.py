from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from builder.errors import SandboxFault
from builder.sandbox.cdi import Devices
from builder.sandbox.spec import BindMount, DeviceNode

NULL = {"path": "/dev/thing", "hostPath": "/dev/null", "fileMode": 0o660, "gid": 5}

YAML = """\
cdiVersion: "0.6.0"
kind: vendor.com/gpu
annotations:
  org.mobyproject.buildkit.device.class: gpus
containerEdits:
  env: [ALL=1]
devices:
- name: "0"
  annotations:
    org.mobyproject.buildkit.device.autoallow: "true"
  containerEdits:
    deviceNodes:
    - path: /dev/thing
      hostPath: /dev/null
      fileMode: 0660
      gid: 5
    mounts:
    - {hostPath: /usr/bin, containerPath: /opt/bin, options: [ro, nosuid]}
"""


def spec(**edits: Any) -> dict[str, Any]:
    return {"kind": "vendor.com/gpu", "devices": [{"name": "0", "containerEdits": edits}]}


def devices(folder: Path, **files: str | dict[str, Any]) -> Devices:
    """files: NAME__ENDING=text or a document."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text if isinstance(text, str) else json.dumps(text))
    return Devices([str(folder), "/nonexistent"])


def test_yaml_says_what_json_does(tmp_path: Path) -> None:
    found = devices(tmp_path, gpu__yaml=YAML)
    given = found.given(found.named("gpus"))
    node = DeviceNode("/dev/thing", "/dev/null", stat.S_IFCHR | 0o660, os.makedev(1, 3), 0, 5)
    assert given.nodes == (node,)
    assert given.mounts == (BindMount(os.path.realpath("/usr/bin"), "/opt/bin", readonly=True),)
    assert given.env == ("ALL=1",)
    assert found.is_free("vendor.com/gpu=0")
    assert devices(tmp_path / "j", gpu__json=spec(deviceNodes=[NULL])).given(["vendor.com/gpu=0"]).nodes == (node,)


def test_yaml_is_not_loaded_for_json(tmp_path: Path) -> None:
    code = "import sys; from builder.sandbox.cdi import Devices; Devices(sys.argv[1:]); print('yaml' in sys.modules)"
    devices(tmp_path, gpu__json=spec())
    for answer in (b"False\n", b"True\n"):
        assert subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, check=True).stdout == answer
        devices(tmp_path, gpu__yaml=YAML)


@pytest.mark.parametrize(
    "text",
    [
        "kind: [",
        "kind: a.b/c\ndevices: !!python/object/apply:os.system [id]",
        "kind: a.b/c\ndevices: [{name: no}]",
        "kind: a.b/c\ndevices: &x [*x]",
        "kind: a.b/c\na: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\ndevices: [*b, *b]",
        "devices: " + "[" * 100_000,
        "kind: ../x\ndevices: []",
        "kind: a.b/c\ndevices: []\n---\nkind: a.b/d\n",
        "\0",
        "",
    ],
)
def test_yaml_that_is_no_specification(tmp_path: Path, text: str) -> None:
    with pytest.raises(SandboxFault, match=r"CDI specification .*gpu\.yaml"):
        devices(tmp_path, gpu__yaml=text)


def test_names(tmp_path: Path) -> None:
    two = {"kind": "vendor.com/gpu", "devices": [{"name": "0"}, {"name": "1"}]}
    other = {"kind": "vendor.com/net", "devices": [{"name": "0"}]}
    found = devices(tmp_path, gpu__json=two, net__json=other, readme__txt="x", old__yml="x")
    assert found.named("vendor.com/gpu=1") == ["vendor.com/gpu=1"]
    assert found.named("vendor.com/gpu") == ["vendor.com/gpu=0"]
    assert found.named("vendor.com/gpu=*") == ["vendor.com/gpu=0", "vendor.com/gpu=1"]
    assert found.named("vendor.com/gpu=2") == found.named("vendor.com/none") == found.named("class") == []
    assert not found.is_free("vendor.com/gpu=0")


def test_a_file_of_a_later_folder_wins(tmp_path: Path) -> None:
    devices(tmp_path / "a", x__json=spec(env=["FROM=a"]))
    devices(tmp_path / "b", y__json=spec(env=["FROM=b"]))
    assert Devices([f"{tmp_path}/a", f"{tmp_path}/b"]).given(["vendor.com/gpu=0"]).env == ("FROM=b",)


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ({"hooks": [{"hookName": "createContainer", "path": "/bin/true"}]}, "wants hooks"),
        ({"deviceNodes": [{"path": "/dev/none-of-that-name"}]}, "No such file"),
        ({"deviceNodes": [{"path": "/dev/x", "hostPath": "/etc/passwd"}]}, "is not a device"),
        ({"deviceNodes": [{"path": "/dev/x", "hostPath": "/dev/null", "type": "b"}]}, "is not a device of type b"),
        ({"deviceNodes": [{"path": "/dev/x", "hostPath": "/dev/null", "type": "p"}]}, "is not a device of type p"),
        ({"deviceNodes": [{"path": "/dev/x", "hostPath": "/dev/null", "major": 8}]}, "has not the numbers"),
        ({"deviceNodes": [{"path": "dev/x", "hostPath": "/dev/null"}]}, "is not a path"),
        ({"mounts": [{"hostPath": "/usr", "containerPath": "/"}]}, "is not a path"),
        ({"mounts": [{"hostPath": "/usr", "containerPath": "/dev/"}]}, "is not a path"),
    ],
)
def test_what_no_step_is_given(tmp_path: Path, edits: dict[str, Any], words: str) -> None:
    with pytest.raises(SandboxFault, match=words):
        devices(tmp_path, gpu__json=spec(**edits)).given(["vendor.com/gpu=0"])
