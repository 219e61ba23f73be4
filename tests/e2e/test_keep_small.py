"""The store is kept small: du(1) agrees with `du`, and prune beside builds takes nothing that they use."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.lapstrake import PROGRAM, Done, Lapstrake, folder

pytestmark = pytest.mark.e2e

_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}
FULL = """\
FROM base AS made
RUN head -c 9000000 /dev/urandom > /big && ln /big /same && ln -s /big /link
RUN head -c 1 /dev/zero > /sparse && truncate -s 50M /sparse
FROM base
RUN --mount=type=cache,target=/root/.cache head -c 2000000 /dev/urandom > /root/.cache/x
COPY --from=made /same /
"""


def in_bytes(text: str) -> float:
    number = text.rstrip("kMGB*")
    return float(number) * _UNITS[text[len(number) :].rstrip("*")]


def total(lapstrake: Lapstrake) -> float:
    done = lapstrake.run("du")
    assert done.status == 0, done.err
    return in_bytes(done.out.split()[-1])


def on_disk(lapstrake: Lapstrake) -> int:
    return int(subprocess.check_output(["du", "-s", "--block-size=1", str(lapstrake.store)]).split()[0])


def test_every_byte_is_accounted_for(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": FULL})
    lapstrake.built(context)
    lapstrake.built(context, "-t", "app")
    (lapstrake.store / "strange").write_bytes(bytes(3_000_000))
    assert total(lapstrake) == pytest.approx(on_disk(lapstrake), rel=0.01)
    records = [json.loads(line) for line in lapstrake.run("du", "--format=json").out.splitlines()]
    assert sum(in_bytes(record["Size"]) for record in records) == pytest.approx(on_disk(lapstrake), rel=0.01)
    [strange] = [record for record in records if record["ID"] == "strange"]
    assert (strange["Description"], strange["Reclaimable"], strange["Size"]) == ("other: strange", False, "3.002MB")
    [cache] = [record for record in records if record["Type"] == "exec.cachemount"]
    assert (cache["Description"], cache["Mutable"]) == ("cached mount /root/.cache", True)
    shared = {word for record in records if record["Shared"] for word in record["KeptFor"]}
    assert "image app:latest" in shared
    assert lapstrake.run("prune", "-a", "-f").status == 0
    assert total(lapstrake) == pytest.approx(on_disk(lapstrake), rel=0.01)
    assert lapstrake.built(context, "-t", "app").status == 0


def test_limits(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base\nARG N\nRUN head -c 3000000 /dev/urandom > /$N\n"
    context = folder(tmp_path / "context", {"Dockerfile": text})
    for n in ("a", "b", "c"):
        lapstrake.built(context, f"--build-arg=N={n}", "-o", f"type=local,dest={tmp_path}/{n}")
    for name, ago in (("index.db", "1000"), ("snapshots.db", "1000 * 1000000000")):
        database = sqlite3.connect(lapstrake.store / name)
        database.execute(f"UPDATE {'results' if name == 'index.db' else 'folders'} SET used = used - {ago}")
        database.commit()
        database.close()
    lapstrake.built(context, "--build-arg=N=a", "-o", f"type=local,dest={tmp_path}/a")  # used again
    done = lapstrake.run("prune", "-f", "--max-used-space=14mb")
    assert done.out.startswith("ID\t\t\t\t\t\tRECLAIMABLE\tSIZE\t\tLAST ACCESSED\n")
    assert on_disk(lapstrake) < 14 << 20
    assert lapstrake.built(context, "--build-arg=N=a").cached == 1
    assert lapstrake.built(context, "--build-arg=N=b").cached == 0


def test_prune_beside_builds(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """Whatever prune takes, builds go on, and what they make is right."""
    text = (
        "FROM base AS one\nARG N\nRUN --mount=type=cache,target=/c echo $N >> /c/log; cat /c/log | tail -n 1 > /n\n"
        "FROM base\nARG N\nCOPY Dockerfile /d\nRUN echo $N > /m\nCOPY --from=one /n /n\nRUN cat /n /m > /both\n"
    )
    context = folder(tmp_path / "context", {"Dockerfile": text})
    (tmp_path / "cap.toml").write_text("[gc]\nmax-used-space = 1\n")
    caps = {"a": {}, "b": {"LAPSTRAKE_CONFIG": str(tmp_path / "cap.toml")}}  # b evicts all that nobody uses, each time
    ended = threading.Event()

    def builds(name: str) -> list[Done]:
        """Most steps of a build are found, if prune has not just taken them."""
        made = []
        for number in range(4):
            n = f"{name}{number % 3}"
            out = tmp_path / f"{name}{number}"
            words = (f"--build-arg=N={n}", "-t", f"kept:{n}", "-o", "type=image", "-o", str(out))
            made.append(lapstrake.build(context, *words, env=caps[name]))
            if made[-1].status == 0:
                assert (out / "m").read_text() == (out / "both").read_text().splitlines(keepends=True)[1] == f"{n}\n"
        return made

    def prunes() -> list[Done]:
        commands = (
            ["prune", "-a", "-f"], ["rmi", "-f", "kept:a0"], ["du"], ["doctor", "--quick"], ["prune", "-f"],
            ["rmi", "-f", "kept:b1"], ["cache", "mounts", "ls"],
        )  # fmt: skip
        made = []
        while not ended.is_set():
            made += [lapstrake.run(*command) for command in commands]
        return made

    with ThreadPoolExecutor(3) as pool:
        pruned = pool.submit(prunes)
        built = [pool.submit(builds, name) for name in ("a", "b")]
        try:
            done = [one for future in built for one in future.result()]
        finally:
            ended.set()
        done += pruned.result()
    assert [one.out + one.err for one in done if one.status] == []
    assert len(pruned.result()) >= 7
    names = lapstrake.run("images", "--format", "{{.Repository}}:{{.Tag}}").out.split()
    assert len(names) >= 3
    saved = lapstrake.run("save", "-o", str(tmp_path / "all.tar"), *names)
    assert saved.status == 0, saved.err
    assert Lapstrake(tmp_path / "again").run("load", "-i", str(tmp_path / "all.tar")).status == 0


def test_builds_keep_to_the_cap(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\nARG N\nRUN head -c 3000000 /dev/urandom > /$N\n"})
    config = tmp_path / "config.toml"
    env = {"LAPSTRAKE_CONFIG": str(config)}
    config.write_text('[gc]\nmax-used-space = "16mb"\n')
    for n in range(5):
        lapstrake.built(context, f"--build-arg=N={n}", env=env)
        assert on_disk(lapstrake) < 17 << 20
    assert lapstrake.built(context, "--build-arg=N=4", env=env).cached == 1
    assert lapstrake.built(context, "--build-arg=N=0", env=env).cached == 0
    config.write_text("[gc]\nmax-used-space = 0.5\n")
    done = lapstrake.build(context, env=env)
    assert (done.status, f"{config}: line 2" in done.err) == (1, True)


def test_a_cache_goes_to_another_store_and_back(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = (
        "FROM base\nARG N\n"
        "RUN --mount=type=cache,target=/root/.cache --mount=type=cache,id=own,target=/o,uid=1000,mode=0700"
        " cat /root/.cache/log > /log 2>&1; echo $N >> /root/.cache/log; chown 1000 /root/.cache/log\n"
    )
    context = folder(tmp_path / "context", {"Dockerfile": text})
    lapstrake.built(context, "--build-arg=N=1")
    listed = lapstrake.run("cache", "mounts", "ls", "--format", "{{.ID}} {{.Owner}} {{.Mode}}").out.splitlines()
    assert listed == ["/root/.cache 0:0 0755", "own 1000:0 0700"]
    archive = tmp_path / "cache.tar.zst"
    assert lapstrake.run("cache", "mounts", "export", "/root/.cache", "-o", str(archive)).status == 0
    over = lapstrake.run("cache", "mounts", "export", "/root/.cache", "--max-size=1", "-o", str(tmp_path / "none"))
    assert (over.status, (tmp_path / "none").exists()) == (1, False)
    elsewhere = Lapstrake(tmp_path / "elsewhere", lapstrake.base)
    assert elsewhere.run("cache", "mounts", "import", "/root/.cache", str(archive)).status == 0
    elsewhere.built(context, "--build-arg=N=2", "-o", str(tmp_path / "out"))
    assert (tmp_path / "out" / "log").read_text() == "1\n"
    assert elsewhere.run("cache", "mounts", "import", "/root/.cache", "/dev/null").status == 1
    gone = lapstrake.run("cache", "mounts", "rm", "/root/.cache", "own")
    assert (gone.status, gone.out) == (0, "/root/.cache\nown\n")
    assert lapstrake.run("cache", "mounts", "rm", "own").status == 1
    assert lapstrake.run("cache", "mounts", "ls").out.splitlines() == [
        "ID        NAME      SIZE      CREATED   LAST USED"
    ]
    assert lapstrake.run("cache", "mounts", "rm").status == 2


def test_prune_beside_a_running_command(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """Its image may lose its name and its results; its tree stays until it ends."""
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\nRUN echo below > /below\n"})
    lapstrake.built(context, "-t", "app")
    command = "echo ready; read line; cat /below; echo $line > /mine; cat /mine"
    running = subprocess.Popen(
        [*PROGRAM, "--root", str(lapstrake.store), "run", "-i", "app", "sh", "-c", command],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    assert lapstrake.run("rmi", "-f", "app").status == 0
    pruned = lapstrake.run("prune", "-a", "-f")
    assert pruned.status == 0, pruned.err
    assert lapstrake.run("doctor").status == 0
    in_use = lapstrake.run("du", "--filter=inuse", "--format={{.Type}} {{.Reclaimable}}").out.splitlines()
    assert {"regular false", "internal false"} == set(in_use)
    out, err = running.communicate("mine\n", timeout=60)
    assert (running.returncode, out) == (0, "below\nmine\n"), err
    assert lapstrake.run("prune", "-f").status == 0
    assert lapstrake.run("du", "--filter=type=regular", "--format={{.ID}}").out == ""


@pytest.mark.root
def test_prune_on_a_full_disk(small_disk: Path, base: Path, tmp_path: Path) -> None:
    store = Lapstrake(small_disk / "store", base)
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\nARG N\nRUN head -c 3000000 /dev/urandom > /$N\n"})
    store.built(context, "--build-arg=N=a", "-t", "app")
    store.built(context, "--build-arg=N=b")
    for size in (1 << 20, 4096, 1):
        with open(small_disk / f"fill{size}", "wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(size))
    full = store.run("images")
    assert (full.status, "prune makes room" in full.err) == (1, True)
    pruned = store.run("prune", "-f")
    assert pruned.status == 0, pruned.err
    assert in_bytes(pruned.out.split()[-1]) > 9_000_000
    assert store.run("doctor", "--quick").status == 0
    assert store.run("images", "--format={{.Repository}}").out == "app\n"
    store.built(context, "--build-arg=N=a", "-t", "app")
