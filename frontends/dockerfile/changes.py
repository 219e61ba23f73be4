"""Instructions that change an image's config and nothing else, given one by one: `import --change`."""

from __future__ import annotations

import msgspec

from builder.graph.graph import GraphBuilder
from builder.oci.config import ImageConfig, RuntimeConfig
from builder.oci.platform import Platform
from frontends.dockerfile.dispatch import dispatch
from frontends.dockerfile.fold import Fold, Shared, StageState
from frontends.dockerfile.instructions import (
    Cmd,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Label,
    Onbuild,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from frontends.dockerfile.lint import Lint, parse_check
from frontends.dockerfile.options import LowerOptions
from frontends.dockerfile.parse import parse
from frontends.dockerfile.stages import Stages
from frontends.errors import LowerFault
from frontends.text import Source

_ALLOWED = (Cmd, Entrypoint, Env, Expose, Healthcheck, Label, Onbuild, StopSignal, User, Volume, Workdir)


def changed(changes: tuple[str, ...], platform: Platform) -> RuntimeConfig:
    """What they make of an empty config. Raises FrontendFault: an instruction with an error, or one of another kind."""
    if not changes:
        return RuntimeConfig()
    if not any(change.strip() for change in changes):
        raise LowerFault("file with no instructions", "give one, such as CMD /bin/sh")
    dockerfile = parse(Source("--change", "\n".join(changes).encode("utf-8", "surrogateescape")), whole=False)
    shared = Shared(
        source=dockerfile.source,
        options=LowerOptions(platform=platform, build_platform=platform),
        lint=Lint(parse_check(""), dockerfile.source.name),
        graph=GraphBuilder(),
        stages=Stages((), {}, {}),
        tree=lambda *_: None,
        ignored=lambda _: False,
    )
    fold = Fold(StageState(config=ImageConfig(platform), platform=platform), shared, "", 0, 0)
    fold.runtime, fold.env = RuntimeConfig(), {}  # no PATH that nobody asked for
    for instruction in dockerfile.tree.instructions:
        if not isinstance(instruction, _ALLOWED):
            raise LowerFault(
                f"{instruction.keyword} is not a valid change command",
                f"use one of: {', '.join(kind.__name__.upper() for kind in _ALLOWED)}",
            )
        dispatch(fold, instruction)
    return msgspec.structs.replace(fold.runtime, args_escaped=False)
