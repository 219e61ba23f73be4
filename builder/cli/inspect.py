"""`lapstrake inspect`: all that is known of images, in Docker's JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from builder.cli.describe import described, pruned
from builder.cli.opened import opened
from builder.errors import TemplateFault
from builder.images.naming import shown
from builder.images.platforms import one_image
from builder.oci.platform import Platform
from builder.progress.clean import clean
from builder.template.record import Record, to_json
from cache.errors import Fault

_BAD_TEMPLATE = 64
_TYPES = ("config", "container", "image", "network", "node", "plugin", "secret", "service", "task", "volume")
_HELP = """Show all that is known of images.

\b
Examples:
  lapstrake inspect app:1
  lapstrake inspect -f '{{json .Config.Env}}' app:1
  lapstrake inspect -f '{{range $k, $v := .Config.Labels}}{{$k}}={{println $v}}{{end}}' app:1
"""


@click.command("inspect", help=_HELP)
@click.argument("names", metavar="NAME|ID...", nargs=-1, required=True)
@click.option("-f", "--format", "form", default="", metavar="TEMPLATE", help="json, or a template for each image.")
@click.option("--platform", default="", metavar="OS/ARCH[/VARIANT]", help="Of an index, the image for this one.")
@click.option("-s", "--size", is_flag=True, help="Of containers only: no effect here.")
@click.option("--type", "kind", type=click.Choice(_TYPES), help="What to look for. There are only images.")
@click.pass_context
def command(ctx: click.Context, names: tuple[str, ...], form: str, platform: str, size: bool, kind: str | None) -> int:
    wanted = Platform.parse(platform) if platform else None
    # `image inspect` looks for nothing else.
    kind = "image" if ctx.parent is not None and ctx.parent.info_name == "image" else kind
    if size:
        click.echo("WARNING: --size ignored for image", err=True)
    show = _renderer(form) if form not in ("", "json") else None
    found: list[Record] = []
    problems: list[str] = []
    with opened(ctx) as (store, images):
        for name in names:
            stored = images.resolve(name) if kind in (None, "image") else None
            if stored is None:
                problems.append(f"No such {kind or 'object'}: {shown(name) if kind == 'image' else name}")
                continue
            try:
                image = one_image(images, store.blobs, stored.descriptor, wanted, name)
                found.append(described(image, stored))
            except Fault as error:
                problems.append(error.message)
    if show is None:
        values = [pruned(record) for record in found]
        text = json.dumps(values, ensure_ascii=False, **_layout(form))
        click.echo(text if values else "[]")
    else:
        problems += _show(found, show)
    for problem in problems:
        click.echo(f"ERROR: {clean(problem)}", err=True)
    return int(bool(problems))


def _layout(form: str) -> dict[str, Any]:
    return {"separators": (",", ":")} if form == "json" else {"indent": 4}


def _show(found: list[Record], show: Callable[[Record], str]) -> list[str]:
    lines, problems = [], []
    for one in found:
        try:
            lines.append(show(one))
        except TemplateFault as error:
            problems.append(error.message)
    click.echo("\n".join(lines))
    return problems


def _renderer(form: str) -> Callable[[Record], str]:
    """What a template makes of an image. Names that Docker's types do not have are looked for in the JSON, too."""
    from builder.template.evaluate import Template
    from builder.template.parse import parse

    try:
        template = Template(form, parse(form))
    except TemplateFault as error:
        error.exit_code = _BAD_TEMPLATE
        raise

    def show(record: Record) -> str:
        try:
            return template.render(record)
        except TemplateFault:
            return template.render(json.loads(to_json(record)), strict=True)

    return show
