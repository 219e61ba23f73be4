"""The process that evaluates policies: what strangers wrote is run, so it has a process alone.

It reads a line of JSON from its standard input for each question and writes one to its standard output. It can open no
file and no socket, and has bounds on memory, on processor time, and on what it prints.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import threading
import time
from typing import Any

from builder.errors import PolicyFault
from builder.policy.module import Module
from builder.policy.names import FUNCTIONS
from builder.policy.rego.builtins import ARITIES, BUILTINS
from builder.policy.rego.evaluate import Evaluator
from builder.policy.rego.faults import Needed, RegoError
from builder.policy.rego.group import Tree
from builder.policy.rego.parser import parse_term
from builder.policy.rego.program import compiled
from builder.policy.rego.values import Obj, Value, from_plain, lookup, to_plain
from builder.policy.tokens import tokens

MEMORY = 1 << 30  # bytes of address space, beyond what the process has at its begin
PRINTED = 4 << 20  # bytes that one evaluation may print
SECONDS = 30  # of processor time for one evaluation
_OF_CONTENT = ("artifact_attestation", "github_attestation")  # which look for the checksum of their first argument
_DEPTH = 20_000  # of calls
_STACK = 512 << 20  # bytes


def main() -> None:
    sys.setrecursionlimit(_DEPTH)
    threading.stack_size(_STACK)
    _confine()
    worker = threading.Thread(target=_serve)  # whose stack is larger
    worker.start()
    worker.join()


def _confine() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the parent's
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    with open("/proc/self/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    limits = {
        resource.RLIMIT_AS: used + _STACK + MEMORY,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 0,  # what is open stays so, and nothing more can be opened
    }
    for kind, limit in limits.items():
        resource.setrlimit(kind, (limit, limit))


def _serve() -> None:
    made: dict[str, Tree] = {}
    for line in sys.stdin:
        spent = int(time.process_time())
        resource.setrlimit(resource.RLIMIT_CPU, (spent + SECONDS, resource.RLIM_INFINITY))
        answer = _answer(json.loads(line), made)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _answer(question: dict[str, Any], made: dict[str, Tree]) -> dict[str, Any]:
    """What to say to {modules: [[name, text]], answers: [[name, arguments, [value]]], input, unknown: paths, query}.

    One of {error}, {needs: fields} and {value, printed, calls: [[name, arguments, answered]]}; no value where it is
    undefined.
    """
    talk = _Talk(question["answers"])
    try:
        key = json.dumps(question["modules"])
        if key not in made:
            made.clear()
            modules = [Module.read(name, text.encode()) for name, text in question["modules"]]
            made[key] = compiled(modules, {**ARITIES, **FUNCTIONS})
        query = parse_term(tokens(question["query"], "query"), "query")
        engine = Evaluator(made[key], BUILTINS, frozenset(FUNCTIONS), talk.ask, talk.say)
        given = question["input"]
        values = list(engine.value(query, None if given is None else _lazy(given, question["unknown"])))
    except Needed as needed:
        return {"needs": list(needed.fields)}
    except RegoError as error:
        return {"error": str(error)}
    except PolicyFault as error:
        return {"error": error.message}
    except RecursionError:
        return {"error": "its rules are nested too deep"}
    except MemoryError:
        return {"error": "it takes too much memory"}
    except Exception as error:  # ours, and no leave for a source
        return {"error": f"internal error: {type(error).__name__}: {error}"}
    answer: dict[str, Any] = {"value": to_plain(values[0])} if values else {}
    return {**answer, "printed": talk.printed, "calls": talk.calls}


class _Talk:
    """What an evaluation asks for and prints."""

    def __init__(self, answers: list[tuple[str, list[Any], list[Any]]]) -> None:
        self._answers = {json.dumps([name, arguments]): value for name, arguments, value in answers}
        self.calls: list[tuple[str, list[Any], bool]] = []
        self.printed: list[str] = []
        self._size = 0

    def ask(self, name: str, arguments: tuple[Value, ...]) -> list[Value]:
        if len(arguments) != FUNCTIONS[name]:
            raise RegoError("", "rego_type_error", f"{name} has {FUNCTIONS[name]} arguments, not {len(arguments)}")
        file = arguments[0]
        if name in _OF_CONTENT and isinstance(file, Obj) and "checksum" in file.unknown:
            raise Needed((f"{file.path}.checksum",))
        plain = [to_plain(argument) for argument in arguments]
        known = self._answers.get(json.dumps([name, plain]))
        if all(known_call[:2] != (name, plain) for known_call in self.calls):
            self.calls.append((name, plain, known is not None))
        return [from_plain(value) for value in known or ()]

    def say(self, text: str) -> None:
        self._size += len(text) + 1
        if self._size > PRINTED:
            raise RegoError("", "eval_print_error", f"more than {PRINTED} bytes are printed")
        self.printed.append(text)


def _lazy(given: dict[str, Any], unknown: list[list[str | int]]) -> Value:
    """The input, with the fields that are not known yet, each by its path."""
    value = from_plain(given)
    for *path, name in unknown:
        found = value
        for part in path:
            found = next((element for _, element in lookup(found, part)), None)
        if isinstance(found, Obj):
            found.path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
            found.unknown |= {str(name)}
    return value


if __name__ == "__main__":
    main()
