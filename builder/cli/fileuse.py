"""`lapstrake explain --file`: which steps take a file of a context, and by which rule it is in the context or not."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

from builder.cli.contextls import local_definition
from builder.errors import SourceFault
from builder.graph.operation import Selection
from builder.oci.config import DEFAULT_EPOCH
from builder.progress.clean import clean
from builder.solve.takes import takes
from builder.source.context import LocalContext
from builder.source.ignore import Ignore, Rule, deciding, read_patterns
from builder.template.record import to_json
from builder.trace.builds import Builds
from builder.trace.mask import shown
from builder.trace.step import Step
from cache.digest import Digest
from cache.stats import StatIndex


def file_use(builds: Builds, path: str, root: str, form: str) -> str:
    """What is said of a path, given from the context's root or from the working folder.

    root: of the store. Raises SourceFault where there is no such file, or no such context any more.
    """
    name, folder, member = _located(builds.last.folders, path)
    file, text = _ignore_text(builds, name, folder)
    rule = deciding(text, member)
    taking = list(_taking(builds, name, folder, member, Ignore(read_patterns(text)), root))
    if form == "json":
        return f"{to_json(_json(member, taking, file, rule))}\n"
    lines = [_verdict(member, file, rule), *(f"{shown(step.name)}  by {source}" for step, source in taking)]
    if not taking and not (rule is not None and rule.hides):
        lines.append("no step of the last build takes it")
    return "".join(f"{clean(line)}\n" for line in lines)


def _located(folders: dict[str, str], path: str) -> tuple[str, str, str]:
    """The context that has a path: its name and folder, and the path in it."""
    if not folders:
        raise SourceFault("the last build had no folder as its context", "name one that was built")
    inside = {name: os.path.join(folder, path) for name, folder in folders.items() if not os.path.isabs(path)}
    for name in sorted(inside, key=lambda name: name != "context"):
        if os.path.lexists(inside[name]):
            return _member(name, folders[name], os.path.normpath(inside[name]))
    full = os.path.abspath(path)
    full = os.path.join(os.path.realpath(os.path.dirname(full)), os.path.basename(full))
    for name, folder in folders.items():
        if os.path.lexists(full) and os.path.commonpath([full, folder]) == folder:
            return _member(name, folder, full)
    shown_folders = ", ".join(folders.values())
    raise SourceFault(f"{path} is not in {shown_folders}", "give a path from the root of the context")


def _member(name: str, folder: str, full: str) -> tuple[str, str, str]:
    if not f"{full}/".startswith(f"{folder}/"):
        raise SourceFault(f"{full} is not in {folder}", "give a path from the root of the context")
    return name, folder, os.path.relpath(full, folder)


def _ignore_text(builds: Builds, name: str, folder: str) -> tuple[str, bytes]:
    """The ignore file of a context and what is in it now."""
    last = builds.last
    definition = local_definition(folder, last.file if name == "context" and os.path.isabs(last.file) else None)
    if name != "context":
        definition = local_definition("", None)  # a named context has no ignore file but its own
    return definition.ignore_text(folder)


def _taking(
    builds: Builds, name: str, folder: str, member: str, ignore: Ignore, root: str
) -> Iterator[tuple[Step, str]]:
    """The steps that take it, each with the source word by which it does."""
    known = os.path.join(root, "stats", Digest.of(os.fsencode(folder)).hex)
    stats = StatIndex(known, os.stat(folder).st_dev, time.time_ns())
    tree = LocalContext(folder, ignore, stats, DEFAULT_EPOCH)
    path = os.fsencode(member) if member != "." else b""
    try:
        if tree.lookup(path) is None:
            return
        for step in builds.last.steps:
            exclude = tuple(step.fields.get("exclude") or ())
            for (source, wildcard), read in zip(step.sources, step.reads, strict=False):
                selection = Selection(input=0, path=source, wildcard=wildcard)
                if read.local and read.name == name and takes(tree, path, selection, exclude):
                    yield step, source
                    break
    finally:
        tree.close()


def _verdict(member: str, file: str, rule: Rule | None) -> str:
    name = os.path.basename(file)
    if not file:
        return f"{member} is in the context: there is no ignore file"
    if rule is None:
        return f"{member} is in the context: no line of {name} matches it"
    place = f"line {rule.line} of {name} ({rule.pattern})"
    return f"{member} is not in the context: {place}" if rule.hides else f"{member} is in the context: {place}"


def _json(member: str, taking: list[tuple[Step, str]], file: str, rule: Rule | None) -> dict[str, Any]:
    return {
        "path": member.encode("utf-8", "backslashreplace").decode(),
        "in_context": rule is None or not rule.hides,
        "ignore_file": file,
        "rule": None if rule is None else {"line": rule.line, "pattern": rule.pattern},
        "steps": [{"name": shown(step.name), "line": step.line, "source": source} for step, source in taking],
    }
