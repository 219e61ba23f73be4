"""RUN --device: its fields (BuildKit's instructions/commands_rundevice.go, in its words)."""

from __future__ import annotations

from builder.graph.operation import Device
from builder.oci.boolean import parse_bool
from frontends.errors import LowerFault
from frontends.text import did_you_mean


def device(text: str) -> Device:
    """`NAME[,required[=BOOL]]` or `name=NAME`; a name may hold an equals sign. Raises LowerFault."""
    name, required = "", False
    for field in text.split(","):
        key, equals, value = field.partition("=")
        key = key.lower()
        if key == "required":
            wanted = parse_bool(value) if equals else True
            if wanted is None:
                raise LowerFault(f"invalid value for {key}: {value}")
            required = wanted
        elif key == "name" and equals:
            if name:
                raise LowerFault(f"device name already set to {name}")
            name = value
        elif not name:
            name = field
        elif not equals:
            raise LowerFault(f"invalid field '{field}' must be a key=value pair")
        else:
            raise LowerFault(f"unexpected key '{key}' in '{field}'{did_you_mean(key, ('name', 'required'))}")
    return Device(name, required)
