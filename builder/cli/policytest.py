"""`lapstrake policy test`: the tests of a policy, run without a build and without the network."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from builder.errors import PolicyFault
from builder.progress.clean import clean

if TYPE_CHECKING:
    from builder.cli.policyfiles import ContextFiles
    from builder.policy.ruletests import Verdict

_LIMIT = (4 << 20) + 1  # bytes, one more than a policy may have
_SUFFIX = "_test.rego"
_HELP = """Run the tests in PATH, a file whose name ends in _test.rego or a folder that has such files.

A test is a rule called test_…; it passes if it is true. The policy is FILE.rego of the working folder. The exit status
is 1 if a test fails.

\b
Examples:
  lapstrake policy test .
  lapstrake policy test --run images --filename policy tests
"""


@click.command("test", help=_HELP)
@click.argument("path")
@click.option("--run", "wanted", default="", metavar="TEXT", help="Only tests with TEXT in their names.")
@click.option(
    "--filename", default="Dockerfile", metavar="FILE", show_default=True, help="Name of the policy without .rego."
)
def command(path: str, wanted: str, filename: str) -> None:
    from builder.cli.policyfiles import ContextFiles
    from builder.policy.engine import Engine
    from builder.policy.loaded import loaded
    from builder.policy.module import Module
    from builder.policy.ruletests import RuleTester, rule_tests

    files = ContextFiles(os.getcwd())
    name = f"{filename}.rego"
    policy = (name, _read(files, name, "policy module"))
    tests = [Module.read(name, _read(files, name, "policy test module")) for name in _test_files(path)]
    found = rule_tests(tests)
    found = tuple(test for test in found if wanted in test.name)
    if not found:
        raise PolicyFault("no tests found", "a test is a rule called test_…")
    engine = Engine()
    try:
        modules = loaded(
            [policy, *((one.name, one.text.encode()) for one in tests)],
            files,
            lenient=True,
        )
        tester = RuleTester(modules, [Module.read(*policy)], engine, files)
        failed = 0
        for test in found:
            verdict = tester.run(test)
            failed += not verdict.passed
            click.echo(_told(verdict), nl=False)
    finally:
        engine.close()
    if failed:
        raise click.exceptions.Exit(1)


def _read(files: ContextFiles, name: str, what: str) -> bytes:
    if not name:
        raise PolicyFault("policy filename is required")
    raw = files.read(name, _LIMIT)
    if raw is None:
        raise PolicyFault(f"read {what} {name}: no such file or directory", "names are those of the working folder")
    return raw


def _test_files(path: str) -> list[str]:
    path = path.rstrip("/") or "."
    if os.path.isdir(path):
        found = sorted(entry.name for entry in os.scandir(path) if entry.name.endswith(_SUFFIX) and not entry.is_dir())
        if not found:
            raise PolicyFault("no policy tests found", f"the name of such a file ends in {_SUFFIX}")
        return [os.path.normpath(os.path.join(path, name)) for name in found]
    if not os.path.lexists(path):
        raise PolicyFault(f"stat {path}: no such file or directory")
    if not path.endswith(_SUFFIX):
        raise PolicyFault(f"test file must have {_SUFFIX} suffix: {path}")
    return [path]


def _told(verdict: Verdict) -> str:
    """A line, and for a failure what there is to know about it, as buildx prints it."""
    allow = "n/a" if verdict.allow is None else str(verdict.allow).lower()
    messages = f", deny_msg={'; '.join(map(clean, verdict.messages))}" if verdict.messages else ""
    text = f"{clean(verdict.name)}: {'PASS' if verdict.passed else 'FAIL'} (allow={allow}{messages})\n"
    if verdict.passed:
        return text
    from builder.cli.calls import as_json

    for label, value in (("input", verdict.given), ("decision", verdict.decision)):
        text += f"{label}: <nil>\n" if value is None else f"{label}:\n{as_json(value)}"
    if verdict.missing:
        text += f"missing_input: {', '.join(f'input.{field}' for field in verdict.missing)}\n"
    if verdict.resolvable:
        text += f"metadata_resolve: {', '.join(verdict.resolvable)}\n"
    return text
