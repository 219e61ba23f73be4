from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.errors import SourceFault
from builder.graph.operation import Selection
from builder.solve.select import select
from builder.solve.takes import takes
from builder.source.context import LocalContext
from builder.source.ignore import Ignore
from cache.stats import StatIndex


def context(folder: Path, ignore: Ignore | None = None) -> LocalContext:
    return LocalContext(str(folder), ignore, StatIndex("/nonexistent", folder.stat().st_dev, 0), 0)


@pytest.fixture
def tree(tmp_path: Path) -> LocalContext:
    for name in ("src/a.c", "src/sub/b.c", "src/sub/b.md", "other"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("src/a.c")
    (tmp_path / "folder").symlink_to("src/sub")
    return context(tmp_path)


@pytest.mark.parametrize(
    ("path", "source", "wildcard", "exclude", "taken"),
    [
        ("src/a.c", "/src", False, (), True),
        ("src/sub/b.c", "/", False, (), True),
        ("src/sub", "/src", False, (), True),
        ("src", "/src", False, (), True),
        ("other", "/src", False, (), False),
        ("src/sub/b.md", "/src", False, ("**/*.md",), False),
        ("src/a.c", "/src/*.c", True, (), True),
        ("src/sub/b.c", "/src/*.c", True, (), False),
        ("src/sub/b.c", "/src/s*", True, (), True),
        ("src/a.c", "/link", False, (), True),  # through a link: the file is what is taken
        ("link", "/link", False, (), False),
        ("link", "/", False, (), True),
        ("src/sub/b.c", "/folder", False, (), True),
        ("src/a.c", "/nothing", False, (), False),
        ("src/sub/b.c", "/src/./sub/*.c", True, (), True),  # COPY --parents
    ],
)
def test_by_the_rules_of_selection(
    tree: LocalContext, path: str, source: str, wildcard: bool, exclude: tuple[str, ...], taken: bool
) -> None:
    assert takes(tree, path.encode(), Selection(input=0, path=source, wildcard=wildcard), exclude) == taken


names = st.sampled_from(["a", "b", "ab", "c"])
files = st.lists(st.lists(names, min_size=1, max_size=3).map("/".join), min_size=1, max_size=6)
sources = st.lists(st.sampled_from(["a", "b", "a*", "?", "*"]), max_size=3).map(lambda parts: "/" + "/".join(parts))
excludes = st.lists(st.sampled_from(["a", "**/b", "*/a", "!a/b"]), max_size=2).map(tuple)


@settings(max_examples=100)
@given(files, sources, excludes)
def test_as_if_all_had_been_selected(paths: list[str], source: str, exclude: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            file = Path(folder, path)
            if not any(parent.is_file() for parent in file.parents) and not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
        tree, selection = (
            context(Path(folder)),
            Selection(input=0, path=source, wildcard="*" in source or "?" in source),
        )
        try:
            found = {entry.path for one in select(tree, selection, exclude) for entry in one.members}
            found |= {one.root for one in select(tree, selection, exclude) if one.is_dir}
        except SourceFault:
            found = set()
        for entry in list(tree.walk(b"")):
            assert takes(tree, entry.path, selection, exclude) == (entry.path in found), entry.path
        tree.close()
