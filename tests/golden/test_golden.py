"""Every folder beside this file that has a case.toml: a Dockerfile, and what must come of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.lapstrake import Done, Lapstrake
from tests.golden.case import CONFIG, FOLDER, TREE, Case, edit, lay_out, names, owned, read
from tests.golden.image import Read, config_text, tree_text
from tests.golden.image import read as read_image

pytestmark = pytest.mark.e2e

WARNING = re.compile(r"(?:WARNING: | - )([A-Z]\w+: .* \(line \d+\))")


@pytest.mark.parametrize("name", names())
def test_golden(
    name: str, base: Path, base_read: Read, shared_store: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    case = read(name)
    context = lay_out(name, case, tmp_path / name)
    own_store = case.again or case.first
    lapstrake = Lapstrake(tmp_path / "store" if own_store else shared_store, base)
    for image in case.first:
        done = run(lapstrake, context, "-f", image.file, "-t", image.tag, *image.args)
        assert done.status == 0, done.err
    archive = tmp_path / "image.tar"
    wanted = () if case.status else ("-o", f"type=docker,dest={archive}")
    done = run(lapstrake, context, *wanted, *case.args, env=case.env)
    check_words(case, done)
    if not case.status and archive.exists():
        write = bool(request.config.getoption("--write-golden", False))
        check_image(name, case, read_image(archive), base_read, write=write)
    for step in case.again:
        edit(context, step)
        done = run(lapstrake, context, *case.args, *step.args, env=case.env)
        assert done.status == 0, done.err
        cached, ran = shown(done, "CACHED"), shown(done, "DONE")
        assert (cached, ran) == (step.cached, step.ran)
    owned(context)


def run(lapstrake: Lapstrake, context: Path, *args: str, env: dict[str, str] | None = None) -> Done:
    return lapstrake.build(Path("."), *args, env=env, cwd=context)


def shown(done: Done, state: str) -> list[str]:
    return [step for step in done.steps(state) if not step.startswith("FROM ")]


def check_words(case: Case, done: Done) -> None:
    assert "Traceback" not in done.err
    assert "internal error" not in done.err
    assert done.status == case.status, done.err
    for text in case.error:
        assert text in done.err
    for text in case.output:
        assert text in done.out
    if not case.status or case.warnings:
        assert WARNING.findall(done.err) == case.warnings


def check_image(name: str, case: Case, image: Read, base: Read, *, write: bool) -> None:
    for path in case.gone:
        assert path not in image.lines
    for file, text in (
        (FOLDER / name / TREE, tree_text(image, base, case.below)),
        (FOLDER / name / CONFIG, config_text(image, base)),
    ):
        if write:
            file.write_text(text)
        elif file.exists():
            assert text == file.read_text()
