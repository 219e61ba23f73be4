"""--allow device: which devices of the machine a build's RUN --device may have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from builder.errors import SandboxFault
from builder.graph.operation import Device
from builder.sandbox.spec import Given
from cache.errors import Fault

if TYPE_CHECKING:
    from builder.sandbox.cdi import Devices


class Grants(msgspec.Struct, frozen=True):
    """all: every device. names: of devices. aliases: name in the Dockerfile -> device that stands for it."""

    all: bool = False
    names: tuple[str, ...] = ()
    aliases: dict[str, str] = {}


def grants(values: Iterable[str]) -> tuple[Grants, list[str]]:
    """The values of --allow that are about devices, and the others. Raises Fault in BuildKit's words."""
    every, names, aliases, rest = False, [], {}, []
    for value in values:
        kind, _, text = value.partition("=")
        if kind != "device":
            rest.append(value)
        elif not text:
            every = True
        else:
            name, *fields = text.split(",")
            alias = ""
            for field in fields:
                key, equals, alias = field.partition("=")
                if not equals:
                    raise Fault(f'invalid device config "{field}"', "want device=NAME[,alias=NAME]")
                if key != "alias":
                    raise Fault(f'unknown device config key "{key}"', "want device=NAME[,alias=NAME]")
            if alias:
                aliases[alias] = name
            else:
                names.append(name)
    return Grants(every, tuple(names), aliases), rest


class Granted:
    """What a step gets of the devices that it asks for. env: may name the folders in LAPSTRAKE_CDI_DIRS."""

    def __init__(self, grants: Grants, env: Mapping[str, str]) -> None:
        self._grants = grants
        self._folders = tuple(filter(None, env.get("LAPSTRAKE_CDI_DIRS", "").split(":")))
        self._devices: Devices | None = None

    def names(self, wanted: Iterable[Device]) -> list[str]:
        """Full names. Raises SandboxFault where one is required and not there, or not allowed."""
        from builder.sandbox.cdi import FOLDERS, Devices

        folders = self._folders or FOLDERS
        self._devices = self._devices or Devices(folders)
        allowed = {one for name in self._grants.names for one in self._devices.named(name)}
        found, forbidden = [], []
        for device in wanted:
            alias = self._grants.aliases.get(device.name)
            names = self._devices.named(alias or device.name)
            if not names and device.required:
                raise SandboxFault(
                    f'required device "{alias or device.name}" is not registered',
                    f"looked in {', '.join(folders)}",
                )
            found += names
            free = self._grants.all or alias is not None
            forbidden += [n for n in names if not free and n not in allowed and not self._devices.is_free(n)]
        if forbidden:
            several = len(forbidden) > 1
            text = f"device{'s' if several else ''} {', '.join(forbidden)} {'are' if several else 'is'}"
            raise SandboxFault(f"{text} requested by the build but not allowed", "give --allow device=NAME")
        return found

    def given(self, wanted: tuple[Device, ...]) -> Given:
        if not wanted:
            return Given()
        names = self.names(wanted)
        assert self._devices is not None
        return self._devices.given(names)
