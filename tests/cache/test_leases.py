from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from cache.digest import Digest
from cache.leases import Leases

A, B, C = (Digest.of(name) for name in (b"a", b"b", b"c"))
HOLDER = """
import sys
from cache.digest import Digest
from cache.leases import Leases
leases = Leases(sys.argv[1])
leases.hold(*(Digest(name) for name in sys.argv[2:]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "leases")


@pytest.fixture
def leases(path):
    made = Leases(path)
    yield made
    made.close()


def test_what_another_process_holds_is_not_had_alone(path, leases):
    names = [A.hex, B.hex]
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, path, *names], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    assert [leases.is_held(thing) for thing in (A, B, C)] == [True, True, False]
    with leases.alone([A, B, C]) as mine:
        assert mine == {C}
    holder.kill()  # the kernel lets go of what it held
    holder.communicate()
    with leases.alone([A, B, C]) as mine:
        assert mine == {A, B, C}


def test_who_wants_what_is_being_deleted_waits(path, leases):
    other, got = Leases(path), threading.Event()

    def wait():
        other.hold(A)
        got.set()

    with leases.alone([A]):
        waiting = threading.Thread(target=wait, daemon=True)
        waiting.start()
        assert not got.wait(0.1)
    assert got.wait(10)
    assert leases.is_held(A)
    other.close()
    assert not leases.is_held(A)


def test_two_holders_and_one_that_uses_it_again(path, leases):
    first, second = Leases(path), Leases(path)
    first.hold(A)
    second.hold(A, B)
    first.close()
    assert leases.is_held(A)
    second.close()
    assert not leases.is_held(A)
    second.hold(B)
    assert [leases.is_held(thing) for thing in (A, B)] == [False, True]
    second.close()
