"""--resource: what is read of it, and what it is told."""

from __future__ import annotations

import pytest

from builder.cli.resources import limits
from builder.sandbox.spec import Limits
from cache.errors import Fault


def test_all() -> None:
    words = [
        "memory=64m", "memory-swap=-1", "cpu-shares=2", "cpu-period=100000", "cpu-quota=5000", "cpuset-cpus=0-1,3",
        "cpuset-mems=0", "memory = 1g",
    ]  # fmt: skip
    assert limits(words, "p") == Limits(
        memory=1 << 30, memory_swap=-1, cpu_shares=2, cpu_period=100_000, cpu_quota=5000, cpuset_cpus="0-1,3",
        cpuset_mems="0", parent="p",
    )  # fmt: skip
    assert limits(["cpu-quota=-1"], "") == Limits()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["memory"], 'invalid resource "memory", expected key=value'),
        (["cpus=2"], 'unknown resource "cpus"'),
        (["memory=much"], 'invalid value "much" for resource memory'),
        (["cpu-shares=notanumber"], 'invalid value "notanumber" for resource cpu-shares'),
        (["cpuset-cpus=3-1"], 'invalid cpuset-cpus value: 3-1: invalid cpuset range "3-1"'),
        (["cpuset-cpus=a"], 'invalid cpuset-cpus value: a: invalid cpuset element "a"'),
        (["cpuset-mems=9000"], 'invalid cpuset-mems value: 9000: cpuset element "9000" exceeds maximum 8192'),
        (["memory-swap=1m"], "unable to set swap limit without memory limit"),
        (["memory=2m", "memory-swap=1m"], "memory+swap limit should be >= memory limit"),
    ],
)
def test_errors(words: list[str], text: str) -> None:
    with pytest.raises(Fault) as caught:
        limits(words, "")
    assert caught.value.message == text
