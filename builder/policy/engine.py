"""Engine: the process that evaluates policies (child.py): begun with the first question, ended if it takes too long."""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from builder.errors import Canceled, PolicyFault
from builder.policy.module import Module

SECONDS = 20.0  # of one evaluation
ANSWER_LIMIT = 32 << 20  # bytes


class Called(msgspec.Struct, frozen=True):
    """A call of a function that the evaluator cannot answer. answered: whether it got an answer."""

    name: str
    arguments: list[Any]
    answered: bool


class Outcome(msgspec.Struct, frozen=True):
    """value: None also where it is undefined, which `defined` says. needs: fields without which there is no value yet.

    printed: lines of the policy's print(). calls: each once.
    """

    value: Any = None
    defined: bool = False
    printed: tuple[str, ...] = ()
    calls: tuple[Called, ...] = ()
    needs: tuple[str, ...] = ()


Answers = list[tuple[str, list[Any], list[Any]]]
"""Of calls: name, arguments, and one value or none."""


class Engine:
    """Safe for many threads; one question at a time."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._canceled = False

    def ask(
        self,
        modules: Sequence[Module],
        answers: Answers,
        given: dict[str, Any] | None,
        unknown: Sequence[Sequence[str | int]],
        query: str,
    ) -> Outcome:
        """given: the input, as plain values, None for none. unknown: paths of its fields that are not known yet.

        Raises PolicyFault with file and line where the text is at fault, or where it takes too much.
        """
        texts = [(module.name, module.text) for module in modules]
        question = {"modules": texts, "answers": answers, "input": given, "unknown": unknown, "query": query}
        with self._lock:
            answer = self._exchange(json.dumps(question).encode() + b"\n")
        if "error" in answer:
            raise PolicyFault(f"failed to evaluate policy: {answer['error']}")
        if "needs" in answer:
            return Outcome(needs=tuple(answer["needs"]))
        calls = tuple(Called(*call) for call in answer["calls"])
        return Outcome(answer.get("value"), "value" in answer, tuple(answer["printed"]), calls)

    def close(self) -> None:
        with self._lock:
            self._end()

    def cancel(self) -> None:
        """An evaluation that is under way fails with Canceled, and so do those that follow."""
        self._canceled = True
        process = self._process
        if process is not None:
            process.kill()

    def _exchange(self, question: bytes) -> dict[str, Any]:
        if self._canceled:
            raise Canceled("canceled")
        if self._process is None or self._process.poll() is not None:
            self._process = _started()
        process = self._process
        assert process.stdin is not None
        try:
            process.stdin.write(question)
            process.stdin.flush()
            raw = self._line(process)
        except (BrokenPipeError, EOFError):
            status = process.wait()
            self._end()
            if self._canceled:
                raise Canceled("canceled") from None
            raise PolicyFault(
                f"the policy could not be evaluated: the evaluator ended ({_ending(status)})",
                "a policy that makes too much ends so",
            ) from None
        try:
            answer: dict[str, Any] = json.loads(raw)
        except RecursionError:
            raise PolicyFault("failed to evaluate policy: its value is nested too deep") from None
        return answer

    def _line(self, process: subprocess.Popen[bytes]) -> bytes:
        assert process.stdout is not None
        ends, parts, size = time.monotonic() + self._seconds, [], 0
        with selectors.DefaultSelector() as ready:
            ready.register(process.stdout, selectors.EVENT_READ)
            while True:
                left = ends - time.monotonic()
                if left <= 0 or not ready.select(left):
                    self._end()
                    raise PolicyFault(
                        f"the policy could not be evaluated: it took more than {self._seconds:g} seconds",
                        "make its loops smaller",
                    )
                data = process.stdout.read1(1 << 20)  # type: ignore[attr-defined]
                if not data:
                    raise EOFError
                parts.append(data)
                size += len(data)
                if size > ANSWER_LIMIT:
                    self._end()
                    raise PolicyFault(f"the policy could not be evaluated: it gave more than {ANSWER_LIMIT} bytes")
                if data.endswith(b"\n"):
                    return b"".join(parts)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    try:
                        stream.close()
                    except BrokenPipeError:  # what it did not read any more
                        pass
            process.wait()


def _started() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-m", "builder.policy.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={},
        cwd="/",
    )


def _ending(status: int) -> str:
    import signal

    return f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
