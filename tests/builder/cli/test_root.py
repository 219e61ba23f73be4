from __future__ import annotations

import pytest

from builder.cli.root import store_root
from cache.errors import CacheFault


@pytest.mark.parametrize(
    ("option", "env", "euid", "root"),
    [
        ("/o", {"LAPSTRAKE_ROOT": "/e"}, 0, "/o"),
        (None, {"LAPSTRAKE_ROOT": "/e"}, 0, "/e"),
        (None, {"LAPSTRAKE_ROOT": "", "HOME": "/root"}, 0, "/var/lib/lapstrake"),
        (None, {"XDG_DATA_HOME": "/d", "HOME": "/h"}, 1000, "/d/lapstrake"),
        (None, {"XDG_DATA_HOME": "relative", "HOME": "/h"}, 1000, "/h/.local/share/lapstrake"),
        (None, {"HOME": "/h"}, 1000, "/h/.local/share/lapstrake"),
    ],
)
def test_roots(option, env, euid, root):
    assert store_root(option, env, euid) == root


def test_no_home():
    with pytest.raises(CacheFault, match="no home folder"):
        store_root(None, {}, 1000)
