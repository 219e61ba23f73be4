"""An address of this machine that is not loopback's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


def own_address() -> str:
    """An IPv4 one, as the kernel has it; skips the test where there is none."""
    text = Path("/proc/net/fib_trie").read_text()
    found = re.findall(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL", text)
    usable = [address for address in found if not address.startswith(("127.", "169.254.", "0."))]
    if not usable:
        pytest.skip("this machine has no address but loopback's")
    return usable[0]
