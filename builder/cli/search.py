"""`lapstrake search`: which images a registry has."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import click
import msgspec

from builder.errors import RegistryFault
from builder.progress.clean import clean
from builder.template.columns import ellipsis
from builder.template.listing import listing
from builder.template.record import Record

if TYPE_CHECKING:
    from builder.registry.search import Found

_WIDEST = 45
_HEADERS = {"Description": "DESCRIPTION", "IsOfficial": "OFFICIAL", "Name": "NAME", "StarCount": "STARS"}
_COLUMNS = ("Name", "Description", "StarCount", "IsOfficial")
_FILTERS = ("is-automated", "is-official", "stars")
_TRUE, _FALSE = {"1", "true"}, {"0", "false"}  # of Docker's daemon
_BLANKS = dict.fromkeys(map(ord, "\n\r\t"), " ")
_NUMBER = re.compile(r"[-+]?[0-9]{1,18}\Z")
_HELP = """Search a registry for images: Docker Hub, or HOST.

A registry that cannot be searched lists what it has; names that contain TERM are shown.

\b
Examples:
  lapstrake search -f is-official=true debian
  lapstrake search --limit 100 --format '{{.Name}}' registry.example.com:5000/team
"""


@click.command("search", help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("term", metavar="[HOST/]TERM")
@click.option(
    "-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE",
    help="Show what fits: stars=NUMBER (at least), is-official=true|false, is-automated=true|false (none is any more).",
)  # fmt: skip
@click.option("--limit", type=int, default=0, metavar="NUMBER", help="How many to ask for: 1 to 100 (default: 25).")
@click.option("--no-trunc", is_flag=True, help="Show descriptions in full.")
@click.option("--format", "form", default="", metavar="TEMPLATE", help="table, table TEMPLATE, json, or a template.")
def command(term: str, filters: tuple[str, ...], limit: int, no_trunc: bool, form: str) -> None:
    from builder.cli.registries import opened_registries
    from builder.registry.search import DEFAULT_LIMIT, search

    wanted = _wanted(filters)
    found: list[Found] = []
    if not wanted.automated:
        with opened_registries(os.environ) as registries:
            found = search(registries, term, limit or DEFAULT_LIMIT)
    records = (_record(one, no_trunc) for one in found if _fits(one, wanted))
    click.echo(listing(form, records, _HEADERS, _COLUMNS), nl=False)


class _Wanted(msgspec.Struct, frozen=True):
    """stars: at least so many. official: None for either."""

    stars: int
    official: bool | None
    automated: bool


def _wanted(filters: tuple[str, ...]) -> _Wanted:
    """Raises RegistryFault in Docker's words."""
    found: dict[str, list[str]] = {key: [] for key in _FILTERS}
    for text in filters:
        key, equals, value = text.partition("=")
        key = key.strip().lower()
        if not equals:
            raise RegistryFault(f"bad format of filter '{text}' (expected name=value)")
        if key not in found:
            raise RegistryFault(f"invalid filter '{key}'", f"filters: {', '.join(_FILTERS)}")
        found[key].append(value.strip())
    if found["is-automated"]:
        click.echo('WARNING: the "is-automated" filter is deprecated, and nothing is automated any more', err=True)
    stars = [_number(value) for value in found["stars"]]
    return _Wanted(max([0, *stars]), _flag("is-official", found), bool(_flag("is-automated", found)))


def _number(text: str) -> int:
    if not _NUMBER.match(text):
        raise RegistryFault(f"invalid filter 'stars={text}'", "want a number")
    return int(text)


def _flag(key: str, found: dict[str, list[str]]) -> bool | None:
    values = set(found[key])
    if values <= _TRUE:
        return True if values else None
    if values <= _FALSE:
        return False
    raise RegistryFault(f"invalid filter '{key}={','.join(sorted(values))}'", "want true or false")


def _fits(one: Found, wanted: _Wanted) -> bool:
    return one.stars >= wanted.stars and wanted.official in (None, one.official)


def _record(one: Found, full: bool) -> Record:
    words = clean(one.description.translate(_BLANKS))
    fields = {
        "Description": words if full else ellipsis(words, _WIDEST),
        "IsOfficial": "[OK]" if one.official else "",
        "Name": clean(one.name),
        "StarCount": str(one.stars),
    }
    in_json = {"IsOfficial": "true" if one.official else "false"}
    return Record(fields, "*registry.searchContext", in_json=in_json)
