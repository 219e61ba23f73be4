"""du, prune, system df and image prune look as those of a real buildx and docker do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.engine import Engine
from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = [pytest.mark.e2e, pytest.mark.root]

TEXT = "FROM scratch\nCOPY Dockerfile /x\n"


@pytest.fixture
def both(engine: Engine, lapstrake: Lapstrake, tmp_path: Path) -> tuple[Engine, Lapstrake]:
    """Both with one built image that has a name, and one that has none."""
    for number, names in enumerate((("-t", "kept-small"), ())):
        context = folder(tmp_path / str(number), {"Dockerfile": f"{TEXT}LABEL n={number} t={tmp_path}\n"})
        engine.call("buildx", "build", "--provenance=false", *names, str(context))
        lapstrake.built(context, *names)
    return engine, lapstrake


def labels(text: str) -> set[str]:
    return {line.partition(":")[0] for line in text.splitlines() if ":" in line and not line.startswith(" ")}


def test_du(both: tuple[Engine, Lapstrake]) -> None:
    engine, lapstrake = both
    theirs, ours = engine.call("buildx", "du"), lapstrake.run("du").out
    assert theirs.splitlines()[0].split() == ours.splitlines()[0].split()
    ends = [text.splitlines()[-4:] for text in (theirs, ours)]
    assert [line.partition("\t")[0] for line in ends[0]] == [line.partition("\t")[0] for line in ends[1]]
    assert [line.count("\t") for line in ends[0]] == [line.count("\t") for line in ends[1]]
    theirs, ours = engine.call("buildx", "du", "--format=json"), lapstrake.run("du", "--format=json").out
    known, own = json.loads(theirs.splitlines()[0]), json.loads(ours.splitlines()[-1])
    assert {name: type(value) for name, value in own.items() if name not in ("KeptFor", "Parents")} == {
        name: type(value) for name, value in known.items() if name != "Parents"
    }
    assert labels(engine.call("buildx", "du", "--verbose")) | {"Kept for"} == labels(
        lapstrake.run("du", "--verbose").out
    )
    for words in (["until=x"], ["private"], ["type=a", "--filter", "type=b"]):
        assert engine.run("buildx", "du", "--filter", *words).returncode != 0
    for words in (["until=x"], ["type=a", "--filter", "type=b"]):  # a flag may stand by itself
        assert lapstrake.run("du", "--filter", *words).status == 1


def test_df(both: tuple[Engine, Lapstrake]) -> None:
    engine, lapstrake = both
    for words in ((), ("-v",)):
        theirs = engine.call("system", "df", *words).splitlines()
        ours = lapstrake.run("system", "df", *words).out.splitlines()
        heads = [[line for line in text if line[:1].isupper() and line[:2] != "Bu"] for text in (theirs, ours)]
        titles = [[line.split() for line in text if line.isupper() or "usage" in line] for text in heads]
        assert titles[0] == titles[1]
    theirs_json = [json.loads(line) for line in engine.call("system", "df", "--format=json").splitlines()]
    ours_json = [json.loads(line) for line in lapstrake.run("system", "df", "--format=json").out.splitlines()]
    assert [(row["Type"], list(row)) for row in theirs_json] == [(row["Type"], list(row)) for row in ours_json]
    known = json.loads(engine.call("system", "df", "-v", "--format=json"))
    own = json.loads(lapstrake.run("system", "df", "-v", "--format=json").out)
    assert list(known) == list(own)
    for kind in ("Images", "BuildCache"):
        assert known[kind][0].keys() - {"VirtualSize"} == own[kind][0].keys()


def test_prune(both: tuple[Engine, Lapstrake], tmp_path: Path) -> None:
    engine, lapstrake = both
    mine = f"--filter=label=t={tmp_path}"
    theirs = engine.call("image", "prune", "-f", mine).splitlines()
    ours = lapstrake.run("image", "prune", "-f", mine).out.splitlines()
    assert [line.split(":")[0] for line in theirs] == [line.split(":")[0] for line in ours]
    assert engine.run("image", "prune", "-f", "--filter=x=y").returncode != 0
    assert lapstrake.run("image", "prune", "-f", "--filter=x=y").status == 1
    words = ("prune", "-f", "--filter=type=source.local")
    theirs, ours = engine.call("buildx", *words).splitlines(), lapstrake.run(*words).out.splitlines()
    assert theirs[0].split() == ours[0].split() == ["ID", "RECLAIMABLE", "SIZE", "LAST", "ACCESSED"]
    assert theirs[-1].partition("\t")[0] == ours[-1].partition("\t")[0] == "Total:"
    assert ours[-1].count("\t") == 1
