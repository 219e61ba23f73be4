"""The process that evaluates policies: the engine is C++ and reads what strangers wrote, so it has a process alone.

It reads a line of JSON from its standard input for each question and writes one to its standard output. It can open no
file and no socket, and has bounds on memory, on processor time, and on what it prints.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from typing import Any

MEMORY = 1 << 30  # bytes of address space, beyond what a process has that has loaded the engine
PRINTED = 4 << 20  # bytes that one evaluation may print
SECONDS = 30  # of processor time for one evaluation
_FAULTS = (signal.SIGXFSZ, signal.SIGXCPU)  # Python ignores the first: then what is printed beyond would get lost


def main() -> None:
    from regopy import set_default_log_level

    set_default_log_level("none")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    printed = os.memfd_create("printed")
    os.dup2(printed, 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    _confine()
    for line in sys.stdin:
        json.dump(_answer(json.loads(line), printed), answers)
        answers.write("\n")
        answers.flush()


def _confine() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the parent's
    for number in _FAULTS:
        signal.signal(number, signal.SIG_DFL)
    with open("/proc/self/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    limits = {
        resource.RLIMIT_AS: used + MEMORY,
        resource.RLIMIT_FSIZE: PRINTED,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_NOFILE: 0,  # what is open stays so, and nothing more can be opened
    }
    for kind, limit in limits.items():
        resource.setrlimit(kind, (limit, limit))


def _answer(question: dict[str, Any], printed: int) -> dict[str, Any]:
    """Of {modules: [[name, text]], data, input, query}: {value, printed}, without value if undefined, or {error}."""
    from regopy import Interpreter, RegoError

    spent = int(time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (spent + SECONDS, resource.RLIM_INFINITY))
    os.lseek(printed, 0, os.SEEK_SET)
    os.ftruncate(printed, 0)
    try:
        engine = Interpreter()
        for name, text in question["modules"]:
            engine.add_module(name, text)
        engine.add_data(question["data"])
        engine.set_input(question["input"])
        output = engine.query(f"x := json.marshal({question['query']})")
        if not output.ok():
            node = output.node()
            return {"error": "\n".join(str(node.at(n)) for n in range(len(node)))}
        found = output.results[0].bindings.get("x") if output.results else None
    except RegoError as error:
        return {"error": str(error)}
    except json.JSONDecodeError as error:  # how some errors of an evaluation come
        return {"error": error.doc}
    answer: dict[str, Any] = {} if found is None else {"value": json.loads(found)}
    answer["printed"] = _printed(printed)
    return answer


def _printed(fd: int) -> str:
    size = os.fstat(fd).st_size
    return os.pread(fd, size, 0).decode("utf-8", "replace")


if __name__ == "__main__":
    main()
