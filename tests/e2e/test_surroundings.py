"""One digest, whoever builds where, when, and beside what: nothing of the surroundings is in an image."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

import builder
from tests.e2e.lapstrake import PROGRAM, folder

pytestmark = pytest.mark.e2e

# The first step writes down what it sees of the machine: that must be the same everywhere, too.
TEXT = """\
FROM base AS one
RUN (hostname; env | sort; date +%Z; umask; pwd; id; cat /etc/hosts) > /seen && touch -d @1 /seen
FROM base AS two
COPY --chown=7:8 sub /two/
ADD data.tar /data/
FROM base AS three
RUN mkdir /d && for n in 9 1 5 3; do echo $n > /d/$n; ln -s $n /d/l$n; done && touch -hd @2 /d/* && touch -d @3 /d
FROM base
WORKDIR /app
COPY . .
COPY --from=one /seen /
COPY --from=two / /two
COPY --from=three --link /d /d
RUN rm -rf /app/sub && chmod 750 /app && touch -d @4 /app
COPY <<x /inline
text
x
LABEL b=1 a=2
ENV LIST=a:b
"""
USER = 12321


def checkout(path: Path, umask: int = 0o022, date: int = 1_000_000_000) -> Path:
    """The context as a version control system would write it under a umask."""
    made = folder(path, {"Dockerfile": TEXT, "sub/x": "x\n", "sub/y": "y\n" * 5000, "é": "ü", "run.sh": "#!/bin/sh\n"})
    shutil.copyfile(archive(path.parent), made / "data.tar")
    os.symlink("sub/x", made / "link")
    for found in (made, *made.rglob("*")):
        if not found.is_symlink():
            found.chmod((0o777 if found.is_dir() or found.suffix == ".sh" else 0o666) & ~umask)
        os.utime(found, (date, date), follow_symlinks=False)
    return made


def archive(place: Path) -> Path:
    made = place / "data-of-all.tar"
    with tarfile.open(made, "w") as tar:
        for name in ("d/z", "d/a"):
            info = tarfile.TarInfo(name)
            info.mtime, info.uname, info.uid = 1_234_567_890, "somebody", 1000
            tar.addfile(info)
    return made


def of_one_id(context: Path) -> Path:
    """The context without what differs where there is one id, and groups cannot be left (setgroups(2))."""
    text = (context / "Dockerfile").read_text()
    (context / "Dockerfile").write_text(text.replace("--chown=7:8 ", "").replace(" id;", ""))
    return context


class Place:
    """A folder of its own for store, context and result."""

    def __init__(self, path: Path, base: Path) -> None:
        self.path, self.base = path, base
        path.mkdir()

    def digest(
        self,
        context: Path,
        *args: str,
        before: Sequence[str] = (),
        program: Sequence[str] = PROGRAM,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """Of the manifest: layers as they are compressed, and config. before: words that start the program."""
        facts = self.path / "facts"
        words = ("build", f"--build-context=base=docker-archive://{self.base}", f"--metadata-file={facts}")
        done = subprocess.run(
            [*before, *program, "--root", str(self.path / "store"), *words, *args, str(context)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**os.environ, **(env or {})},
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return str(json.loads(facts.read_text())["containerimage.digest"])


@pytest.fixture(scope="module")
def wanted(base: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """As it is built here, now, by us."""
    path = tmp_path_factory.mktemp("reference")
    return Place(path / "place", base).digest(checkout(path / "context"))


@pytest.mark.parametrize(
    ("before", "env"),
    [
        ((), {"LC_ALL": "C", "TZ": "UTC", "PYTHONHASHSEED": "1"}),
        ((), {"LC_ALL": "C.UTF-8", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "2"}),
        ((), {"LC_ALL": "tr_TR.UTF-8", "TZ": "XYZ-12:45", "LANG": "tr_TR", "HOME": "/nowhere"}),
        (("taskset", "-c", "0"), {"PYTHONHASHSEED": "0"}),
        (("sh", "-c", 'umask 077; cd /; exec "$0" "$@"'), {"USER": "somebody", "LOGNAME": "else"}),
        (("sh", "-c", 'umask 000; ulimit -n 512; exec "$0" "$@"'), {"http_proxy": "", "TERM": "dumb", "COLUMNS": "40"}),
        (("unshare", "--uts", "sh", "-c", 'hostname elsewhere; exec "$0" "$@"'), {}),
        (("unshare", "--user", "--map-root-user"), {}),
    ],
    ids=["c", "utf8", "turkish", "one-cpu", "umask-077", "umask-000", "host-name", "user-namespace"],
)
def test_process(wanted: str, base: Path, tmp_path: Path, before: tuple[str, ...], env: dict[str, str]) -> None:
    if "--uts" in before and os.geteuid() != 0:
        pytest.skip("only root may change the name of a host")
    if "--user" in before and os.geteuid() != 0:
        pytest.skip("an ordinary user's build is in a user namespace anyway")
    place = Place(tmp_path / "place", base)
    context = checkout(tmp_path / "context")
    if "--user" in before:
        wanted = Place(tmp_path / "other", base).digest(of_one_id(context))
    assert place.digest(context, before=before, env=env) == wanted


@pytest.mark.parametrize("umask", [0o002, 0o022])
def test_checkout(wanted: str, base: Path, tmp_path: Path, umask: int) -> None:
    """Another folder, longer, with blanks; another date; another umask when it was written."""
    (tmp_path / "some other folder").mkdir()
    context = checkout(tmp_path / "some other folder" / "of é", umask, 1_600_000_000 + umask)
    assert Place(tmp_path / "place", base).digest(context) == wanted


def test_warm_caches(wanted: str, base: Path, tmp_path: Path) -> None:
    """All of it, none of it, some of it, and with another build before."""
    place, context = Place(tmp_path / "place", base), checkout(tmp_path / "context")
    assert place.digest(context) == wanted
    assert place.digest(context) == wanted
    assert place.digest(context, "--no-cache") == wanted
    assert place.digest(context, "--no-cache-filter=one,three") == wanted
    (context / "sub" / "x").write_text("other\n")
    assert place.digest(context) != wanted
    (context / "sub" / "x").write_text("x\n")
    assert place.digest(context) == wanted
    place.digest(context, "--target=two")
    assert place.digest(context, "-o", f"type=oci,dest={tmp_path}/out.tar", "-o", "type=image") == wanted


@pytest.fixture
def open_place(base: Path) -> Iterator[Path]:
    """A folder that another user may enter, with the base in it."""
    path = Path(tempfile.mkdtemp(prefix="lapstrake-", dir="/var/tmp"))
    path.chmod(0o755)
    shutil.copyfile(base, path / "base.tar")
    (path / "base.tar").chmod(0o644)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def test_another_user(open_place: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    before = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups")
    top = str(Path(builder.__file__).resolve().parents[1])
    paths = [path for path in sys.path if path.endswith("site-packages")]
    env = {"HOME": str(open_place), "PYTHONPATH": os.pathsep.join([top, *paths]), "USER": "somebody"}
    python = next((one for one in (sys.executable, "/usr/bin/python3") if _runs([*before, one], env)), None)
    if python is None:
        pytest.skip("another user can run no Python that has what lapstrake needs")
    context = of_one_id(checkout(open_place / "context"))
    place = Place(open_place / "place", open_place / "base.tar")
    os.chown(place.path, USER, USER)
    expected = Place(open_place / "ours", open_place / "base.tar").digest(context)
    assert place.digest(context, before=before, program=(python, *PROGRAM[1:]), env=env) == expected


def _runs(words: list[str], env: dict[str, str]) -> bool:
    trial = "import os, sys, builder.cli.session; os.stat(sys.executable); open(os.__file__)"
    done = subprocess.run([*words, "-c", trial], env={**os.environ, **env}, capture_output=True, check=False)
    return done.returncode == 0
