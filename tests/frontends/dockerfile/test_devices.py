from __future__ import annotations

import pytest

from builder.graph.operation import Device
from frontends.dockerfile.devices import device
from frontends.errors import LowerFault


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("class1", Device("class1")),
        ("vendor1.com/device=foo", Device("vendor1.com/device=foo")),
        ("vendor1.com/device=*,required", Device("vendor1.com/device=*", True)),
        ("vendor1.com/device,required=false", Device("vendor1.com/device", False)),
        ("name=vendor1.com/device=foo,required=1", Device("vendor1.com/device=foo", True)),
    ],
)
def test_fields(text: str, found: Device) -> None:
    assert device(text) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,name=b", "device name already set to a"),
        ("a,required=maybe", "invalid value for required: maybe"),
        ("a,b", "invalid field 'b' must be a key=value pair"),
        ("a,requird=true", "unexpected key 'requird' in 'requird=true' (did you mean required?)"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(LowerFault) as caught:
        device(text)
    assert caught.value.message == message
