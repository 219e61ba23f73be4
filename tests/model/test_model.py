"""A store is driven at random, and whatever comes out of it must be what an empty store gives.

MODEL_SECONDS: how long to go on, with other inputs each time; without it a few known ones are tried.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.e2e.lapstrake import Lapstrake
from tests.model import recipes

pytestmark = pytest.mark.e2e

SECONDS = float(os.environ.get("MODEL_SECONDS", "0"))
_options = st.sampled_from(
    [(), (), (), ("--no-cache",), ("--no-cache-filter=s1",), ("--target=s1",), ("-o", "type=image,compression=zstd")]
)


class Input(NamedTuple):
    """All that decides what a build gives."""

    recipe: tuple[tuple[str, ...], ...]
    files: tuple[tuple[str, tuple[str, int]], ...]
    ignore: str
    options: tuple[str, ...]


class Machine(RuleBasedStateMachine):
    base: Path
    top: Path
    known: dict[Input, str]  # what an empty store gave

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=self.top))
        self.context = self.folder / "context"
        self.store = Lapstrake(self.folder / "store", self.base)
        self.files = {name: (f"{name}\n", 0o644) for name in recipes.FILES}
        self.ignore, self.argument = "", ""
        self.recipe: list[list[str]] = []
        self.runs = 0

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @initialize(first=recipes.stages(0), second=recipes.stages(1), third=recipes.stages(2))
    def begin(self, first: list[str], second: list[str], third: list[str]) -> None:
        self.recipe = [first, second, third]
        self.build(())

    @rule(number=st.integers(0, recipes.STAGES - 1), data=st.data(), options=_options)
    def change_an_instruction(self, number: int, data: st.DataObject, options: tuple[str, ...]) -> None:
        stage = self.recipe[number]
        new = data.draw(recipes.instructions(number, "scratch" in self._base(number)))
        at = data.draw(st.integers(3, len(stage)))
        stage[at : at + data.draw(st.integers(0, 1))] = data.draw(st.sampled_from([[new], [new], []]))
        self.build(options)

    @rule(name=recipes.files, content=recipes.contents, mode=recipes.modes, options=_options)
    def change_a_file(self, name: str, content: str, mode: int, options: tuple[str, ...]) -> None:
        self.files[name] = (content, mode)
        self.build(options)

    @rule(name=recipes.files)
    def remove_a_file(self, name: str) -> None:
        self.files.pop(name, None)
        self.build(())
        self.files.setdefault(name, ("back\n", 0o644))

    @rule(name=recipes.files)
    def touch_a_file(self, name: str) -> None:
        path = self.context / name
        if path.exists():
            os.utime(path, (self.runs, self.runs))
        self.build(())

    @rule(ignore=recipes.ignores, argument=recipes.arguments)
    def change_what_is_around(self, ignore: str, argument: str) -> None:
        self.ignore, self.argument = ignore, argument
        self.build(())

    @rule(words=st.sampled_from([("-f",), ("-a", "-f")]))
    def prune(self, words: tuple[str, ...]) -> None:
        done = self.store.run("prune", *words)
        self._check(done.status == 0, done.err)
        self.build(())

    @rule(after=st.floats(0.05, 1.0), content=recipes.contents, together=st.booleans())
    def kill_a_build(self, after: float, content: str, together: bool) -> None:
        """One that has something to do; a second one, of another target, may run beside it."""
        self.files["a"] = (content + "killed", 0o644)
        words = self._laid_out(("--no-cache",))
        started = [self.store.start(self.context, *words)]
        if together:
            started.append(self.store.start(self.context, *self._laid_out(("--target=s1",))))
        time.sleep(after)
        for process in started:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        self.build(())

    @rule(name=recipes.files, content=recipes.contents, options=st.tuples(_options, _options))
    def build_two_at_once(self, name: str, content: str, options: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
        self.files[name] = (content, 0o644)
        started = []
        for number, one in enumerate(options):
            facts = self.folder / f"facts{number}"
            facts.unlink(missing_ok=True)
            words = (*self._laid_out(one), f"--metadata-file={facts}")
            started.append((self.store.start(self.context, *words), facts, one))
        for process, facts, one in started:
            _, err = process.communicate(timeout=240)
            self._compare(one, process.returncode, facts, err.decode(errors="replace"))

    def build(self, options: tuple[str, ...]) -> None:
        facts = self.folder / "facts"
        facts.unlink(missing_ok=True)
        done = self.store.build(self.context, *self._laid_out(options), f"--metadata-file={facts}")
        self._compare(options, done.status, facts, done.err)

    def _base(self, number: int) -> str:
        """What a stage is made of in the end."""
        base = self.recipe[number][0].split()[1]
        return self._base(int(base[1:])) if base.startswith("s") and base != "scratch" else base

    def _laid_out(self, options: tuple[str, ...]) -> tuple[str, ...]:
        self.runs += 1
        self.context.mkdir(exist_ok=True)
        recipes.write(self.context, self.recipe, self.files, self.ignore)
        return (*options, f"--build-arg=A={self.argument}", "--network=none")

    def _compare(self, options: tuple[str, ...], status: int, facts: Path, err: str) -> None:
        self._check("Traceback" not in err and "internal error" not in err, err)
        outcome = json.loads(facts.read_text())["containerimage.digest"] if status == 0 else _error(err)
        wanted = self._wanted(options)
        self._check(outcome == wanted, f"{outcome}, not {wanted}: {options} {err}")

    def _check(self, holds: bool, text: str) -> None:
        """Fail with all that is needed to look into it, which is kept where MODEL_KEEP says."""
        kept = os.environ.get("MODEL_KEEP")
        if not holds and kept:
            place = Path(kept) / self.folder.name
            shutil.copytree(self.folder, place, symlinks=True, dirs_exist_ok=True)
            (place / "why").write_text(text)
        assert holds, (self.context / "Dockerfile").read_text() + text

    def _wanted(self, options: tuple[str, ...]) -> str:
        """The digest that an empty store gives, or its error."""
        forms = tuple(one for one in options if not one.startswith("--no-cache"))
        recipe, files = tuple(map(tuple, self.recipe)), tuple(sorted(self.files.items()))
        key = Input(recipe, files, self.ignore, (*forms, self.argument))
        if key not in self.known:
            facts = self.folder / "wanted"
            facts.unlink(missing_ok=True)
            cold = Lapstrake(Path(tempfile.mkdtemp(dir=self.folder)), self.base)
            done = cold.build(self.context, *self._laid_out(forms), f"--metadata-file={facts}")
            self.known[key] = (
                json.loads(facts.read_text())["containerimage.digest"] if done.status == 0 else _error(done.err)
            )
            shutil.rmtree(cold.store)
        return self.known[key]


def _error(err: str) -> str:
    return next((line for line in err.splitlines() if line.startswith("ERROR: ")), err)


@pytest.mark.timeout(SECONDS + 300)
def test_what_a_store_gives_is_what_an_empty_one_gives(base: Path, tmp_path: Path) -> None:
    Machine.base, Machine.top, Machine.known = base, tmp_path, {}
    long, end = bool(SECONDS), time.monotonic() + SECONDS
    while True:
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=2,
                stateful_step_count=25 if long else 8,
                derandomize=not long,
                database=None,
                phases=[Phase.generate],  # each try takes seconds: what fails is kept as it is
                suppress_health_check=list(HealthCheck),
            ),
        )
        if time.monotonic() >= end:
            return
