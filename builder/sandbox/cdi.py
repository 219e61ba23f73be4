"""Devices of the Container Device Interface (CDI specification 0.8): what the machine's own files say a device is.

Files in JSON or YAML (`*.json`, `*.yaml`), each with devices of one kind `vendor/class`; a file of a later folder wins.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator

import msgspec

from builder.errors import SandboxFault
from builder.sandbox.spec import BindMount, DeviceNode, Given

FOLDERS = ("/etc/cdi", "/var/run/cdi", "/etc/buildkit/cdi")
_LIMIT = 4 << 20  # bytes of a file
_ALLOWED = "org.mobyproject.buildkit.device.autoallow"
_CLASS = "org.mobyproject.buildkit.device.class"
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*\Z")
_TYPES = {"": 0, "c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK}


class _Node(msgspec.Struct, rename="camel"):
    path: str
    host_path: str = ""
    type: str = ""
    major: int | None = None
    minor: int | None = None
    file_mode: int | None = None
    uid: int = 0
    gid: int = 0


class _Mount(msgspec.Struct, rename="camel"):
    host_path: str
    container_path: str
    options: list[str] = []


class _Edits(msgspec.Struct, rename="camel"):
    env: list[str] = []
    device_nodes: list[_Node] = []
    mounts: list[_Mount] = []
    hooks: list[object] = []


class _Device(msgspec.Struct, rename="camel"):
    name: str
    annotations: dict[str, str] = {}
    container_edits: _Edits = msgspec.field(default_factory=_Edits)


class _Spec(msgspec.Struct, rename="camel"):
    kind: str
    devices: list[_Device]
    annotations: dict[str, str] = {}
    container_edits: _Edits = msgspec.field(default_factory=_Edits)


class Devices:
    """The devices of this machine. Raises SandboxFault for a file that is not a specification."""

    def __init__(self, folders: Iterable[str] = FOLDERS) -> None:
        self._known: dict[str, tuple[_Spec, _Device]] = {}
        for path in _files(folders):
            spec = _read(path)
            self._known |= {f"{spec.kind}={device.name}": (spec, device) for device in spec.devices}

    def named(self, name: str) -> list[str]:
        """What a name means by BuildKit's rules: one device, the first or (`=*`) all of a kind, or those of a class."""
        kind, _, device = name.partition("=")
        found: list[str] = []
        if _KIND.match(kind):
            of_kind = [one for one in sorted(self._known) if one.startswith(f"{kind}=")]
            found = of_kind if device == "*" else of_kind[:1] if not device else [o for o in of_kind if o == name]
        return found or [one for one in sorted(self._known) if self._note(one, _CLASS) == name]

    def is_free(self, name: str) -> bool:
        """Whether its file says that every build may have it."""
        return self._note(name, _ALLOWED).lower() in ("1", "t", "true")

    def given(self, names: Iterable[str]) -> Given:
        """Raises SandboxFault for hooks, and for nodes that are not there."""
        edits: list[_Edits] = []
        specs: list[_Spec] = []
        for name in dict.fromkeys(names):
            spec, device = self._known[name]
            if not any(spec is one for one in specs):
                specs.append(spec)
                edits.append(spec.container_edits)
            edits.append(device.container_edits)
            if spec.container_edits.hooks or device.container_edits.hooks:
                raise SandboxFault(
                    f"CDI device injection failed: device {name} wants hooks to be run on the machine",
                    "lapstrake runs no program outside the sandbox: use a specification without hooks",
                )
        return Given(
            tuple(_node(node) for one in edits for node in one.device_nodes),
            tuple(_mount(mount) for one in edits for mount in one.mounts),
            tuple(pair for one in edits for pair in one.env),
        )

    def _note(self, name: str, key: str) -> str:
        spec, device = self._known[name]
        return device.annotations.get(key, spec.annotations.get(key, ""))


def _files(folders: Iterable[str]) -> Iterator[str]:
    for folder in folders:
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        yield from (f"{folder}/{name}" for name in names if name.endswith((".json", ".yaml")))


def _read(path: str) -> _Spec:
    try:
        with open(path, "rb") as file:
            raw = file.read(_LIMIT)
        spec = _parse_yaml(raw) if path.endswith(".yaml") else msgspec.json.decode(raw, type=_Spec)
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise SandboxFault(f"CDI specification {path} cannot be read: {error}") from error
    if not _KIND.match(spec.kind):
        raise SandboxFault(f"CDI specification {path}: {spec.kind!r} is not a kind VENDOR/CLASS")
    return spec


def _parse_yaml(raw: bytes) -> _Spec:
    """Raises ValueError."""
    import yaml  # only where a machine has such files

    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(raw, Loader=yaml.CSafeLoader)):
            raise ValueError("aliases are not supported")  # a few lines of them can stand for any number of devices
        return msgspec.convert(yaml.load(raw, Loader=yaml.CSafeLoader), type=_Spec)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def _node(node: _Node) -> DeviceNode:
    host = os.path.realpath(node.host_path or node.path)
    try:
        status = os.stat(host)
    except OSError as error:
        raise SandboxFault(f"CDI device injection failed: {host}: {error.strerror}") from error
    kind = stat.S_IFMT(status.st_mode)
    if kind not in (stat.S_IFCHR, stat.S_IFBLK) or _TYPES.get(node.type) not in (0, kind):
        raise SandboxFault(f"CDI device injection failed: {host} is not a device of type {node.type or 'c or b'}")
    device = os.makedev(
        os.major(status.st_rdev) if node.major is None else node.major,
        os.minor(status.st_rdev) if node.minor is None else node.minor,
    )
    if device != status.st_rdev:
        raise SandboxFault(f"CDI device injection failed: {host} has not the numbers of its specification")
    mode = stat.S_IMODE(status.st_mode) if node.file_mode is None else node.file_mode & 0o777
    return DeviceNode(_absolute(node.path), host, kind | mode, device, node.uid, node.gid)


def _mount(mount: _Mount) -> BindMount:
    return BindMount(os.path.realpath(mount.host_path), _absolute(mount.container_path), readonly="ro" in mount.options)


def _absolute(path: str) -> str:
    if not path.startswith("/") or path.strip("/") in ("", "dev"):
        raise SandboxFault(f"CDI device injection failed: {path!r} is not a path for a device or mount")
    return path
