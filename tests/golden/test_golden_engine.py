"""What the golden cases expect is what a newer BuildKit does: its files, config, history, warnings and refusals."""

from __future__ import annotations

import json
import os
from pathlib import Path
from zlib import crc32

import pytest

from tests.e2e.engine import Engine
from tests.e2e.lapstrake import Done
from tests.e2e.test_engine import STUBS, spoken
from tests.golden.case import CONFIG, FOLDER, TREE, Case, edit, lay_out, names, owned, read
from tests.golden.image import Read, config_text, tree_text
from tests.golden.image import read as read_image
from tests.golden.test_golden import WARNING, shown

pytestmark = [pytest.mark.e2e, pytest.mark.oracle, pytest.mark.root]


ALL = "GOLDEN_ENGINE"  # the variable that asks for every case


def comparable() -> list[object]:
    """Of the cases that say `same` the half whose digest of the name is even. With ALL every case; others must fail."""
    cases = {name: read(name).engine for name in names()}
    if os.environ.get(ALL) != "all":
        return [name for name, engine in cases.items() if engine == "same" and crc32(name.encode()) % 2 == 0]
    differs = pytest.mark.xfail(strict=True, raises=AssertionError)
    return [pytest.param(name, marks=() if engine == "same" else differs) for name, engine in cases.items()]


@pytest.mark.parametrize("name", comparable())
def test_the_engine_does_the_same(buildkit: Engine, base_read: Read, tmp_path: Path, name: str) -> None:
    case = read(name)
    context = lay_out(name, case, tmp_path / name)
    if case.again:
        buildkit.call("builder", "prune", "--all", "--force")  # what another case left is no step of this one
    for image in case.first:
        buildkit.store(Path("."), image.tag, "-f", image.file, *image.args, cwd=context)
    archive = tmp_path / "theirs.tar"
    done = build(buildkit, context, archive, *case.args, env=case.env)
    check_words(case, done)
    if not case.status:
        check_image(name, case, read_image(archive), base_read)
    for step in case.again:
        edit(context, step)
        done = build(buildkit, context, archive, *case.args, *step.args, env=case.env)
        assert (shown(done, "CACHED"), shown(done, "DONE")) == (step.cached, step.ran)
    owned(context)


def build(buildkit: Engine, context: Path, archive: Path, *args: str, env: dict[str, str] | None = None) -> Done:
    done = buildkit.build(Path("."), archive, *args, cwd=context, env=env)
    return Done(done.returncode, done.stdout, done.stderr)


def check_words(case: Case, done: Done) -> None:
    assert (done.status != 0) == (case.status != 0), done.err
    for words in case.error:
        assert words in done.err
    for words in case.output:
        assert words in done.out
    if not case.status or case.warnings:
        assert sorted(WARNING.findall(done.err)) == sorted(case.warnings)


def check_image(name: str, case: Case, image: Read, base: Read) -> None:
    for path in case.gone:
        assert path not in image.lines
    tree, config = FOLDER / name / TREE, FOLDER / name / CONFIG
    if tree.exists():
        expected = tree.read_text()
        paths = {line.split(" ")[0] for line in expected.splitlines()}
        stubs = {f"/{stub}" for stub in STUBS} - paths
        kept = Read({path: line for path, line in image.lines.items() if path not in stubs}, image.document)
        assert tree_text(kept, base, case.below) == expected
    if config.exists():
        assert said(config_text(image, base)) == said(config.read_text())


def said(text: str) -> object:
    """config.json with what only the two printers of a health check differ in taken away."""
    document = json.loads(text)
    rows = [(entry.get("created_by", ""), entry.get("empty_layer", False)) for entry in document.pop("history")]
    return document, spoken(rows)
