"""Random builds by the engine and by lapstrake, as root: `python -m tests.differential --seconds 600`.

A case is made from its number alone: `--first 17 --count 1` builds number 17 again. What differs is made smaller, told,
and kept as case.json (read again with `--case`) in the folder of --keep.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

import msgspec

from tests.differential.case import Case, text
from tests.differential.pair import Pair
from tests.differential.recipe import case as made
from tests.differential.session import both
from tests.differential.shrink import shrunk
from tests.differential.verdict import differences

_TIDY = 100  # cases between two prunes


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long to go on")
    parser.add_argument("--first", type=int, help="number of the first case (default: one of the clock)")
    parser.add_argument("--count", type=int, default=sys.maxsize, help="cases at most")
    parser.add_argument("--keep", type=Path, help="where cases that differ are kept")
    parser.add_argument("--case", type=Path, action="append", default=[], help="a kept case instead of new ones")
    chosen = parser.parse_args()
    first = int(time.time()) * 1000 if chosen.first is None else chosen.first
    folder = Path(tempfile.mkdtemp(prefix="lapstrake-differential.", dir="/var/tmp"))
    try:
        with both(folder) as pair:
            kept = [msgspec.json.decode(path.read_bytes(), type=Case) for path in chosen.case]
            return _run(pair, chosen, kept or (made(seed) for seed in count(first)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(pair: Pair, chosen: argparse.Namespace, cases: object) -> int:
    """1 if any case differs."""
    end, tried, built, wrong = time.monotonic() + chosen.seconds, 0, 0, 0
    for case in cases:  # type: ignore[attr-defined]
        if tried >= chosen.count or time.monotonic() >= end:
            break
        ours, theirs = pair.build(case)
        tried, built = tried + 1, built + (theirs.status == 0)
        found = differences(case, ours, theirs)
        if found:
            wrong += 1
            _tell(pair, case, found, chosen.keep)
        if tried % _TIDY == 0:
            pair.tidy()
    print(f"{tried} cases, {built} of them built by the engine, {wrong} with a difference", flush=True)
    return int(wrong > 0)


def _tell(pair: Pair, case: Case, found: list[str], keep: Path | None) -> None:
    kinds = {line.split()[0] for line in found}

    def differs(smaller: Case) -> bool:
        return bool(kinds & {line.split()[0] for line in differences(smaller, *pair.build(smaller))})

    small = shrunk(case, differs) if differs(case) else case
    lines = differences(small, *pair.build(small)) or found
    print(
        f"== {case.seed} {small.args} {small.env}\n{text(small)}",
        *(f" - {line[:1000]}" for line in lines),
        sep="\n",
        flush=True,
    )
    if keep is not None:
        place = keep / str(case.seed)
        place.mkdir(parents=True, exist_ok=True)
        (place / "case.json").write_bytes(msgspec.json.encode(small))


sys.exit(main())
