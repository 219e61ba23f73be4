from __future__ import annotations

import os
import threading
import time

import pytest

from builder.errors import Canceled, PolicyFault
from builder.policy.engine import Engine
from tests.builder.policy.conftest import Asked

LOOP = "[1 | some i in numbers.range(1, 3000); some j in numbers.range(1, 3000); some k in numbers.range(1, 3000)]"
LARGE = f"""a := "{1000 * "x"}"
b := replace(a, "x", a)
decision := [concat("", [b, b, b, b, format_int(i, 10)]) | some i in numbers.range(1, 900)]"""


def test_an_endless_loop() -> None:
    engine = Engine(0.5)
    try:
        with pytest.raises(PolicyFault, match=r"it took more than 0.5 seconds"):
            Asked(engine).value(f"package docker\ndecision := count({LOOP})")
        assert Asked(engine).value("package docker\ndecision := 1") == 1
    finally:
        engine.close()


def test_the_evaluator_can_open_nothing(engine: Engine) -> None:
    Asked(engine).value("package docker\ndecision := 1")
    assert engine._process is not None
    with open(f"/proc/{engine._process.pid}/limits") as file:
        limits = {line[:26].strip(): line[26:].split()[:2] for line in file}
    assert limits["Max open files"] == ["0", "0"]
    assert limits["Max file size"][0] != "unlimited"
    assert limits["Max address space"][0] != "unlimited"
    assert limits["Max cpu time"][0] != "unlimited"
    names = [os.readlink(f"/proc/{engine._process.pid}/fd/{n}") for n in os.listdir(f"/proc/{engine._process.pid}/fd")]
    assert all(name.startswith(("pipe:", "/dev/null")) for name in names), names


def test_a_cancel_ends_what_is_evaluated() -> None:
    engine = Engine(60)

    def stop() -> None:
        while engine._process is None:
            time.sleep(0.01)
        time.sleep(0.1)
        engine.cancel()

    thread = threading.Thread(target=stop)
    thread.start()
    try:
        with pytest.raises(Canceled):
            Asked(engine).value(f"package docker\ndecision := count({LOOP})")
        with pytest.raises(Canceled):
            Asked(engine).value("package docker\ndecision := 1")
    finally:
        thread.join()
        engine.close()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('decision := json.unmarshal(load_json("deep"))', "nested too deep"),
        ('decision := load_json("deeper")', "undefined"),
        ("a0 := 1\n" + "\n".join(f"a{n + 1} := a{n}" for n in range(3000)) + "\ndecision := a3000", "nested too deep"),
        (
            LARGE,
            "too much memory|evaluator ended",
        ),
    ],
)
def test_what_is_nested_too_deep_or_too_large(text: str, message: str) -> None:
    files = {"deep": '"' + "[" * 9000 + "]" * 9000 + '"', "deeper": "[" * 100_000 + "]" * 100_000}
    engine = Engine(15)
    try:
        with pytest.raises((PolicyFault, AssertionError), match=message):
            Asked(engine).value(f"package docker\n{text}", files=files)
        assert Asked(engine).value("package docker\ndecision := 1") == 1
    finally:
        engine.close()
