"""`lapstrake build`: options as in `docker buildx build`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

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
from builder.cli.resources import limits, older_options, older_values
from builder.cli.root import store_root
from builder.cli.secret import parse_secret
from builder.cli.ssh import needed_agents, parse_ssh
from builder.cli.unsupported import check_unsupported, unsupported_options
from builder.export.annotations import from_option
from builder.export.options import with_shorthands
from builder.graph.operation import GitSource, HttpSource, RemoteSource
from builder.oci.platform import parse_platforms
from builder.oci.reference import Reference
from cache.errors import Fault

if TYPE_CHECKING:
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
@click.option("-f", "--file", metavar="FILE", help="Name of the Dockerfile (default: CONTEXT/Dockerfile).")
@click.option("-t", "--tag", "tags", multiple=True, metavar="NAME[:TAG]", help="Name of the image; repeatable.")
@click.option("--build-arg", "args", multiple=True, metavar="NAME[=VALUE]", help="Set a build-time variable.")
@click.option("--target", default="", metavar="STAGE", help="Build this stage (default: the last one).")
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    default=lambda: tuple(filter(None, [os.environ.get("DOCKER_DEFAULT_PLATFORM")])),
    metavar="OS/ARCH[,...]",
    help="Build for these platforms (default: this machine's); several make an index.",
)
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Set metadata of the image.")
@click.option("--no-cache", is_flag=True, help="Run every step anew.")
@click.option("--push", is_flag=True, help="The same as -o type=registry.")
@click.option("--load", is_flag=True, help="The same as -o type=docker: into the Docker or Podman that runs here.")
@click.option("--pull", is_flag=True, help="Ask the registries for base images, even if they are known.")
@click.option(
    "--cache-from", "cache_from", multiple=True, metavar="REF|type=TYPE[,...]", help="A cache elsewhere to take from."
)
@click.option("--cache-to", "cache_to", multiple=True, metavar="type=TYPE[,...]", help="Where to put the cache, too.")
@click.option("--no-cache-filter", "filters", multiple=True, metavar="STAGE", help="Run the steps of this stage anew.")
@click.option(
    "--network",
    type=click.Choice(["default", "none", "host"]),
    default="default",
    show_default=True,
    help="Network of RUN steps.",
)
@click.option("--add-host", "hosts", multiple=True, metavar="HOST:IP", help="Add a line to /etc/hosts of RUN steps.")
@click.option(
    "--secret", "secrets", multiple=True, metavar="id=NAME[,src=FILE]", help="A value for RUN --mount=type=secret."
)
@click.option("--ssh", "ssh", multiple=True, metavar="ID[=SOCKET|KEY]", help="An agent for RUN --mount=type=ssh.")
@click.option("--shm-size", default="", metavar="BYTES", help="Size of /dev/shm in RUN steps (default: 64m).")
@click.option("--ulimit", "ulimits", multiple=True, metavar="NAME=SOFT[:HARD]", help="A limit of RUN steps.")
@click.option("--resource", "resources", multiple=True, metavar="NAME=VALUE", help="A limit of RUN: memory=2g, ….")
@older_options
@click.option("--cgroup-parent", default="", metavar="PATH", help="The cgroup that those of RUN steps are made in.")
@click.option(
    "--allow", multiple=True, metavar="ENTITLEMENT", help="Let RUN have network.host, security.insecure or device."
)
@click.option("--build-context", "contexts", multiple=True, metavar="NAME=SOURCE", help="Another folder or image.")
@click.option(
    "-o", "--output", "outputs", multiple=True, metavar="type=TYPE[,dest=PATH]", help="Where the result goes."
)
@click.option("--annotation", "annotations", multiple=True, metavar="NAME=VALUE", help="Set metadata of the manifest.")
@click.option("--iidfile", default="", metavar="FILE", help="Write the image id to this file.")
@click.option("--metadata-file", default="", metavar="FILE", help="Write facts about the build to this file, as JSON.")
@click.option("--summary", is_flag=True, help="Print a table of the steps below the build: cached or why not, ….")
@click.option(
    "--call", default="build", metavar="METHOD", help="check, outline or targets, with ,format=json: build nothing."
)
@click.option("--print", "call", hidden=True)
@click.option("--check", is_flag=True, help="The same as --call=check.")
@click.option(
    "--context-modes",
    type=click.Choice(["portable", "exact"]),
    default="portable",
    show_default=True,
    help="Modes of context files: 664 and 775 as 644 and 755, or as they are.",
)
@click.option(
    "--reproducible", is_flag=True, help="Date all by SOURCE_DATE_EPOCH, else by the context: RUN files, too."
)
@click.option("--verify", is_flag=True, help="Build a second time in other surroundings, name what differs.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but the image id.")
@click.option(
    "--progress",
    default="auto",
    metavar="MODE",
    help="How progress is shown: auto, plain, tty, quiet, rawjson or none.",
)
@unsupported_options
@click.option("-D", "--debug", is_flag=True, help="Explain warnings, as LAPSTRAKE_DEBUG=1 does.")
@click.option("--root", "root", metavar="FOLDER", help="Where lapstrake keeps everything.")
@click.pass_context
def command(
    ctx: click.Context,
    context: str,
    file: str | None,
    tags: tuple[str, ...],
    args: tuple[str, ...],
    target: str,
    platforms: tuple[str, ...],
    labels: tuple[str, ...],
    no_cache: bool,
    pull: bool,
    push: bool,
    load: bool,
    cache_from: tuple[str, ...],
    cache_to: tuple[str, ...],
    filters: tuple[str, ...],
    network: str,
    hosts: tuple[str, ...],
    secrets: tuple[str, ...],
    ssh: tuple[str, ...],
    shm_size: str,
    ulimits: tuple[str, ...],
    resources: tuple[str, ...],
    cgroup_parent: str,
    allow: tuple[str, ...],
    contexts: tuple[str, ...],
    outputs: tuple[str, ...],
    annotations: tuple[str, ...],
    iidfile: str,
    metadata_file: str,
    summary: bool,
    call: str,
    check: bool,
    context_modes: str,
    reproducible: bool,
    verify: bool,
    quiet: bool,
    progress: str,
    debug: bool,
    root: str | None,
) -> None:
    check_unsupported(ctx)
    arguments = build_args(args, os.environ)
    granted, others = grants(allow)
    if no_cache and filters:
        raise Fault("--no-cache and --no-cache-filter cannot currently be used together", "drop one of them")
    targets = parse_platforms(platforms)
    request = BuildRequest(
        context=context,
        file=file,
        tags=tuple(Reference.parse(tag) for tag in tags),
        build_args=arguments,
        target=target,
        platforms=tuple(dict.fromkeys(targets)),
        joined=joined(len(targets), arguments),
        labels=pairs("--label", labels),
        no_cache=no_cache,
        pull=pull,
        **_caches(cache_from, cache_to, dict(arguments)),
        network=network,
        hosts=tuple(host_entry(h) for h in words(hosts)),
        **_contexts(contexts),
        outputs=with_shorthands(outputs, push, load) or (("type=image",) if annotations or reproducible else ()),
        annotations=tuple(one for text in annotations if text for one in from_option(text)),
        iidfile=iidfile,
        metadata_file=metadata_file,
        secrets=tuple(parse_secret(text, os.environ) for text in secrets),
        ssh=tuple(parse_ssh(text, os.environ) for text in ssh or needed_agents(remote_context(context))),
        allow=entitlements(others),
        devices=granted,
        ulimits=tuple(sorted((ulimit(text) for text in ulimits), key=lambda limit: limit.name)),
        no_cache_filter=words(filters),
        shm_size=byte_count("--shm-size", shm_size) if shm_size else 0,
        limits=limits((*older_values(ctx), *resources), cgroup_parent),
        metadata_warnings=os.environ.get("BUILDX_METADATA_WARNINGS", "") in ("1", "t", "T", "TRUE", "true", "True"),
        epoch=epoch(dict(arguments).get("SOURCE_DATE_EPOCH", "")),
        verify=verify,
        reproducible=reproducible,
        exact_modes=context_modes == "exact",
    )
    given = root or (ctx.obj or {}).get("root")
    from builder.cli.building import Shown, run

    shown = Shown(
        _mode(progress, quiet), quiet or progress == "quiet", debug or os.environ.get("LAPSTRAKE_DEBUG") == "1", summary
    )
    run(request, store_root(given, os.environ, os.geteuid()), shown, parse_call("check" if check else call))


def _mode(progress: str, quiet: bool) -> str:
    if not quiet:
        return progress
    if progress not in ("auto", "quiet", "none"):
        raise Fault(f"progress={progress} and quiet cannot be used together", "drop -q, or --progress")
    return "quiet"


def _caches(sources: tuple[str, ...], places: tuple[str, ...], arguments: dict[str, str]) -> dict[str, Any]:
    """--cache-from and --cache-to, as fields of the request. BUILDKIT_INLINE_CACHE is the older way to ask for one."""
    if arguments.get("BUILDKIT_INLINE_CACHE", "") in ("1", "t", "T", "TRUE", "true", "True"):
        places = (*places, "type=inline")
    if not sources and not places:
        return {}
    from builder.remotecache.options import parse_cache_from, parse_cache_to

    return {"cache_from": parse_cache_from(sources), "cache_to": parse_cache_to(places)}


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
