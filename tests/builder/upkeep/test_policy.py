from __future__ import annotations

import pytest

from builder.upkeep.filters import parse_filter
from builder.upkeep.policy import Policy
from builder.upkeep.usage import Usage

GB = 10**9


@pytest.mark.parametrize(
    ("limits", "total", "free", "left"),
    [
        ({}, 5, 1, 0),
        ({"most": 3}, 5, 1, 3),
        ({"most": 9}, 5, 1, 9),
        ({"reserved": 2}, 5, 1, 2),
        ({"most": 1, "reserved": 2}, 5, 1, 2),
        ({"free": 3}, 5, 1, 3),  # two more must be free
        ({"free": 3}, 5, 4, 5),  # enough is free
        ({"free": 9}, 5, 1, 0),
        ({"free": 9, "reserved": 2}, 5, 1, 2),
        ({"most": 4, "free": 3}, 5, 1, 3),
        ({"most": 2, "free": 3}, 5, 1, 2),
        ({"most": 2, "free": 3}, 5, 4, 2),
        ({"reserved": 2, "free": 3}, 5, 4, 5),
    ],
)
def test_what_may_be_left(limits, total, free, left):
    assert Policy(**limits).left(total, free) == left


def usage(**values):
    return Usage(
        **{"id": "x", "kind": "blob", "size": 1, "description": "", "type": "regular", "used": 100.0, **values}
    )


@pytest.mark.parametrize(
    ("policy", "values", "taken"),
    [
        (Policy(), {}, True),
        (Policy(), {"in_use": True}, False),
        (Policy(everything=True), {"in_use": True}, False),
        (Policy(everything=True), {"kind": ""}, False),
        (Policy(), {"shared": True}, False),
        (Policy(everything=True), {"shared": True}, True),
        (Policy(), {"kind": "memos", "type": "internal"}, False),
        (Policy(everything=True), {"kind": "memos", "type": "internal"}, True),
        (Policy(everything=True, most=1), {"kind": "memos", "type": "internal"}, False),
        (Policy(keep=20), {}, False),
        (Policy(keep=5), {}, True),
        (Policy(keep=20), {"used": None}, True),
        (Policy(filters=(parse_filter(["type=a"]), parse_filter(["type=regular"]))), {}, True),
        (Policy(filters=(parse_filter(["type=a"]),)), {}, False),
    ],
)
def test_what_is_taken(policy, values, taken):
    assert policy.wants(usage(**values), 110.0) is taken
