"""`lapstrake build`: options as in `docker buildx build`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from builder.cli.buildflags import BuildFlags, build_options
from builder.cli.calls import parse_call
from builder.cli.devices import grants
from builder.cli.request import (
    BuildRequest,
    build_args,
    byte_count,
    entitlements,
    epoch,
    host_entry,
    joined,
    named_context,
    pairs,
    remote_context,
    ulimit,
    words,
)
from builder.cli.resources import limits, older_values
from builder.cli.root import store_root
from builder.cli.secret import parse_secret
from builder.cli.ssh import needed_agents, parse_ssh
from builder.cli.unsupported import check_unsupported
from builder.export.annotations import from_option
from builder.export.options import with_shorthands
from builder.graph.operation import GitSource, HttpSource, RemoteSource
from builder.oci.boolean import parse_bool
from builder.oci.platform import parse_platforms
from builder.oci.reference import Reference
from cache.errors import Fault

if TYPE_CHECKING:
    from builder.policy.options import PolicyOption
    from builder.source.base import NamedImage

_HELP = """Build an image from a Dockerfile.

CONTEXT is the folder that COPY and ADD read, a git repository (https://HOST/REPO.git#REF:FOLDER), the URL of a tar
archive or Dockerfile, or - for one of these on the standard input.

Without -o the image goes into the local image store under its tags.

\b
Examples:
  lapstrake build -t app .
  lapstrake build -t app:1.2 -o type=docker,dest=app.tar .
  lapstrake build --platform linux/amd64,linux/arm64 -o type=oci,dest=app.tar .
  lapstrake build --target test --build-arg VERSION=3 -f ci/Dockerfile .
"""


@click.command("build", help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("context", metavar="CONTEXT")
@build_options
@click.pass_context
def command(ctx: click.Context, /, context: str, **given: Any) -> None:
    check_unsupported(ctx)
    flags = BuildFlags(**given)
    request = _request(context, flags, older_values(ctx), os.environ)
    root = store_root(flags.root or (ctx.obj or {}).get("root"), os.environ, os.geteuid())
    from builder.cli.building import Shown, run

    shown = Shown(
        _mode(flags.progress, flags.quiet),
        flags.quiet or flags.progress == "quiet",
        flags.debug or os.environ.get("LAPSTRAKE_DEBUG") == "1",
        flags.summary,
    )
    run(request, root, shown, parse_call("check" if flags.check else flags.call))


def _request(context: str, flags: BuildFlags, older: tuple[str, ...], environ: Mapping[str, str]) -> BuildRequest:
    """older: limits of steps given by options of `docker build`. Raises Fault for what cannot be read or meant."""
    if flags.no_cache and flags.filters:
        raise Fault("--no-cache and --no-cache-filter cannot currently be used together", "drop one of them")
    arguments = build_args(flags.args, environ)
    values = dict(arguments)
    granted, entitled = grants(flags.allow)
    targets = parse_platforms(flags.platforms)
    agents = flags.ssh or needed_agents(remote_context(context))
    return BuildRequest(
        context=context,
        file=flags.file,
        tags=tuple(Reference.parse(tag) for tag in flags.tags),
        build_args=arguments,
        target=flags.target,
        platforms=tuple(dict.fromkeys(targets)),
        joined=joined(len(targets), arguments),
        labels=pairs("--label", flags.labels),
        no_cache=flags.no_cache,
        no_cache_filter=words(flags.filters),
        pull=flags.pull,
        **_caches(flags.cache_from, flags.cache_to, values),
        network=flags.network,
        hosts=tuple(host_entry(h) for h in words(flags.hosts)),
        **_contexts(flags.contexts),
        outputs=_outputs(flags),
        annotations=tuple(one for text in flags.annotations if text for one in from_option(text)),
        iidfile=flags.iidfile,
        metadata_file=flags.metadata_file,
        metadata_warnings=parse_bool(environ.get("BUILDX_METADATA_WARNINGS", "")) is True,
        secrets=tuple(parse_secret(text, environ) for text in flags.secrets),
        ssh=tuple(parse_ssh(text, environ) for text in agents),
        allow=entitlements(entitled),
        devices=granted,
        ulimits=tuple(sorted((ulimit(text) for text in flags.ulimits), key=lambda limit: limit.name)),
        shm_size=byte_count("--shm-size", flags.shm_size) if flags.shm_size else 0,
        limits=limits((*older, *flags.resources), flags.cgroup_parent),
        epoch=epoch(values.get("SOURCE_DATE_EPOCH", "")),
        verify=flags.verify,
        reproducible=flags.reproducible,
        exact_modes=flags.context_modes == "exact",
        policies=_policies(flags.policies),
        proxy_network=flags.proxy_network,
    )


def _outputs(flags: BuildFlags) -> tuple[str, ...]:
    """What was asked for; an image in the store where that has to be said to be made in a way of its own."""
    asked = with_shorthands(flags.outputs, flags.push, flags.load)
    return asked or (("type=image",) if flags.annotations or flags.reproducible else ())


def _mode(progress: str, quiet: bool) -> str:
    if not quiet:
        return progress
    if progress not in ("auto", "quiet", "none"):
        raise Fault(f"progress={progress} and quiet cannot be used together", "drop -q, or --progress")
    return "quiet"


def _caches(sources: tuple[str, ...], places: tuple[str, ...], arguments: dict[str, str]) -> dict[str, Any]:
    """--cache-from and --cache-to, as fields of the request. BUILDKIT_INLINE_CACHE is the older way to ask for one."""
    if parse_bool(arguments.get("BUILDKIT_INLINE_CACHE", "")):
        places = (*places, "type=inline")
    if not sources and not places:
        return {}
    from builder.remotecache.options import parse_cache_from, parse_cache_to

    return {"cache_from": parse_cache_from(sources), "cache_to": parse_cache_to(places)}


def _policies(values: tuple[str, ...]) -> tuple[PolicyOption, ...]:
    if not values:
        return ()
    from builder.policy.options import parse_option

    return tuple(parse_option(value) for value in values)


def _contexts(values: tuple[str, ...]) -> dict[str, Any]:
    """--build-context by kind, as fields of the request."""
    folders: list[tuple[str, str]] = []
    images: list[tuple[str, NamedImage]] = []
    sources: list[tuple[str, RemoteSource]] = []
    for value in values:
        name, source = named_context(value)
        if isinstance(source, str):
            folders.append((name, source))
        elif isinstance(source, HttpSource | GitSource):
            sources.append((name, source))
        else:
            images.append((name, source))
    return {"named_folders": tuple(folders), "named_images": tuple(images), "named_sources": tuple(sources)}
