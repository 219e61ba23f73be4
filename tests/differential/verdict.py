"""What differs between two outcomes, leaving out what docs/conformance.md says we do otherwise."""

from __future__ import annotations

import re
import time
from typing import Any

from tests.differential.case import Case
from tests.differential.pair import Outcome
from tests.e2e.compare import File, Flat

# The engine's runtime leaves the mount points of RUN in its layer where the base lacks them; we leave none.
_STUBS = ("dev", "proc", "sys", "etc/hosts", "etc/resolv.conf")
_FIXED = 315619200  # 1980-01-02: what we date by when the build gives no date
_CONTEXT = range(1_200_000_000, 1_300_000_000)
_RUNNING = re.compile(
    "checksum of ref|lstat|process|cannot copy|cannot replace|too many|unable to find|syntax error in pattern|rpc error"
)
# What the client of the engine cannot send, or its builder not do for no reason that it says.
_UNSENT = re.compile(
    "invalid user index|illegal exclusion pattern|header key|invalid includepatterns|string field contains invalid UTF-8"
)
_UNSAID = ("created", "rootfs", "history")


def differences(case: Case, ours: Outcome, theirs: Outcome) -> list[str]:
    """One line each, its first word the kind: status, words, shown, warnings, steps, file, date, config, history, call."""
    if "Traceback" in ours.log or "internal error" in ours.log:
        return [f"crash {ours.log[-1500:]}"]
    if _UNSENT.search(theirs.words):
        return []
    if (ours.status == 0) != (theirs.status == 0):
        return [f"status ours {ours.status} {ours.words!r} | theirs {theirs.status} {theirs.words!r}"]
    found = []
    if theirs.status:
        a, b = _plain(ours.words), _plain(theirs.words)
        if _first_of_several(ours, theirs):
            return []
        if (
            a != b
            and ours.shown == theirs.shown
            and all(re.search("^missing|in pattern|^a file where", words) for words in (a, b))
        ):
            return []  # two sources of one instruction
        if a != b:
            found.append(f"words {a!r} | {b!r}")
        if ours.shown != theirs.shown and theirs.shown:  # of a wrong directive BuildKit draws what is above it
            found.append(f"shown {ours.shown!r} | {theirs.shown!r}")
        return found
    warnings, others = (
        [_guess(w) for w in outcome.warnings if not w.startswith("CopyIgnoredFile")] for outcome in (ours, theirs)
    )
    if warnings != others:
        found.append(f"warnings {_only(warnings, others)}")
    if _answer(ours.call) != _answer(theirs.call):
        found.append(f"call {_answer(ours.call)} | {_answer(theirs.call)}")
    if ours.steps != theirs.steps:
        found.append(f"steps {_only(ours.steps, theirs.steps)}")
    if ours.image and theirs.image:
        found += _files(ours.image.files, theirs.image.files) + _documents(ours.image, theirs.image)
    return found


def _answer(call: Any) -> Any:
    """Without the text of the Dockerfile and its definition, which is BuildKit's own."""
    return {name: value for name, value in call.items() if name != "sources"} if isinstance(call, dict) else call


def _guess(warning: str) -> str:
    """Of names that are equally near BuildKit takes any (a Go map's order)."""
    return re.sub(r"\(did you mean \S+\?\)", "(did you mean?)", warning)


def _only(a: list[str], b: list[str]) -> str:
    return f"only ours {[x for x in a if x not in b]} | only theirs {[x for x in b if x not in a]}"


def _first_of_several(ours: Outcome, theirs: Outcome) -> bool:
    """Of the steps that fail, each builder tells of one. What is wrong before a step is begun has an order."""
    lines = [re.findall(r"^ *\d+ \| >>>", outcome.shown, re.M) for outcome in (ours, theirs)]
    return (
        lines[0] != lines[1] and "rpc error" not in ours.words and any(_RUNNING.search(o.words) for o in (ours, theirs))
    )


def _plain(words: str) -> str:
    """Without what is of one run or one program alone."""
    first = _guess(words.split("\n")[0])
    first = re.sub(
        r"(failed to compute cache key: )?failed to calculate checksum of ref( \S+::\S+)?: ", "checksum of ref: ", first
    )
    first = re.sub(r"^ERROR: failed to build: (failed to solve: )?(failed to run Build function: )?", "ERROR: ", first)
    if missing := re.search(r'lstat (/.*): no such file or directory|checksum of ref: "(/.*)": not found', first):
        return f"missing {missing[1] or missing[2]}"  # --exclude decides which of the two BuildKit says
    if re.search(r"unexpected EOF|cut short|invalid header|invalid checksum|unexpected end|corrupt|damaged", first):
        return "a broken archive"
    if "failed to resolve source metadata" in first:  # the reason is that of a registry out of reach
        return first.partition("failed to resolve source metadata")[0]
    if re.search("invalid chmod parameter|^ERROR: invalid syntax$", first):
        return "chmod"
    if re.search("cannot copy to non-directory|: not a directory$", first):
        return "a file where a folder is wanted"
    if "did not complete successfully: " in first:  # what a runtime says that cannot begin is its own
        first = re.sub(
            r"(successfully: )(exec: .*|cannot prepare the sandbox.*|exit code: (1|127|126))$", r"\1not run", first
        )
    if "lint violation found" in first:  # a Go map's order
        head, _, rules = first.rpartition(": ")
        first = f"{head}: {', '.join(sorted(set(rules.split(', ')) - {'CopyIgnoredFile'}))}"
    return re.sub(r"/\S+/buildkit\d+/", "/", first)


def _files(ours: dict[str, File], theirs: dict[str, File]) -> list[str]:
    found = []
    for path in sorted(ours.keys() | theirs.keys()):
        a, b = ours.get(path), theirs.get(path)
        if path in _STUBS and a is None:
            continue
        if a and b:  # an engine's layers have no other attributes
            a, b = (
                file._replace(xattrs=tuple(x for x in file.xattrs if x[0] == "security.capability")) for file in (a, b)
            )
        if a and b and set(b.links) < set(a.links):
            b = b._replace(links=a.links)  # a further name for a file of a lower layer: BuildKit makes two files of it
        if a and b and a.kind == "folder" and a.mode & ~0o022 == b.mode:
            b = b._replace(mode=a.mode)  # the umask of dockerd; buildkitd has none
        if a is None or b is None or a._replace(mtime=0) != b._replace(mtime=0):
            found.append(f"file {path!r}: {a} | {b}")
        elif a.kind != "folder" and not _same_date(a.mtime, b.mtime):
            found.append(f"date {path!r}: {a.mtime} | {b.mtime}")
    return found


def _same_date(ours: int, theirs: int) -> bool:
    """A context file and what the builder makes have our fixed date; what a RUN wrote is of today."""
    today = time.time() - 86400
    if today < theirs < today + 2 * 86400:
        return ours > today or ours == _FIXED
    return ours == theirs or (theirs in _CONTEXT and ours == _FIXED)


def _documents(ours: Flat, theirs: Flat) -> list[str]:
    a, b = (_said(flat.document) for flat in (ours, theirs))
    found = [
        f"config {name}: {a.get(name)} | {b.get(name)}"
        for name in sorted(a.keys() | b.keys())
        if a.get(name) != b.get(name)
    ]
    rows, others = _history(ours.document), _history(theirs.document)
    if any("local source for" in (row[0] or "") for row in others):
        return found  # a stage that is a named context: theirs is the last row, ours the first
    if rows != others:
        at = next(
            (i for i, (x, y) in enumerate(zip(rows, others, strict=False)) if x != y), min(len(rows), len(others))
        )
        found.append(f"history {at}: {rows[at : at + 2]} | {others[at : at + 2]}")
    return found


def _said(document: dict[str, Any]) -> dict[str, Any]:
    flat = {name: value for name, value in document.items() if name not in _UNSAID and name != "config"}
    flat.update({f"config.{name}": value for name, value in (document.get("config") or {}).items()})
    return {name: value for name, value in flat.items() if value not in (None, "", [], {}, False)}


def _history(document: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Newer BuildKit prints HEALTHCHECK otherwise than this engine (convert.go, dispatchHealthcheck)."""
    return [
        ("HEALTHCHECK" if (e.get("created_by") or "").startswith("HEALTHCHECK ") else e.get("created_by"), e.get("empty_layer", False), e.get("comment", ""), e.get("author", ""))
        for e in document.get("history") or []
    ]  # fmt: skip
