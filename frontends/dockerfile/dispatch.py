"""dispatch: one instruction carried out on a Fold (BuildKit's dispatch)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from frontends.dockerfile import metadata
from frontends.dockerfile.copying import fold_copy
from frontends.dockerfile.fold import Fold
from frontends.dockerfile.instructions import (
    Add,
    AnyInstruction,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from frontends.dockerfile.run import fold_run
from frontends.errors import FrontendFault


def dispatch(fold: Fold, instruction: AnyInstruction, *, onbuild: bool = False) -> None:
    """Carry out one instruction. Raises FrontendFault with its place."""
    fold.onbuild = onbuild
    try:
        _HANDLERS[type(instruction)](fold, instruction)
    except FrontendFault as error:
        raise error.at(fold.shared.source, instruction.lines) from None


_HANDLERS: dict[type, Callable[[Fold, Any], None]] = {
    Add: fold_copy, Arg: metadata.fold_arg, Cmd: metadata.fold_cmd, Copy: fold_copy,
    Entrypoint: metadata.fold_entrypoint, Env: metadata.fold_env, Expose: metadata.fold_expose,
    Healthcheck: metadata.fold_healthcheck, Label: metadata.fold_label, Maintainer: metadata.fold_maintainer,
    Onbuild: metadata.fold_onbuild, Run: fold_run, Shell: metadata.fold_shell, StopSignal: metadata.fold_stopsignal,
    User: metadata.fold_user, Volume: metadata.fold_volume, Workdir: metadata.fold_workdir,
}  # fmt: skip
