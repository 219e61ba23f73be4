"""Builds that cannot work: what they say, and that nothing is left behind."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.lapstrake import PROGRAM, Lapstrake, folder
from tests.e2e.running import processes

pytestmark = pytest.mark.e2e


def failed(lapstrake: Lapstrake, tmp_path: Path, text: str, *args: str, **files: str) -> str:
    context = folder(tmp_path / "context", {"Dockerfile": text, **files})
    return lapstrake.refused(context, *args).err


def test_a_step_that_fails(lapstrake: Lapstrake, tmp_path: Path) -> None:
    err = failed(lapstrake, tmp_path, "FROM base\n\nRUN echo one; echo two >&2; exit 42\nRUN echo never\n")
    assert 'process "/bin/sh -c echo one; echo two >&2; exit 42" did not complete successfully: exit code: 42' in err
    assert "   3 | >>> RUN echo one; echo two >&2; exit 42" in err
    tail = err[err.index("------\n > ") :]
    assert "one\n" in tail
    assert "two\n" in tail
    assert err.index("------\n > ") < err.index("Dockerfile:3") < err.index("ERROR: failed to build: failed to solve:")
    assert "RUN echo never\n#" not in err


def test_a_step_that_is_killed(lapstrake: Lapstrake, tmp_path: Path) -> None:
    assert "exit code: 137" in failed(lapstrake, tmp_path, "FROM base\nRUN kill -9 $$\n")


def test_no_such_command(lapstrake: Lapstrake, tmp_path: Path) -> None:
    assert "exit code: 127" in failed(lapstrake, tmp_path, "FROM base\nRUN no-such-command\n")
    err = failed(lapstrake, tmp_path, 'FROM base\nRUN ["no-such-command"]\n')
    assert "no-such-command" in err
    assert "not found" in err
    err = failed(lapstrake, tmp_path, "FROM scratch\nRUN echo\n")
    assert "/bin/sh" in err


def test_no_such_user(lapstrake: Lapstrake, tmp_path: Path) -> None:
    assert "nobody-here" in failed(lapstrake, tmp_path, "FROM base\nUSER nobody-here\nRUN id\n")


def test_missing_things(lapstrake: Lapstrake, tmp_path: Path) -> None:
    empty = folder(tmp_path / "empty", {})
    assert "Dockerfile" in lapstrake.refused(empty).err
    assert "nowhere" in lapstrake.refused(tmp_path / "nowhere").err
    (tmp_path / "plain").write_text("FROM base")
    assert "context must be a directory" in lapstrake.refused(tmp_path / "plain").err
    assert '"/gone": not found' in failed(lapstrake, tmp_path, "FROM base\nCOPY gone /\n")
    assert "no-such-image" in failed(lapstrake, tmp_path, "FROM no-such-image:1\n")
    assert "no-such-file" in failed(lapstrake, tmp_path, "FROM base\n", "-f", "no-such-file")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("FROM base\nFORM x\n", ("unknown instruction: FORM (did you mean FROM?)", "Dockerfile:2", ">>> FORM x")),
        ("FROM base\nCOPY --chwon=1 a b\n", ("unknown flag: --chwon (did you mean chown?)", "Dockerfile:2")),
        ("FROM base\nCOPY a\n", ("COPY requires at least two arguments, but only one was provided",)),
        ("FROM base\nENV a b=c d\nENV =x\n", ("ENV names can not be blank",)),
        ("FROM base AS a\nCOPY --from=later /x /\nFROM base AS later\nFROM a\n", ("later", "to be defined before")),
        ("FROM base AS a\nCOPY --from=a /x /\n", ("circular dependency detected on stage: a",)),
        ("FROM base\nRUN ${\n", ()),
        ("FROM base\nENV a=${b:?must}\n", ("b: must",)),
        ("RUN x\n", ("no build stage in current context",)),
        ("", ("the Dockerfile cannot be empty",)),
        ("# only words\n", ("file with no instructions",)),
        ("ARG a\n", ("dockerfile contains no stages to build",)),
        ("FROM base\nRUN <<E\nx\n", ("unterminated heredoc",)),
    ],
)
def test_text_that_is_wrong(lapstrake: Lapstrake, tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    err = failed(lapstrake, tmp_path, text)
    for word in words:
        assert word in err


def test_binary_dockerfile(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": bytes(range(256)) * 20})
    err = lapstrake.refused(context).err
    assert "\nDockerfile:1\n" in err
    assert err.endswith("solve: instruction holds a NUL byte\nhint: no path, variable or argument can hold one\n")
    assert not ({*map(chr, range(32)), "\x7f"} - {"\t", "\n"}) & set(err)


def test_undefined_target(lapstrake: Lapstrake, tmp_path: Path) -> None:
    err = failed(lapstrake, tmp_path, "FROM base AS build\n", "--target", "biuld")
    assert 'target stage "biuld" could not be found (did you mean build?)' in err


@pytest.mark.parametrize(
    "args", [("--netwrok", "none"), ("--network", "bridge"), ("-o", "dest=x,type=nothing"), ("-t", "UPPER")]
)
def test_wrong_options(lapstrake: Lapstrake, tmp_path: Path, args: tuple[str, ...]) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\n"})
    done = lapstrake.build(context, *args)
    assert done.status in (1, 2)
    assert args[0] in done.err or args[1].rpartition("=")[2] in done.err
    assert "Traceback" not in done.err


def test_background_processes_end_with_the_step(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base\nRUN (sleep 86399 &) ; (setsid nohup sleep 86399 >/dev/null 2>&1 &) ; echo > /done\n"
    lapstrake.built(folder(tmp_path / "context", {"Dockerfile": text}))
    assert "sleep\x0086399" not in processes()


def test_a_flood_of_output(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base\nRUN yes 0123456789012345678901234567890123456789 | head -c 30000000; echo the end >&2; exit 5\n"
    err = failed(lapstrake, tmp_path, text)
    assert "exit code: 5" in err
    assert len(err) < 10_000_000


def test_one_endless_line(lapstrake: Lapstrake, tmp_path: Path) -> None:
    err = failed(lapstrake, tmp_path, "FROM base\nRUN head -c 20000000 /dev/zero | tr '\\0' x; exit 5\n")
    assert "exit code: 5" in err
    assert len(err) < 10_000_000


def test_binary_and_control_characters(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base\nRUN head -c 100000 /dev/urandom; printf '\\033[2Jx\\033]0;title\\007\\r#1 DONE 9s\\n'; exit 6\n"
    err = failed(lapstrake, tmp_path, text)
    assert "exit code: 6" in err
    assert "\x1b" not in err
    assert "\x07" not in err


def test_standard_input_is_empty(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """Also where the build has one: a step takes nothing of it."""
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\nRUN cat > /read\n"})
    (tmp_path / "typed").write_text("not for a step\n")
    out = tmp_path / "out"
    words = (*PROGRAM, "--root", lapstrake.store, "build", f"--build-context=base=docker-archive://{lapstrake.base}")
    with (tmp_path / "typed").open() as stdin:
        subprocess.run([*words, "-o", out, context], stdin=stdin, check=True, capture_output=True)
        assert stdin.read() == "not for a step\n"
    assert (out / "read").read_text() == ""


@pytest.mark.root
def test_a_full_disk(small_disk: Path, base: Path, tmp_path: Path) -> None:
    store = Lapstrake(small_disk / "store", base)
    context = folder(
        tmp_path / "context", {"Dockerfile": "FROM base\nRUN dd if=/dev/urandom of=/big bs=1M count=100\n"}
    )
    assert "No space left on device" in store.refused(context).err
    folder(context, {"Dockerfile": "FROM base\nRUN echo small > /small\n"})
    store.built(context)


@pytest.mark.root
def test_a_disk_that_fills_while_packing(small_disk: Path, base: Path, tmp_path: Path) -> None:
    store = Lapstrake(small_disk / "store", base)
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\nCOPY big /\n"})
    (context / "big").write_bytes(os.urandom(60 << 20))
    assert "No space left on device" in store.refused(context).err
    folder(context, {"Dockerfile": "FROM base\nRUN echo small > /small\n"})
    store.built(context)
    left = sum(f.stat().st_size for f in (small_disk / "store").rglob("*") if f.is_file() and not f.is_symlink())
    assert left < 20 << 20


def test_the_first_failure_stops_the_rest(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base AS slow\nRUN sleep 86398\nFROM base AS bad\nRUN sleep 0.3; exit 7\nFROM base\n"
    text += "COPY --from=slow /bin/sh /a\nCOPY --from=bad /bin/sh /b\n"
    err = failed(lapstrake, tmp_path, text)
    assert "exit code: 7" in err
    assert "CANCELED" in err
    assert "sleep\x0086398" not in processes()


@pytest.mark.parametrize("step", ["ADD http://127.0.0.1:1/x /", "ADD http://127.0.0.1:1/x.git /"])
def test_a_host_that_does_not_answer(lapstrake: Lapstrake, tmp_path: Path, step: str) -> None:
    err = failed(lapstrake, tmp_path, f"FROM base\n{step}\n")
    assert "Dockerfile:2" in err
    (line,) = [line for line in err.splitlines() if line.startswith("ERROR: ")]
    assert step.split()[1] in line


def test_an_old_image_id_does_not_outlive_a_failure(lapstrake: Lapstrake, tmp_path: Path) -> None:
    file = tmp_path / "id"
    file.write_text("sha256:old")
    failed(lapstrake, tmp_path, "FROM base\nRUN exit 1\n", "--iidfile", str(file))
    assert not file.exists()
    assert "is a directory" in failed(lapstrake, tmp_path, "FROM base\n", "--iidfile", str(tmp_path))
    assert "does not exist" in failed(lapstrake, tmp_path, "FROM base\n", "--metadata-file", str(tmp_path / "no" / "f"))


def test_a_copy_of_what_is_ignored_is_warned_of(lapstrake: Lapstrake, tmp_path: Path) -> None:
    files = {".dockerignore": "hidden\n", "hidden": "x", "shown": "x"}
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\nCOPY hidden* shown /\nCOPY hidden /\n", **files})
    err = lapstrake.refused(context).err
    assert "CopyIgnoredFile: " in err
    assert '"/hidden": not found' in err
