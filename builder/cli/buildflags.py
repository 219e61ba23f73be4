"""The options of `lapstrake build`, and what was given of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec

from builder.cli.resources import older_options
from builder.cli.unsupported import unsupported_options

F = TypeVar("F", bound=Callable[..., Any])


class BuildFlags(msgspec.Struct, frozen=True, kw_only=True):
    """As click gives them: nothing is read yet; what may be given several times is in the order of the command line."""

    file: str | None
    tags: tuple[str, ...]
    args: tuple[str, ...]
    target: str
    platforms: tuple[str, ...]
    labels: tuple[str, ...]
    no_cache: bool
    pull: bool
    push: bool
    load: bool
    cache_from: tuple[str, ...]
    cache_to: tuple[str, ...]
    filters: tuple[str, ...]
    network: str
    proxy_network: bool
    hosts: tuple[str, ...]
    secrets: tuple[str, ...]
    ssh: tuple[str, ...]
    shm_size: str
    ulimits: tuple[str, ...]
    resources: tuple[str, ...]
    cgroup_parent: str
    allow: tuple[str, ...]
    policies: tuple[str, ...]
    contexts: tuple[str, ...]
    outputs: tuple[str, ...]
    annotations: tuple[str, ...]
    iidfile: str
    metadata_file: str
    summary: bool
    call: str
    check: bool
    context_modes: str
    reproducible: bool
    verify: bool
    quiet: bool
    progress: str
    debug: bool
    root: str | None


def build_options(command: F) -> F:
    """Adds them; the command gets the fields of BuildFlags."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("-f", "--file", metavar="FILE", help="Name of the Dockerfile (default: CONTEXT/Dockerfile)."),
    click.option("-t", "--tag", "tags", multiple=True, metavar="NAME[:TAG]", help="Name of the image; repeatable."),
    click.option("--build-arg", "args", multiple=True, metavar="NAME[=VALUE]", help="Set a build-time variable."),
    click.option("--target", default="", metavar="STAGE", help="Build this stage (default: the last one)."),
    click.option(
        "--platform",
        "platforms",
        multiple=True,
        default=lambda: tuple(filter(None, [os.environ.get("DOCKER_DEFAULT_PLATFORM")])),
        metavar="OS/ARCH[,...]",
        help="Build for these platforms (default: this machine's); several make an index.",
    ),
    click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Set metadata of the image."),
    click.option("--no-cache", is_flag=True, help="Run every step anew."),
    click.option("--push", is_flag=True, help="The same as -o type=registry."),
    click.option("--load", is_flag=True, help="The same as -o type=docker: into the Docker or Podman that runs here."),
    click.option("--pull", is_flag=True, help="Ask the registries for base images, even if they are known."),
    click.option(
        "--cache-from",
        "cache_from",
        multiple=True,
        metavar="REF|type=TYPE[,...]",
        help="A cache elsewhere to take from.",
    ),
    click.option(
        "--cache-to", "cache_to", multiple=True, metavar="type=TYPE[,...]", help="Where to put the cache, too."
    ),
    click.option(
        "--no-cache-filter", "filters", multiple=True, metavar="STAGE", help="Run the steps of this stage anew."
    ),
    click.option(
        "--network",
        type=click.Choice(["default", "none", "host"]),
        default="default",
        show_default=True,
        help="Network of RUN steps.",
    ),
    click.option(
        "--proxy-network", is_flag=True, help="RUN steps reach HTTP and HTTPS alone, by a proxy that notes it all."
    ),
    click.option(
        "--add-host", "hosts", multiple=True, metavar="HOST:IP", help="Add a line to /etc/hosts of RUN steps."
    ),
    click.option(
        "--secret", "secrets", multiple=True, metavar="id=NAME[,src=FILE]", help="A value for RUN --mount=type=secret."
    ),
    click.option("--ssh", "ssh", multiple=True, metavar="ID[=SOCKET|KEY]", help="An agent for RUN --mount=type=ssh."),
    click.option("--shm-size", default="", metavar="BYTES", help="Size of /dev/shm in RUN steps (default: 64m)."),
    click.option("--ulimit", "ulimits", multiple=True, metavar="NAME=SOFT[:HARD]", help="A limit of RUN steps."),
    click.option("--resource", "resources", multiple=True, metavar="NAME=VALUE", help="A limit of RUN: memory=2g, …."),
    older_options,
    click.option("--cgroup-parent", default="", metavar="PATH", help="The cgroup that those of RUN steps are made in."),
    click.option(
        "--allow",
        multiple=True,
        metavar="ENTITLEMENT",
        help="Let RUN have network.host, security.insecure or device[=NAME[,alias=NAME]]; let an output of "
        "type=local,mode=delete delete: buildx.local.delete.",
    ),
    click.option(
        "--policy",
        "policies",
        multiple=True,
        metavar="filename=FILE[,...]",
        help="A policy in Rego that every source must pass.",
    ),
    click.option("--build-context", "contexts", multiple=True, metavar="NAME=SOURCE", help="Another folder or image."),
    click.option(
        "-o", "--output", "outputs", multiple=True, metavar="type=TYPE[,dest=PATH]", help="Where the result goes."
    ),
    click.option(
        "--annotation", "annotations", multiple=True, metavar="NAME=VALUE", help="Set metadata of the manifest."
    ),
    click.option("--iidfile", default="", metavar="FILE", help="Write the image id to this file."),
    click.option(
        "--metadata-file", default="", metavar="FILE", help="Write facts about the build to this file, as JSON."
    ),
    click.option("--summary", is_flag=True, help="Print a table of the steps below the build: cached or why not, …."),
    click.option(
        "--call", default="build", metavar="METHOD", help="check, outline or targets, with ,format=json: build nothing."
    ),
    click.option("--print", "call", hidden=True),
    click.option("--check", is_flag=True, help="The same as --call=check."),
    click.option(
        "--context-modes",
        type=click.Choice(["portable", "exact"]),
        default="portable",
        show_default=True,
        help="Modes of context files: 664 and 775 as 644 and 755, or as they are.",
    ),
    click.option(
        "--reproducible", is_flag=True, help="Date all by SOURCE_DATE_EPOCH, else by the context: RUN files, too."
    ),
    click.option("--verify", is_flag=True, help="Build a second time in other surroundings, name what differs."),
    click.option("-q", "--quiet", is_flag=True, help="Print nothing but the image id."),
    click.option(
        "--progress",
        default="auto",
        metavar="MODE",
        help="How progress is shown: auto, plain, tty, quiet, rawjson or none.",
    ),
    unsupported_options,
    click.option("-D", "--debug", is_flag=True, help="Explain warnings, as LAPSTRAKE_DEBUG=1 does."),
    click.option("--root", "root", metavar="FOLDER", help="Where lapstrake keeps everything."),
)
