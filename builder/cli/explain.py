"""`lapstrake explain`: what the steps of the last build are made of, and why they ran or did not."""

from __future__ import annotations

import os
from itertools import islice
from typing import Any

import click

from builder.cli.root import store_root
from builder.cli.steptable import step_table
from builder.progress.clean import clean
from builder.progress.renderer import human_size
from builder.template.record import to_json
from builder.trace.builds import Builds, Explained
from builder.trace.mask import shown
from builder.trace.step import Step
from builder.trace.trace import plain
from cache.errors import Fault

_FILES = 20  # changed files that are listed for people
_HELP = """Say what the steps of the last build are made of, and what that was in the build before.

STEP is a number, a stage and a number (build 2/4), or how the step begins (COPY src). Without it, all steps are listed
in short.

\b
Examples:
  lapstrake explain
  lapstrake explain 3
  lapstrake explain 'build 2/4' --format json
  lapstrake explain --file src/main.c .
"""


@click.command("explain", help=_HELP)
@click.argument("what", metavar="[STEP]", default="")
@click.option("--file", "file", metavar="PATH", help="Say which steps take a file of CONTEXT, given in place of STEP.")
@click.option("--context", "context", metavar="CONTEXT", help="Speak of the last build of this context.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", help="How it is shown.")
@click.pass_context
def command(ctx: click.Context, what: str, file: str | None, context: str | None, form: str) -> None:
    if file is not None and what and context:
        raise click.UsageError("give CONTEXT once", ctx)
    root = os.path.abspath(store_root((ctx.obj or {}).get("root"), os.environ, os.geteuid()))
    given = (what if file is not None else "") or context or ""
    builds = Builds(root, _as_built(given))
    if file is not None:
        from builder.cli.fileuse import file_use

        click.echo(file_use(builds, file, root, form), nl=False)
    elif what:
        click.echo(_one(builds, found(builds.steps(), what), form), nl=False)
    else:
        click.echo(_all(builds, form), nl=False)


def _as_built(context: str) -> str:
    """A context as traces have it: the absolute path of a folder, else the words."""
    return os.path.abspath(context) if context and os.path.isdir(context) else context


def found(steps: list[Step], what: str) -> Step:
    """The step that a person means. Raises Fault, which names those that could be meant."""
    hits = [step for step in steps if _means(what, step)]
    if len(hits) == 1:
        return hits[0]
    exact = [step for step in hits if what in (shown(step.name), shown(step.place.text))]
    if len(exact) == 1:
        return exact[0]
    names = ", ".join(f"{step.place.stage} {step.place.number}/{step.place.total}".strip() for step in hits or steps)
    if hits:
        raise Fault(f"{what!r} may be {len(hits)} steps of the last build", f"say which one: {names}")
    raise Fault(f"no step of the last build is {what!r}", f"it has {names}; `lapstrake explain` lists them")


def _means(what: str, step: Step) -> bool:
    place = step.place
    if what.isascii() and what.isdigit():
        return place.number == int(what)
    numbered = {f"{place.stage} {place.number}/{place.total}".strip(), f"{place.number}/{place.total}"}
    return what in numbered or shown(step.name).startswith(what) or shown(place.text).startswith(what)


def _all(builds: Builds, form: str) -> str:
    outcomes = [builds.outcome(step) for step in builds.steps()]
    if form == "json":
        return "".join(f"{to_json(plain(outcome))}\n" for outcome in outcomes)
    return f"{_title(builds)}\n\n{step_table(outcomes)}"


def _title(builds: Builds) -> str:
    last = builds.last
    target = f", target {last.target}" if last.target else ""
    return clean(f"{last.file} of {last.context}{target}, {', '.join(last.platforms)}, built {_when(builds.time)}")


def _when(time: float) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(time).astimezone().isoformat(" ", "seconds")


def _one(builds: Builds, step: Step, form: str) -> str:
    explained = builds.explained(step)
    changes = [{"path": c.path.decode(errors="backslashreplace"), "change": c.what} for c in builds.files(step)]
    if form == "json":
        return f"{to_json(_json(explained, changes))}\n"
    lines = [shown(step.name), "", *_facts(builds, explained), "", *_fields(explained)]
    more = [f"  … and {len(changes) - _FILES} more"] if len(changes) > _FILES else []
    files = [f"  {change['path']} {change['change']}" for change in islice(changes, _FILES)]
    lines += ["", "What it reads:", *files, *more] if files else []
    return "".join(f"{clean(line).rstrip()}\n" for line in lines)


def _facts(builds: Builds, explained: Explained) -> list[str]:
    from builder.cli.steptable import cache_words

    step, outcome = explained.step, explained.outcome
    facts = [f"key:    {step.key or 'not known, since the build ended before'}", f"cache:  {cache_words(outcome)}"]
    if step.line:
        facts.insert(0, f"line:   {step.line} of {builds.last.file}")
    if outcome.layer:
        files = f", files: {outcome.files}" if outcome.files is not None else ""
        facts.append(f"layer:  {outcome.layer}, {human_size(outcome.size)}{files}, {outcome.seconds:.1f}s")
    if builds.previous is None:
        return [*facts, "before: no other build of it is known"]
    if explained.before is None:
        return [*facts, f"before: not in the build of {_when(builds.previous_time)}"]
    same = "" if explained.differences else ", where it was the same"
    return [*facts, f"before: the build of {_when(builds.previous_time)}{same}"]


def _fields(explained: Explained) -> list[str]:
    """The key, field by field; what differs as in a diff."""
    differing = {one.field: one for one in explained.differences}
    lines = []
    for name, value in explained.fields.items():
        if name not in differing:
            lines.append(f"  {name}: {shown(value)}")
            continue
        before = differing.pop(name).before
        lines += [f"- {name}: {shown(before)}"] if before is not None else []
        lines.append(f"+ {name}: {shown(value)}")
    return lines + [f"- {one.field}: {shown(one.before or '')}" for one in differing.values()]


def _json(explained: Explained, changes: list[dict[str, str]]) -> dict[str, Any]:
    def plain_text(fields: dict[str, str] | None) -> dict[str, str] | None:
        return None if fields is None else {name: shown(value) for name, value in fields.items()}

    return {
        **plain(explained.outcome),
        "name": shown(explained.step.name),
        "fields": plain_text(explained.fields),
        "before": plain_text(explained.before),
        "differences": [one.field for one in explained.differences],
        "files": changes,
    }
