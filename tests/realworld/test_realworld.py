"""Every folder beside this file with an expect.toml: constructs of a known project's Dockerfile, built offline."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.e2e.lapstrake import Lapstrake
from tests.golden.image import Read, read

pytestmark = pytest.mark.e2e

FOLDER = Path(__file__).resolve().parent
EXPECT = "expect.toml"

_FROM = re.compile(r"^FROM\s+(?:--platform=\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?", re.MULTILINE | re.IGNORECASE)
_COPIED = re.compile(r"^(?:COPY|ADD|RUN)\s.*?(?:--from=|[,=]from=|,from=)([^\s,]+)", re.MULTILINE)
_ARG = re.compile(r"^ARG\s+(\w+)=(\S+)", re.MULTILINE)
_VARIABLE = re.compile(r"\$\{?(\w+)(?::-([^}]*))?\}?")


class Expect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """why: the project and the file in its repository whose constructs these are, read in 2026.

    args, env: of the build. images: those that only args name. gone: paths that must not be there.
    files: path -> `type mode uid:gid`, and ` -> content` where that matters, as tests/golden/image.py writes it.
    config: fields of the image's config.
    """

    why: str
    files: dict[str, str]
    args: list[str] = []
    env: dict[str, str] = {}
    images: list[str] = []
    gone: list[str] = []
    config: dict[str, Any] = {}


def shapes() -> list[str]:
    return sorted(path.parent.name for path in FOLDER.glob(f"*/{EXPECT}"))


def images(dockerfile: str) -> set[str]:
    """What the Dockerfile takes from a registry; variables have the defaults of the first ARG of their name.

    What is named by variables without one is left out.
    """
    defaults: dict[str, str] = {}
    for name, value in _ARG.findall(dockerfile):
        defaults.setdefault(name, _VARIABLE.sub(lambda word: defaults.get(word[1], ""), value.strip('"')))
    named = _FROM.findall(dockerfile)
    stages = {stage.lower() for _, stage in named if stage} | {"scratch"}
    found = [image for image, _ in named] + _COPIED.findall(dockerfile)
    expanded = {_VARIABLE.sub(lambda word: defaults.get(word[1], word[2] or word[0]), image) for image in found}
    return {image for image in expanded if image.lower() not in stages and not image.isdigit() and "$" not in image}


@pytest.fixture(scope="session")
def stand_in(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base of all shapes as an archive."""
    folder = tmp_path_factory.mktemp("stand-in")
    archive = folder / "stand-in.tar"
    context = laid_out(FOLDER / "stand-in", folder / "context")
    Lapstrake(folder / "store", base).built(context, "-o", f"type=docker,dest={archive}")
    return archive


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("realworld") / "store"


def laid_out(source: Path, context: Path) -> Path:
    """A copy with modes that do not depend on the umask."""
    shutil.copytree(source, context, symlinks=True, ignore=shutil.ignore_patterns(EXPECT))
    for path in (context, *context.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    return context


def test_there_are_enough_and_each_says_whose_shape_it_is() -> None:
    folders = sorted(path.parent.name for path in FOLDER.glob("*/Dockerfile") if path.parent.name != "stand-in")
    assert folders == shapes()
    assert len(folders) >= 45
    for name in folders:
        assert "# Shape of " in (FOLDER / name / "Dockerfile").read_text().partition("\nFROM")[0], name


@pytest.mark.parametrize("name", shapes())
def test_shape(name: str, stand_in: Path, store: Path, tmp_path: Path) -> None:
    expect = msgspec.toml.decode((FOLDER / name / EXPECT).read_bytes(), type=Expect)
    context = laid_out(FOLDER / name, tmp_path / "context")
    archive = tmp_path / "image.tar"
    replaced = [
        f"--build-context={image}=docker-archive://{stand_in}"
        for image in sorted({*images((context / "Dockerfile").read_text()), *expect.images})
    ]
    done = Lapstrake(store).build(context, *replaced, "-o", f"type=docker,dest={archive}", *expect.args, env=expect.env)
    assert done.status == 0, done.err
    check(expect, read(archive))


def check(expect: Expect, image: Read) -> None:
    for path, wanted in expect.files.items():
        line = image.lines.get(path, "missing")
        assert line == wanted or line.startswith(f"{wanted} -> "), f"{path}: {line}"
    assert [path for path in expect.gone if path in image.lines] == []
    config = image.document["config"]
    assert {field: config.get(field) for field in expect.config} == expect.config
