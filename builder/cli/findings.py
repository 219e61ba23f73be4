"""The findings of the lint rules: what --check prints, and the summary below a build (buildx's forms)."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from builder.cli.calls import as_json, location
from builder.graph.program import Warning
from builder.progress.clean import clean, clean_lines
from frontends.dockerfile.lower import Checked
from frontends.errors import FrontendFault
from frontends.text import Lines, Source


def as_text(findings: Sequence[Warning], source: Source) -> str:
    """Each finding with its page and its lines."""
    if not findings:
        return "Check complete, no warnings found.\n"
    count = f"{len(findings)} warning{'s have' if len(findings) > 1 else ' has'} been found!"
    return f"Check complete, {count}\n{violations(findings, source)}"


def violations(findings: Sequence[Warning], source: Source) -> str:
    """The findings alone, a blank line before each."""
    return "".join(f"\n{_block(finding, source)}" for finding in findings)


def checked_text(checked: Checked, source: Source) -> str:
    """The same for a file that cannot be built: the error itself is not in it."""
    if checked.fault is None:
        return as_text(checked.findings, source)
    return as_text(checked.findings, source) + "\n" if checked.findings else ""


def checked_json(checked: Checked, source: Source) -> str:
    """`warnings`, `sources` and, for a file that cannot be built, `buildError`; lines count from 1."""
    sources = [{"filename": source.name, "data": base64.b64encode(source.data).decode(), "language": "Dockerfile"}]
    document: dict[str, Any] = {"warnings": [_as_value(one) for one in checked.findings] or None, "sources": sources}
    fault = checked.fault
    if fault is not None:
        document["buildError"] = {
            "message": fault.message,
            "location": location(*fault.places),
        }
    return as_json(document)


def fault_text(fault: FrontendFault) -> str:
    """What is wrong, and where."""
    return f"{fault.message}\n{fault.excerpt}".rstrip("\n")


def line_note(finding: Warning) -> str:
    """`Rule: message (line 3)`, as the summary of a build has it."""
    text = f"{finding.rule}: {finding.message}" if finding.rule else finding.message
    return f"{text} (line {finding.span.first})" if finding.span is not None else text


def summary(findings: Sequence[Warning], source: Source, *, expanded: bool, color: bool) -> str:
    """What is said of the findings after a build, "" if there are none. expanded: with details, pages and lines."""
    if not findings:
        return ""
    head = f"{len(findings)} warning{'s' if len(findings) > 1 else ''} found"
    head += ":\n" if expanded else " (use --debug to expand):\n"
    lines = [f"\n \x1b[33m{head}\x1b[0m" if color else f"\n {head}"]
    for finding in findings:
        lines.append(f" - {clean(line_note(finding))}\n")
        if expanded:
            lines.append(_details(finding, source))
    return "".join(lines)


def _details(finding: Warning, source: Source) -> str:
    parts = [finding.detail, f"More info: {finding.url}" if finding.url else "", _excerpt(finding, source)]
    return clean_lines("".join(f"{part}\n" for part in parts if part)) + "\n"


def _excerpt(finding: Warning, source: Source) -> str:
    return source.excerpt(Lines(finding.span.first, finding.span.last)) if finding.span is not None else ""


def _block(finding: Warning, source: Source) -> str:
    head = f"WARNING: {finding.rule}" + (f" - {finding.url}" if finding.url else "")
    if not finding.rule:
        return f"WARNING: {clean(finding.message)}\n"
    return clean_lines("\n".join(part for part in (head, finding.message, _excerpt(finding, source)) if part)) + "\n"


def _as_value(finding: Warning) -> dict[str, Any]:
    value: dict[str, Any] = {
        "ruleName": finding.rule,
        "description": finding.detail,
        "url": finding.url,
        "detail": finding.message,
    }
    if finding.span is not None:
        value["location"] = location(Lines(finding.span.first, finding.span.last))
    return {key: part for key, part in value.items() if part != ""}
