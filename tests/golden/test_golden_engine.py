"""What the golden cases expect is what a newer BuildKit does: its files, config, history, warnings and refusals."""

from __future__ import annotations

import json
import os
from pathlib import Path
from zlib import crc32

import pytest

from tests.e2e.engine import Engine
from tests.e2e.test_engine import STUBS, spoken
from tests.golden.case import CONFIG, FOLDER, TREE, Case, lay_out, names, owned, read
from tests.golden.image import Read, config_text, tree_text
from tests.golden.image import read as read_image
from tests.golden.test_golden import WARNING

pytestmark = [pytest.mark.e2e, pytest.mark.oracle, pytest.mark.root]


ALL = "GOLDEN_ENGINE"  # the variable that asks for every case


def comparable() -> list[str]:
    """Cases that say `same` and need one build; of those, without ALL, the half whose digest of the name is even."""
    chosen = [name for name in names() if not name.startswith("13-check-")]  # rules of the checks themselves
    found = [name for name in chosen if (case := read(name)).engine == "same" and not (case.again or case.first)]
    return found if os.environ.get(ALL) == "all" else [name for name in found if crc32(name.encode()) % 2 == 0]


@pytest.mark.parametrize("name", comparable())
def test_the_engine_does_the_same(engine: Engine, base_read: Read, tmp_path: Path, name: str) -> None:
    case = read(name)
    context = lay_out(name, case, tmp_path / name)
    archive = tmp_path / "theirs.tar"
    done = engine.build(Path("."), archive, *case.args, cwd=context)
    owned(context)
    if case.status:
        assert done.returncode != 0
        for words in case.error:
            assert words in done.stderr
        return
    assert done.returncode == 0, done.stderr
    for words in case.output:
        assert words in done.stdout
    assert sorted(WARNING.findall(done.stderr)) == sorted(case.warnings)
    if archive.exists():
        check_image(name, case, read_image(archive), base_read)  # the engine cannot save an image without layers


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
