"""Why a step was missed: the line that each kind of change gives, and that no secret is in one."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.lapstrake import Done, Lapstrake, folder
from tests.e2e.webserver import Page, serving

pytestmark = pytest.mark.e2e

DOCKERFILE = """\
FROM base AS one
ARG VERSION=1
ENV MODE=fast
COPY src /src
RUN echo $VERSION > /version
RUN echo more
FROM base
WORKDIR /app
COPY --from=one /src /app/src
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    return folder(tmp_path / "context", {"Dockerfile": DOCKERFILE, "src/a": "a\n", "src/b": "b\n", "other": "o\n"})


def reasons(done: Done) -> dict[str, str]:
    """Step as shown -> why it was missed, of plain progress."""
    names, found = {}, {}
    for line in done.err.splitlines():
        number, _, rest = line.partition(" ")
        if rest.startswith("["):
            names[number] = re.sub(r"^\[.*?\] ", "", rest)
        elif rest.startswith("missed: "):
            found[names[number]] = rest.removeprefix("missed: ")
    return found


def replaced(old: str, new: str) -> Callable[[Path], None]:
    return lambda context: (context / "Dockerfile").write_text(DOCKERFILE.replace(old, new)) and None


COPY, RUN, LAST = "COPY src /src", "RUN echo 1 > /version", "COPY --from=one /src /app/src"
BECAUSE = "because [one 2/4] COPY src /src changed"


@pytest.mark.parametrize(
    ("change", "arguments", "expected"),
    [
        (
            lambda c: folder(c, {"src/b": "B\n"}), (),
            {COPY: "src/b changed (content)", RUN: BECAUSE, "RUN echo more": BECAUSE,
             LAST: "src/b of stage one changed (content)"},
        ),
        (lambda c: (c / "src" / "a").chmod(0o755), (), {COPY: "src/a changed (mode 0644 -> 0755)"}),
        (lambda c: folder(c, {"src/new": "", "src/newer": ""}), (), {COPY: "src/new added and 1 more"}),
        (lambda c: (c / "src" / "a").unlink(), (), {COPY: "src/a removed", LAST: "src/a of stage one removed"}),
        (
            lambda c: None, ("--build-arg", "VERSION=2"),
            {"RUN echo 2 > /version": "ARG VERSION changed (1 -> 2)", "RUN echo more": "ARG VERSION changed (1 -> 2)"},
        ),
        (
            replaced("MODE=fast", "MODE=slow"), (),
            {RUN: "ENV MODE changed (fast -> slow)", "RUN echo more": "ENV MODE changed (fast -> slow)"},
        ),
        (replaced("ENV MODE=fast\n", ""), (), {RUN: "ENV MODE removed (fast)"}),
        (replaced("MODE=fast", "MODE=fast MORE=x"), (), {RUN: "ENV MORE added (x)"}),
        (
            replaced("RUN echo more", "RUN echo less"), (),
            {"RUN echo less": "instruction changed, was RUN echo more"},
        ),
        (
            replaced("COPY src", "RUN true\nCOPY src"), (),
            {"RUN true": "new instruction", COPY: "because [one 2/5] RUN true is new",
             RUN: "because [one 2/5] RUN true is new"},
        ),
        (
            replaced("COPY src /src\nRUN echo $VERSION > /version\n", "COPY src /src\n"), (),
            {"RUN echo more": "because [one 3/4] RUN echo 1 > /version is gone"},
        ),
        (lambda c: None, ("--network", "none"), {RUN: "--network changed (default -> none)"}),
        (lambda c: None, ("--add-host", "db:10.0.0.1"), {RUN: "--add-host changed (none -> db)"}),
        (lambda c: None, ("--ulimit", "nofile=64:64"), {RUN: "--ulimit changed"}),
        (replaced("WORKDIR /app", "WORKDIR /opt"), (), {"WORKDIR /opt": "instruction changed, was WORKDIR /app"}),
        (replaced("RUN echo more", "USER 1000\nRUN echo more"), (), {"RUN echo more": "USER changed (empty -> 1000)"}),
        (lambda c: None, ("--no-cache",), {COPY: "--no-cache", RUN: "--no-cache", LAST: "--no-cache"}),
        (lambda c: None, ("--no-cache-filter", "one"), {COPY: "--no-cache-filter", RUN: "--no-cache-filter"}),
    ],
)  # fmt: skip
def test_each_kind_of_change(
    lapstrake: Lapstrake, context: Path, change: Callable[[Path], object], arguments: tuple[str, ...],
    expected: dict[str, str],
) -> None:  # fmt: skip
    first = lapstrake.built(context)
    assert set(reasons(first).values()) == {"no earlier build of Dockerfile"}
    change(context)
    again = reasons(lapstrake.built(context, *arguments))
    assert {step: again.get(step) for step in expected} == expected


def test_what_is_cached_has_no_reason(lapstrake: Lapstrake, context: Path) -> None:
    lapstrake.built(context)
    assert reasons(lapstrake.built(context)) == {}
    (trace,) = [path for path in (lapstrake.store / "traces").rglob("*") if path.is_file() and not path.suffix]
    loaded = lapstrake.built(context, env={"PYTHONVERBOSE": "1"}).err
    assert "builder.cli.traced" in loaded
    assert not re.search(r"builder\.(trace\.|solve\.(tracing|outcomes|members))", loaded)
    assert trace.stat().st_mtime_ns > trace.stat().st_ctime_ns - 10**9


def test_another_base(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM mine\nRUN true\nRUN echo b\n"})
    plain = ("--build-context", "mine=docker-image://mine:1")
    ids = []
    for text in ("one", "two"):
        made = folder(tmp_path / text, {"Dockerfile": f"FROM base\nRUN echo {text} > /x\nENV BASE={text}\n"})
        lapstrake.built(made, "-t", "mine:1", "--metadata-file", str(tmp_path / "meta"))
        ids.append(json.loads((tmp_path / "meta").read_text())["containerimage.digest"])
        found = reasons(lapstrake.built(context, *plain))
    short = [digest[: len("sha256:") + 12] for digest in ids]
    assert found["RUN true"].startswith("base image ")
    assert found["RUN true"].endswith(f"mine changed ({short[0]} -> {short[1]})")
    assert found["RUN echo b"] == "because [2/3] RUN true changed"


def test_a_lost_row_a_lost_blob_and_a_failure(lapstrake: Lapstrake, context: Path) -> None:
    lapstrake.built(context)
    with sqlite3.connect(lapstrake.store / "index.db") as db:
        db.execute("DELETE FROM results")
    db.close()
    gone = reasons(lapstrake.built(context))
    assert set(gone.values()) == {"its result was evicted from the cache"}
    lapstrake.built(context)
    for blob in (lapstrake.store / "blobs" / "sha256").iterdir():
        blob.unlink()
    found = reasons(lapstrake.built(context))
    assert re.fullmatch(r"its layer sha256:[0-9a-f]{12} is missing or damaged", found[COPY])

    text = (context / "Dockerfile").read_text()
    (context / "Dockerfile").write_text(
        text.replace("echo more", "test -e /on").replace("WORKDIR", "RUN echo\nWORKDIR")
    )
    lapstrake.refused(context, "--target", "one")
    assert reasons(lapstrake.refused(context, "--target", "one"))["RUN test -e /on"] == "it failed in an earlier build"


def test_a_step_below_that_gives_other_bytes(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base AS made\nRUN cat /proc/sys/kernel/random/uuid > /v\nFROM made AS last\nRUN cp /v /x\n"
    context = folder(tmp_path / "random", {"Dockerfile": text})
    lapstrake.built(context)
    found = reasons(lapstrake.built(context, "--no-cache-filter", "made"))
    assert found["RUN cat /proc/sys/kernel/random/uuid > /v"] == "--no-cache-filter"
    assert found["RUN cp /v /x"] == "because [made 2/2] RUN cat /proc/sys/kernel/random/uuid > /v was made anew"


def test_rawjson_and_bind_mounts(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base\nRUN --mount=type=bind,source=in,target=/in cat /in/x\n"
    context = folder(tmp_path / "bind", {"Dockerfile": text, "in/x": "1"})
    lapstrake.built(context)
    (context / "in" / "x").write_text("2")
    done = lapstrake.built(context, "--progress=rawjson")
    vertexes = [v for line in done.err.splitlines() for v in json.loads(line).get("vertexes", ())]
    (name,) = {v["lapstrake.missed"] for v in vertexes if "lapstrake.missed" in v}
    assert name == "in/x changed (content)"


@pytest.mark.parametrize("text", ["ARG API_TOKEN\nRUN true", "ARG API_TOKEN\nENV URL=http://$API_TOKEN@x\nRUN true"])
def test_no_secret_is_shown_or_kept(lapstrake: Lapstrake, tmp_path: Path, text: str) -> None:
    text = f'FROM base\n{text}\nRUN --mount=type=secret,id=s,env=S test -n "$S"\nWORKDIR /x/$API_TOKEN\n'
    context = folder(tmp_path / "secret", {"Dockerfile": text})
    words = ("--secret", "id=s,env=S")
    told = ""
    for token, secret in (("hunter2hunter2", "very-secret-1"), ("swordfish99", "very-secret-2")):
        done = lapstrake.built(context, "--build-arg", f"API_TOKEN={token}", *words, env={"S": secret})
        told += "".join(f"{why}\n" for why in reasons(done).values())
    assert "API_TOKEN changed" in told
    files = [path for path in (lapstrake.store / "traces").rglob("*") if path.is_file()]
    kept = b"".join(path.read_bytes() if path.suffix else zlib.decompress(path.read_bytes()) for path in files)
    assert b"API_TOKEN" in kept
    for word in ("hunter2", "swordfish", "very-secret"):
        assert word not in told
        assert word.encode() not in kept


def test_a_store_without_room_for_words_builds_all_the_same(lapstrake: Lapstrake, context: Path) -> None:
    lapstrake.built(context)
    (lapstrake.store / "traces").rename(lapstrake.store / "elsewhere")
    (lapstrake.store / "traces").write_text("a file")
    folder(context, {"src/a": "new"})
    done = lapstrake.built(context)
    assert reasons(done)[COPY] == "no earlier build of Dockerfile"
    assert "WARNING: what this build was made of could not be kept" in done.err


def test_damage_costs_words_only(lapstrake: Lapstrake, context: Path) -> None:
    lapstrake.built(context)
    for path in (lapstrake.store / "traces").rglob("*.list"):
        path.write_bytes(os.urandom(100))
    folder(context, {"src/a": "new"})
    assert reasons(lapstrake.built(context))[COPY] == "files of the context changed"


def test_pruned(lapstrake: Lapstrake, context: Path) -> None:
    lapstrake.built(context)
    assert lapstrake.run("prune", "--force").status == 0
    assert set(reasons(lapstrake.built(context)).values()) == {"its result was evicted from the cache"}
    assert lapstrake.run("prune", "--all", "--force").status == 0
    assert set(reasons(lapstrake.built(context)).values()) == {"no earlier build of Dockerfile"}


def test_a_damaged_layer(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\nCOPY a /\nRUN cat /a\n", "a": "a" * 5000})
    meta = ("--metadata-file", str(tmp_path / "meta"))
    lapstrake.built(context, *meta)
    layer = json.loads((tmp_path / "meta").read_text())["lapstrake.steps"][0]["layer"]
    blob = lapstrake.store / "blobs" / "sha256" / layer.removeprefix("sha256:")
    blob.chmod(0o600)
    blob.write_bytes(bytes(blob.stat().st_size))
    shutil.rmtree(lapstrake.store / "snapshots")
    (lapstrake.store / "snapshots.db").unlink()
    (context / "Dockerfile").write_text("FROM base\nCOPY a /\nRUN cat /a >&2\n")
    found = reasons(lapstrake.built(context))
    assert found["COPY a /"] == f"its layer {layer[:19]} is missing or damaged"
    assert found["RUN cat /a >&2"] == "instruction changed, was RUN cat /a"


def test_a_url(lapstrake: Lapstrake, tmp_path: Path) -> None:
    with serving(tmp_path) as web:
        web.pages["/f"] = Page(b"one")
        context = folder(tmp_path / "context", {"Dockerfile": f"FROM base\nADD {web.url}/f /f\n"})
        lapstrake.built(context)
        web.pages["/f"] = Page(b"two")
        assert reasons(lapstrake.built(context)) == {f"ADD {web.url}/f /f": f"f of {web.url}/f changed (content)"}


def test_platforms_are_compared_each_with_itself(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /\n"})
    folder(context, {"amd64": "", "arm64": ""})
    both = ("--platform", "linux/amd64,linux/arm64")
    assert len(reasons(lapstrake.built(context, *both))) == 2
    folder(context, {"arm64": "new"})
    assert reasons(lapstrake.built(context, *both)) == {"COPY arm64 /": "arm64 changed (content)"}


def test_the_same_in_another_folder(lapstrake: Lapstrake, context: Path, tmp_path: Path) -> None:
    """Another runner's workspace; something else that happens to have these names is not taken for it."""
    lapstrake.built(context)
    other = folder(tmp_path / "other" / "context", {"Dockerfile": "FROM base\nRUN echo else\n"})
    assert set(reasons(lapstrake.built(other)).values()) == {"no earlier build of Dockerfile"}
    moved = tmp_path / "moved" / "context"
    shutil.copytree(context, moved)
    folder(moved, {"src/a": "changed"})
    assert reasons(lapstrake.built(moved))[COPY] == "src/a changed (content)"


def test_what_a_failed_build_did_not_come_to_know(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """The last stage is compared with the build before the failed one."""
    text = "FROM base AS one\nCOPY src /src\nRUN test ! -e /src/bad && cp -r /src /out\n"
    text += "FROM base\nWORKDIR /w\nCOPY --from=one /out /out\nRUN echo done\n"
    context = folder(tmp_path / "context", {"Dockerfile": text, "src/a": "a"})
    lapstrake.built(context)
    folder(context, {"src/bad": ""})
    lapstrake.refused(context)
    assert "not known, since the build ended before" in lapstrake.run("explain", "COPY --from").out
    (context / "src" / "bad").unlink()
    folder(context, {"src/more": ""})
    found = reasons(lapstrake.built(context))
    assert found["COPY src /src"] == "src/bad removed and 1 more"
    assert found["COPY --from=one /out /out"] == "out/more of stage one added"
    assert found["RUN echo done"] == "because [stage-1 3/4] COPY --from=one /out /out changed"


def test_a_step_that_ran_for_another_target(lapstrake: Lapstrake, context: Path) -> None:
    lapstrake.built(context, "--target", "one")
    assert COPY in lapstrake.built(context).steps("CACHED")
    folder(context, {"src/b": "new"})
    assert reasons(lapstrake.built(context))[COPY] == "src/b changed (content)"
