"""Engine: the process that evaluates policies (child.py): begun with the first question, ended if it takes too long."""

from __future__ import annotations

import json
import re
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
_PLACE = re.compile(rb"\(error (\d+):")
_WORD = re.compile(rb"\(errormsg (\d+):")


class Outcome(msgspec.Struct, frozen=True):
    """value: None also where it is undefined, which `defined` says. printed: lines of the policy's print()."""

    value: Any = None
    defined: bool = False
    printed: str = ""


class Engine:
    """Safe for many threads; one question at a time."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._canceled = False

    def ask(
        self, modules: Sequence[Module], texts: Sequence[tuple[str, str]], data: Any, given: Any, query: str
    ) -> Outcome:
        """texts: the modules as the engine gets them, with those that are ours. given: the input, as plain values.

        Raises PolicyFault with file and line where the text is at fault, or where it takes too much.
        """
        question = {"modules": texts, "data": data, "input": given, "query": query}
        with self._lock:
            answer = self._exchange(json.dumps(question).encode() + b"\n")
        if "error" in answer:
            raise PolicyFault(_error(answer["error"], modules))
        return Outcome(answer.get("value"), "value" in answer, answer["printed"])

    def close(self) -> None:
        with self._lock:
            self._end()

    def cancel(self) -> None:
        """An evaluation that is under way fails."""
        self._canceled = True
        process = self._process
        if process is not None:
            process.kill()

    def _exchange(self, question: bytes) -> dict[str, Any]:
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
                "a rule that calls itself, one that makes or prints too much, and some uses of `with` end so",
            ) from None
        answer: dict[str, Any] = json.loads(raw)
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


def _error(text: str, modules: Sequence[Module]) -> str:
    """`FILE:LINE: message` of the first error in `(error 6:p.rego|29|2 (errormsg 7:message)…`; some have no place."""
    raw = text.encode()
    word = _WORD.search(raw)
    if word is None:
        shown = raw[:1000].decode("utf-8", "replace").strip()
        return f"failed to evaluate policy: {shown or 'no reason is given'}"
    message = _counted(raw, word).decode("utf-8", "replace")
    place = _PLACE.search(raw, 0, word.start())
    if place is None:
        return f"failed to evaluate policy: {message}"
    name = _counted(raw, place).decode("utf-8", "replace")
    offset = raw[place.end() + int(place[1]) :].split(b"|", 2)[1]
    line = next((_line(one, offset) for one in modules if one.name == name), 1)
    more = len(_WORD.findall(raw)) - 1
    return f"failed to evaluate policy: {name}:{line}: {message}{f' (and {more} more)' if more else ''}"


def _counted(raw: bytes, found: re.Match[bytes]) -> bytes:
    """What stands behind `N:`, N bytes."""
    return raw[found.end() : found.end() + int(found[1])]


def _line(module: Module, offset: bytes) -> int:
    return module.text.encode()[: int(offset)].count(b"\n") + 1 if offset.isdigit() else 1
