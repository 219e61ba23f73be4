"""Which repositories a registry has: the search API of Docker Hub (`/v1/search`), else the catalog (`/v2/_catalog`)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from urllib.parse import urlencode

import msgspec

from builder.errors import Denied, NotThere, RegistryFault
from builder.oci.reference import Reference
from builder.registry.client import Client
from builder.registry.names import DOCKER, INDEX_HOST, is_docker
from builder.registry.registries import Registries

DEFAULT_LIMIT, MOST = 25, 100  # results, as Docker has it
_ANSWER_LIMIT = 8 << 20
_SCOPE = "registry:catalog:search"


class Found(msgspec.Struct, frozen=True):
    """A repository, in the words of whoever was asked; those of a catalog are known by name alone."""

    name: str
    description: str = ""
    stars: int = 0
    official: bool = False


class _Result(msgspec.Struct, frozen=True):
    """Go reads null as the empty value, and so do we."""

    name: str | None = None
    description: str | None = None
    star_count: int | None = None
    is_official: bool | None = None


class _Answer(msgspec.Struct, frozen=True):
    results: list[_Result] | None = None


def split(text: str) -> tuple[str, str]:
    """`[HOST/]TERM` as a registry and a term: what has a dot or a colon before the first slash is a host."""
    head, slash, rest = text.partition("/")
    if not slash or not ("." in head or ":" in head or head == "localhost"):
        return DOCKER, text.removeprefix("library/")
    return (DOCKER, rest.removeprefix("library/")) if is_docker(head) else (head, rest)


def search(registries: Registries, text: str, limit: int = DEFAULT_LIMIT) -> list[Found]:
    """At most `limit` repositories that fit `[HOST/]TERM`. Raises RegistryFault, TransportFault.

    A registry that does not have Docker Hub's search is asked for its catalog; names that contain the term fit.
    """
    if "://" in text:
        raise RegistryFault(f"invalid repository name: repository name ({text}) should not have a scheme")
    if not 1 <= limit <= MOST:
        raise RegistryFault(f"limit {limit} is outside the range of [1, {MOST}]")
    registry, term = split(text)
    if registry == DOCKER:
        # The API for images is at another host than the one for searching, unless registries.conf puts both elsewhere.
        client = registries.destination(Reference(DOCKER, ""))
        if client.place.registry == DOCKER:
            client = registries.destination(Reference(INDEX_HOST, ""))
        return _searched(client, term, limit)
    client = registries.destination(Reference(registry, ""))
    try:
        return _searched(client, term, limit)
    except (NotThere, Denied, _NoSearch):
        return list(islice(_listed(client, registry, term), limit))


class _NoSearch(RegistryFault):
    """An answer that is not one to a search."""


def _searched(client: Client, term: str, limit: int) -> list[Found]:
    url = f"{client.base()}/v1/search?{urlencode({'q': term, 'n': limit})}"
    with client.request("GET", url, {"accept": "application/json"}, scope=_SCOPE) as response:
        if response.status != 200:
            raise _NoSearch(f"{client.place.registry}: unexpected status {response.status} in answer to a search")
        raw = response.read(_ANSWER_LIMIT)
    try:
        answer = msgspec.json.decode(raw, type=_Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _NoSearch(f"{client.place.registry}: error decoding registry search results: {error}") from error
    found = [
        Found(one.name or "", one.description or "", one.star_count or 0, bool(one.is_official))
        for one in answer.results or ()
    ]
    return found[:limit]


def _listed(client: Client, registry: str, term: str) -> Iterator[Found]:
    """below: where registries.conf has put the registry's repositories."""
    below = client.place.repository.strip("/")
    below = f"{below}/" if below else ""
    for name in client.catalog():
        if name.startswith(below) and term in name[len(below) :]:
            yield Found(f"{registry}/{name[len(below) :]}")
