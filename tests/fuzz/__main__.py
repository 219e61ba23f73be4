"""Coverage-guided fuzzing of one little language: `python -m tests.fuzz TARGET [libFuzzer options]`.

TARGET is lines, words, ignore or rego. Needs atheris (`pip install atheris`), which has wheels for x86_64 only, so it
is no dependency of the tests. An input that raises anything but a Fault, or takes longer than -timeout seconds, is a
finding: libFuzzer writes it to crash-* or timeout-* in the folder that -artifact_prefix names.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import atheris

with atheris.instrument_imports(include=["frontends", "builder.source", "builder.policy"]):
    from tests.fuzz import targets


def main() -> None:
    known: dict[str, Callable[[bytes], None]] = {
        "lines": targets.lines,
        "words": targets.words,
        "ignore": targets.ignore,
        "rego": targets.rego,
    }
    if len(sys.argv) < 2 or sys.argv[1] not in known:
        sys.exit(f"usage: python -m tests.fuzz {{{','.join(known)}}} [libFuzzer options]")
    target = known[sys.argv.pop(1)]
    atheris.Setup([*sys.argv, f"-dict={targets.dictionary()}"], target)
    atheris.Fuzz()


main()
