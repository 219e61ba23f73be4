"""`lapstrake doctor`: what this machine lets a build do, and whether the store is whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from builder.cli.host import Ability, abilities
from builder.cli.root import store_root
from builder.progress.clean import clean
from builder.template.record import Record, to_json
from cache.errors import CacheFault

if TYPE_CHECKING:
    from builder.upkeep.finding import Finding

_HELP = """Check what this machine lets a build do, and whether the store is whole: every blob is hashed, and every file
of an unpacked layer compared with it.

With --fix, what is damaged is deleted, so that the next build makes it anew; an image that lost a part loses its names.
Ends with 1 if damage was found and is still there.

\b
Examples:
  lapstrake doctor
  lapstrake doctor --quick --format json
  lapstrake doctor --fix
"""


@click.command("doctor", help=_HELP)
@click.option("--fix", is_flag=True, help="Set right what is found.")
@click.option("--quick", is_flag=True, help="Look at what is there and how long it is, not at bytes.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How it is said.")
@click.pass_context
def command(ctx: click.Context, fix: bool, quick: bool, form: str) -> int:
    root = store_root((ctx.obj or {}).get("root"), os.environ, os.geteuid())
    snapshots = os.path.join(root, "snapshots")
    try:
        os.makedirs(snapshots, mode=0o700, exist_ok=True)
    except OSError as error:
        raise CacheFault(f"the store {root} cannot be used: {error.strerror}", "choose a folder with --root") from error
    machine = abilities(snapshots, os.getuid())
    if form == "text":
        for ability in machine:
            _say("ok" if ability.ok else "lacking", f"{ability.name}: {ability.message}", ability.hint)
    findings, checked = _examined(root, fix, quick, form)
    left = sum(finding.damage and not finding.fixed for finding in findings)
    if form == "json":
        click.echo(_json(machine, findings, checked, left))
    else:
        counts = ", ".join(f"{count} {name}" for name, count in checked.items())
        damaged = any(finding.damage for finding in findings)
        verdict = f"{left} damages are left in it" if left else "all that was damaged is fixed" if damaged else "whole"
        click.echo(f"store {root}: {verdict} ({counts})")
    return int(left > 0)


def _examined(root: str, fix: bool, quick: bool, form: str) -> tuple[list[Finding], dict[str, int]]:
    from builder.images.store import ImageStore
    from builder.snapshot.registry import Registry
    from builder.upkeep.doctor import Doctor
    from builder.upkeep.finding import Finding
    from cache.store import Store

    findings: list[Finding] = []

    def note(finding: Finding) -> None:
        findings.append(finding)
        if form == "text":
            word = "fixed" if finding.fixed else "damage" if finding.damage else "leftover"
            _say(word, f"{finding.place}: {finding.message}", finding.hint)

    store = Store(root)
    registry = Registry(root, lambda text: note(Finding("snapshots.db", text, fixed=True)))
    try:
        doctor = Doctor(store, ImageStore(root, store.blobs), registry, fix=fix, quick=quick)
        try:
            for finding in doctor.examine():
                note(finding)
        except CacheFault as error:
            note(Finding("store", error.message, hint=error.hint))
        return findings, doctor.checked
    finally:
        registry.close()
        store.close()


def _say(word: str, text: str, hint: str) -> None:
    click.echo(f"{word:<9}{clean(text)}")
    if hint:
        click.echo(f"{'':<9}{clean(hint)}")


def _json(machine: list[Ability], findings: list[Finding], checked: dict[str, int], left: int) -> str:
    host = [Record({"name": a.name, "ok": a.ok, "message": a.message, "hint": a.hint}) for a in machine]
    store = [
        Record({"place": f.place, "message": f.message, "damage": f.damage, "fixed": f.fixed, "hint": f.hint})
        for f in findings
    ]
    return to_json(Record({"machine": host, "findings": store, "checked": Record(dict(checked)), "left": left}))
