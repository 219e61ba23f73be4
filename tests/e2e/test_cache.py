"""What makes a step run again, and what does not."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = pytest.mark.e2e

DOCKERFILE = """\
FROM base
RUN echo first > /first
COPY src /src
RUN cat /src/a > /copy
ENV X=1
WORKDIR /work
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    return folder(tmp_path / "context", {"Dockerfile": DOCKERFILE, "src/a": "a\n", "src/b": "b\n", "other": "o\n"})


def test_the_same_build_runs_nothing(lapstrake: Lapstrake, context: Path) -> None:
    first = lapstrake.built(context, "--iidfile", str(context.parent / "one"))
    again = lapstrake.built(context, "--iidfile", str(context.parent / "two"))
    assert first.cached == 0
    assert set(again.steps("CACHED")) >= {"RUN echo first > /first", "COPY src /src", "RUN cat /src/a > /copy"}
    assert not [s for s in again.steps("DONE") if s.startswith(("RUN", "COPY", "WORKDIR"))]
    assert (context.parent / "one").read_text() == (context.parent / "two").read_text()


@pytest.mark.parametrize("change", ["touch", "owner", "other file", "comment"])
def test_what_does_not_matter_hits(lapstrake: Lapstrake, context: Path, change: str) -> None:
    lapstrake.built(context)
    if change == "touch":
        for path in context.rglob("*"):
            os.utime(path, (1, 1))
    elif change == "owner":
        if os.geteuid() != 0:
            pytest.skip("needs root")
        os.chown(context / "src" / "a", 12, 34)
    elif change == "other file":
        (context / "other").write_text("changed\n")
    else:
        text = DOCKERFILE.replace("ENV X=1\n", "# words\n\nEnv   X=1\n")
        (context / "Dockerfile").write_text(text)
    again = lapstrake.built(context)
    assert not [s for s in again.steps("DONE") if s.startswith(("RUN", "COPY", "WORKDIR"))]


@pytest.mark.parametrize("change", ["chmod", "content", "new file", "gone"])
def test_what_matters_misses_from_there_on(lapstrake: Lapstrake, context: Path, change: str) -> None:
    lapstrake.built(context)
    if change == "chmod":
        (context / "src" / "a").chmod(0o755)
    elif change == "content":
        (context / "src" / "b").write_text("B\n")
    elif change == "new file":
        folder(context, {"src/c": "c"})
    else:
        (context / "src" / "b").unlink()
    again = lapstrake.built(context)
    assert "RUN echo first > /first" in again.steps("CACHED")
    assert {"COPY src /src", "RUN cat /src/a > /copy"} <= set(again.steps("DONE"))


def test_content_of_equal_size_and_time_is_seen(lapstrake: Lapstrake, context: Path) -> None:
    """Kept by the change time, which nobody can set back."""
    file = context / "src" / "a"
    os.utime(file, (1_000_000_000, 1_000_000_000))
    lapstrake.built(context)
    file.write_text("z\n")
    os.utime(file, (1_000_000_000, 1_000_000_000))
    assert "COPY src /src" in lapstrake.built(context).steps("DONE")


def test_build_args(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base\nRUN echo before\nARG A=1\nRUN echo after $A > /a\n"
    context = folder(tmp_path / "args", {"Dockerfile": text})
    lapstrake.built(context)
    assert lapstrake.built(context, "--build-arg", "UNUSED=1").steps("DONE").count("RUN echo before") == 0
    changed = lapstrake.built(context, "--build-arg", "A=2")
    assert "RUN echo before" in changed.steps("CACHED")
    assert "RUN echo after 2 > /a" in changed.steps("DONE")
    same = lapstrake.built(context, "--build-arg", "A=1")
    assert "RUN echo after 1 > /a" in same.steps("CACHED")
    proxy = lapstrake.built(context, "--build-arg", "HTTP_PROXY=http://127.0.0.1:1")
    assert "RUN echo after 1 > /a" in proxy.steps("CACHED")


def test_a_rebuilt_stage_with_the_same_file_hits_behind_it(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base AS one\nARG A=1\nRUN echo $A > /log && echo same > /file\nFROM base\nCOPY --from=one /file /\n"
    context = folder(tmp_path / "rejoin", {"Dockerfile": text + "RUN cat /file\n"})
    lapstrake.built(context)
    again = lapstrake.built(context, "--build-arg", "A=2")
    assert "RUN echo 2 > /log && echo same > /file" in again.steps("DONE")
    assert {"COPY --from=one /file /", "RUN cat /file"} <= set(again.steps("CACHED"))


def test_no_cache(lapstrake: Lapstrake, context: Path) -> None:
    lapstrake.built(context)
    again = lapstrake.built(context, "--no-cache")
    assert {"RUN echo first > /first", "RUN cat /src/a > /copy"} <= set(again.steps("DONE"))


def test_only_what_the_target_needs_runs(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base AS a\nRUN echo a\nFROM base AS b\nRUN exit 9\nFROM base AS c\nCOPY --from=a /bin/sh /x\n"
    context = folder(tmp_path / "target", {"Dockerfile": text})
    assert lapstrake.built(context).err.count("RUN exit 9") == 0
    lapstrake.refused(context, "--target", "b")


def test_equal_steps_run_once(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base AS a\nRUN echo same\nFROM base AS b\nRUN echo same\nFROM base\n"
    text += "COPY --from=a /bin/sh /a\nCOPY --from=b /bin/sh /b\n"
    done = lapstrake.built(folder(tmp_path / "equal", {"Dockerfile": text}))
    lines = [line for line in done.err.splitlines() if line.endswith(" same") and "RUN" not in line]
    assert len(lines) == 1


def test_a_failed_step_is_not_kept(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "failed", {"Dockerfile": "FROM base\nRUN test -e /nothing\n"})
    lapstrake.refused(context)
    assert "RUN test -e /nothing" not in lapstrake.refused(context).steps("CACHED")


def test_prune_then_build(lapstrake: Lapstrake, context: Path) -> None:
    lapstrake.built(context, "-t", "app")
    assert lapstrake.run("prune", "--all", "--force").status == 0
    assert lapstrake.run("images").out.count("app") == 1
    lapstrake.built(context, "-t", "app")
    assert lapstrake.run("rmi", "app").status == 0
    assert "app" not in lapstrake.run("images").out


RANDOM = """\
FROM base AS made
RUN cat /proc/sys/kernel/random/uuid > /v
RUN cp /v /w
FROM base AS last
COPY --from=made /v /w /
RUN cp /v /x
"""


def _files(lapstrake: Lapstrake, context: Path, stage: str, *args: str) -> dict[str, str]:
    """The one-line files at the root of what a build gives."""
    out = context.parent / "out"
    shutil.rmtree(out, ignore_errors=True)
    lapstrake.built(context, "--target", stage, "-o", f"type=local,dest={out}", *args)
    return {name: (out / name).read_text() for name in "vwx" if (out / name).exists()}


def test_a_stage_made_anew_is_copied_anew(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """Its steps have the keys they had, what they made is another thing."""
    context = folder(tmp_path / "random", {"Dockerfile": RANDOM})
    first = _files(lapstrake, context, "last")
    assert len(set(first.values())) == 1
    made = _files(lapstrake, context, "made", "--no-cache")
    last = _files(lapstrake, context, "last")
    assert set(last.values()) == set(made.values()) != set(first.values())
    again = _files(lapstrake, context, "last", "--no-cache")
    assert len(set(again.values())) == 1
    assert set(again.values()) != set(last.values())
    assert _files(lapstrake, context, "last") == again
    assert set(_files(lapstrake, context, "made").values()) == set(again.values())


def test_a_step_made_anew_after_a_loss_takes_those_above_it_along(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """A result is of use only on the tree it was made on."""
    context = folder(tmp_path / "random", {"Dockerfile": RANDOM})
    _files(lapstrake, context, "last")
    blobs = lapstrake.store / "blobs" / "sha256"
    before = {path.name for path in blobs.iterdir()}
    text = "FROM base AS made\nRUN cat /proc/sys/kernel/random/uuid > /v\n"
    only = folder(tmp_path / "only", {"Dockerfile": text})
    out = tmp_path / "one.tar"
    lapstrake.built(only, "-o", f"type=oci,dest={out}")
    with tarfile.open(out) as archive:
        layers = {name.rpartition("/")[2] for name in archive.getnames()} & before
    lost = [name for name in layers if _holds(blobs / name, "v")]
    assert len(lost) == 1
    (blobs / lost[0]).unlink()
    last = _files(lapstrake, context, "last")
    assert len(set(last.values())) == 1
    made = _files(lapstrake, context, "made")
    assert len(set(made.values())) == 1
    assert _files(lapstrake, context, "last") == {**made, "x": made["v"]}


def _holds(blob: Path, name: str) -> bool:
    try:
        with tarfile.open(blob) as layer:
            return layer.getnames() == [name]
    except tarfile.TarError:
        return False


def test_the_form_of_a_cached_layer_does_not_matter(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """An image has the form that its output names, or the usual one, whoever packed its layers first and how."""
    context = folder(tmp_path / "context", {"Dockerfile": "FROM scratch\nCOPY f /\nCOPY f /g\n", "f": "f\n" * 10_000})
    named = ("zstd", "zstd,compression-level=19", "gzip,compression-level=9", "uncompressed")
    forms = ("", *(f",compression={name}" for name in named))

    def digest(store: Lapstrake, form: str) -> str:
        store.built(context, "-o", f"type=image{form}", f"--metadata-file={tmp_path}/facts")
        return str(json.loads((tmp_path / "facts").read_text())["containerimage.digest"])

    wanted = {form: digest(Lapstrake(tmp_path / f"store{n}"), form) for n, form in enumerate(forms)}
    assert len(set(wanted.values())) == len(forms)
    for first in forms[1:]:
        store = Lapstrake(tmp_path / f"mixed{forms.index(first)}")
        assert [digest(store, form) for form in (first, *forms)] == [wanted[form] for form in (first, *forms)]
