from __future__ import annotations

import queue
import signal
import threading
from typing import Any

import pytest

from builder.solve import workers
from builder.solve.uninterrupted import Uninterrupted
from tests.builder.solve.conftest import World


class Interrupting(queue.SimpleQueue[Any]):
    """A Ctrl-C comes just when the last that is said of a step has been taken out."""

    came = False

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        item = super().get(block, timeout)
        if not self.came and item.stage == "packed":
            self.came = True
            signal.raise_signal(signal.SIGINT)
        return item


@pytest.mark.timeout(30)
def test_an_outcome_that_is_taken_while_a_ctrl_c_comes_is_not_waited_for_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers.queue, "SimpleQueue", Interrupting)
    target = world.graph.run("b", world.graph.run("a"))
    with pytest.raises(KeyboardInterrupt):
        world.solve(target)
    assert world.executor.canceled.is_set()
    monkeypatch.undo()
    world.executor.canceled.clear()
    world.solve(target)
    assert "a" not in world.executor.ran  # what was under way has been filed; b may have been, too


def test_a_ctrl_c_is_told_of_at_once_and_raised_at_the_end() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), Uninterrupted(lambda: done.append("told")):
        signal.raise_signal(signal.SIGINT)
        done.append("still there")
    assert done == ["told", "still there"]
    with pytest.raises(KeyboardInterrupt):  # as before
        signal.raise_signal(signal.SIGINT)


def test_other_threads_keep_their_hands_off_signals() -> None:
    before, raised = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        try:
            with Uninterrupted():
                raised.append(signal.getsignal(signal.SIGINT))
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert raised == [before]
