from __future__ import annotations

import io
import os
import subprocess
import sys

import click
import pytest

from builder.cli import main
from builder.errors import Canceled
from cache.errors import Fault


@pytest.fixture
def raising(monkeypatch):
    """A command `images` that raises what the test wants."""

    def set_up(error):
        @click.command()
        def command():
            raise error

        monkeypatch.setattr(main.Commands, "get_command", lambda *_: command)

    return set_up


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (Fault("it broke", "mend it"), 1, "ERROR: it broke\nhint: mend it\n"),
        (Fault("two\nlines"), 1, "ERROR: two\nlines\n"),
        (Fault("\x1b[2Jforged"), 1, "ERROR: forged\n"),
        (Canceled("stopped"), 130, "ERROR: stopped\n"),
        (KeyboardInterrupt(), 130, "ERROR: canceled\n"),
        (click.Abort(), 130, "ERROR: canceled\n"),
        (
            ZeroDivisionError("bug"),
            100,
            (
                "ERROR: internal error: ZeroDivisionError: bug\n"
                "hint: please report this, with what LAPSTRAKE_DEBUG=1 prints\n"
            ),
        ),
    ],
)
def test_errors_become_words_and_a_status(raising, capsys, monkeypatch, error, status, said):
    monkeypatch.delenv("LAPSTRAKE_DEBUG", raising=False)
    raising(error)
    assert main.run(["images"]) == status
    assert capsys.readouterr().err == said


def test_a_traceback_only_if_asked_for(raising, capsys, monkeypatch):
    monkeypatch.setenv("LAPSTRAKE_DEBUG", "1")
    raising(ZeroDivisionError("bug"))
    assert main.run(["images"]) == 100
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "status", "words"),
    [
        (["imagse"], 2, "unknown command 'imagse' (did you mean image?)"),
        (["--nope"], 2, "No such option"),
        (["images", "--nope"], 2, "No such option"),
        (["rmi"], 2, "Missing argument"),
    ],
)
def test_usage_errors(capsys, args, status, words):
    assert main.run(args) == status
    assert words in capsys.readouterr().err


def test_help_and_version_import_no_command(capsys):
    code = (
        "import sys\nfrom builder.cli.main import run\nrun(['--help'])\nrun(['--version'])\n"
        "print([m for m in sys.modules if m.startswith(('builder.cli.', 'rich', 'lark', 'sqlite3', 'httpx'))])"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "Build an image from a Dockerfile." in out
    assert "lapstrake 0." in out
    assert out.splitlines()[-1] == "['builder.cli.commands', 'builder.cli.main']"


def test_images_imports_nothing_heavy(tmp_path):
    code = (
        "import sys\nfrom builder.cli.main import run\nrun(['--root', sys.argv[1], 'images'])\n"
        "heavy = ('rich', 'lark', 'zstandard', 'deflate', 'asyncio', 'tarfile', 'subprocess')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "r")]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("entry", ["main import main; main()", "start import start; start()"])
def test_a_reader_that_goes_away(tmp_path, entry):
    read, write = os.pipe()
    os.close(read)
    command = [
        sys.executable,
        "-c",
        f"from builder.cli.{entry}",
        "--root",
        str(tmp_path / "r"),
        "images",
    ]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("moment", ["main.run = interrupted", "main.run = ended; atexit.register(again)"])
def test_a_second_ctrl_c_does_not_change_the_status(moment: str) -> None:
    program = f"""
import atexit, os, signal
from builder.cli import main
def again(*_): os.kill(os.getpid(), signal.SIGINT)
def interrupted(args): raise KeyboardInterrupt
def ended(args): return 130
{moment}
main.main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.parametrize("what", ["import", "main"])
def test_a_ctrl_c_before_main_or_past_it(what: str) -> None:
    program = f"""
import sys, types
class Early(types.ModuleType):
    def __getattr__(self, name):
        if {what == "import"}: raise KeyboardInterrupt
        def main(): raise KeyboardInterrupt
        return main
sys.modules["builder.cli.main"] = Early("builder.cli.main")
from builder.cli.start import start
start()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (130, "")


def test_a_full_standard_output_is_named(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "builder.cli.start", "--root", str(tmp_path), "images"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=env, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "ERROR: cannot write to the standard output: No space left on device\n"


def test_what_was_printed_is_all_there_at_the_abrupt_end(tmp_path):
    command = [sys.executable, "-c", "from builder.cli.start import start; start()", "build", "--help"]
    with (tmp_path / "out").open("w+") as out:
        assert subprocess.run(command, stdout=out, check=False).returncode == 0
        out.seek(0)
        assert out.read().rstrip().endswith("Show this message and exit.")
    wrong = subprocess.run([*command[:-1], "--nonsense"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and "--nonsense" in wrong.stderr


def _commands(group, ctx, words=()):
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        yield (*words, name), command
        if isinstance(command, click.Group):
            yield from _commands(command, ctx, (*words, name))


def test_every_help_has_an_example():
    ctx = click.Context(main.cli)
    for words, command in _commands(main.cli, ctx):
        text = command.get_help(click.Context(command, info_name=words[-1]))
        if len(words) == 1 or not isinstance(command, click.Group):
            assert "Example" in text and "  lapstrake " in text, words


def test_every_command_is_in_a_group_of_the_help():
    out = main.cli.get_help(click.Context(main.cli, info_name="lapstrake"))
    headings = [line for line in out.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings == ["Options:", "Builds:", "Images:", "Registries:", "The store:"]


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_closed_standard_stream(tmp_path, closed):
    """What the store opens would get its number, and what is printed would be written into that."""
    code = f"import os, sys; os.close({closed}); os.execv(sys.executable, [sys.executable, '-m', *sys.argv[1:]])"
    root = str(tmp_path / "store")
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    build = [sys.executable, "-c", code, "builder.cli.start", "--root", root, "build", "-q", "-t", "app", str(tmp_path)]
    done = subprocess.run(build, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    listed = subprocess.run([*build[:6], "images", "-q"], capture_output=True, text=True, timeout=60, check=False)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert len(listed.stdout.split()) == (0 if closed == 1 else 1)


@pytest.mark.parametrize("args", [["prune"], ["image", "prune"]])
@pytest.mark.parametrize(("answer", "hint"), [("", "hint: --force does not ask\n"), ("n\n", "")])
def test_a_question_that_gets_no_yes(tmp_path, monkeypatch, capsys, args, answer, hint):
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    assert main.run(["--root", str(tmp_path), *args]) == 130
    out = capsys.readouterr()
    assert out.err == f"ERROR: canceled\n{hint}"
    assert "Are you sure you want to continue? [y/N]: " in out.out


@pytest.mark.parametrize("args", [["doctor"], ["images"], ["du"], ["build", "."]])
def test_a_store_that_is_a_file(tmp_path, args):
    (tmp_path / "file").touch()
    # A process of its own: some of these enter a user namespace, which one with threads cannot.
    command = [sys.executable, "-m", "builder.cli.start", "--root", str(tmp_path / "file"), *args]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"ERROR: the store {tmp_path / 'file'} cannot be used: " in done.stderr


def test_a_context_that_is_a_file(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main.run(["--root", str(tmp_path / "store"), "context", "ls", str(tmp_path / "file")]) == 1
    assert "ERROR: unable to prepare context: context must be a directory: " in capsys.readouterr().err


def test_an_archive_from_the_standard_input_is_called_so(tmp_path):
    command = [sys.executable, "-m", "builder.cli.start", "--root", str(tmp_path), "load"]
    done = subprocess.run(command, input="no tar", capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, "ERROR: the standard input: bad tar archive: member 0 is cut short\n")
