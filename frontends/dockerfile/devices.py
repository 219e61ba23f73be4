"""RUN --device: its fields (BuildKit's instructions/commands_rundevice.go, in its words)."""

from __future__ import annotations

from builder.graph.operation import Device
from frontends.errors import LowerFault
from frontends.text import did_you_mean

_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")


def device(text: str) -> Device:
    """`NAME[,required[=BOOL]]` or `name=NAME`; a name may hold an equals sign. Raises LowerFault."""
    name, required = "", False
    for field in text.split(","):
        key, equals, value = field.partition("=")
        key = key.lower()
        if key == "required":
            if equals and value not in (*_TRUE, *_FALSE):
                raise LowerFault(f"invalid value for {key}: {value}")
            required = not equals or value in _TRUE
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
