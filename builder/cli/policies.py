"""The policies of a build: found, read, and put where its sources are asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from builder.cli.contextfile import read_beneath
from builder.cli.definition import Definition
from builder.cli.reporter import Reporter
from builder.cli.request import BuildRequest
from builder.errors import PolicyFault
from builder.graph.operation import GitSource, HttpSource
from builder.source.remotes import Remotes

if TYPE_CHECKING:
    from builder.cli.policyfiles import ContextFiles
    from builder.policy.engine import Engine
    from builder.policy.options import PolicyGroup

_LIMIT = (4 << 20) + 1  # bytes, one more than a policy may have


@contextmanager
def opened_policies(
    request: BuildRequest, definition: Definition, remotes: Remotes, report: Reporter, debug: bool
) -> Iterator[None]:
    """As long as the block lasts, remotes.rules asks the policies, too. debug: their log says all, unless told.

    Raises PolicyFault. A build without a policy looks for one file, and imports nothing.
    """
    default = _default(request, definition, remotes)
    if not request.policies and default is None:
        _read_dockerfile(request, definition, remotes)
        yield
        return
    from builder.policy.engine import Engine
    from builder.policy.options import PolicyFile, groups

    engine = Engine()
    try:
        found = groups(PolicyFile(*default) if default is not None else None, request.policies)
        if found:
            _put(request, definition, remotes, report, found, engine, debug)
        _read_dockerfile(request, definition, remotes)
        yield
    finally:
        engine.close()


def _read_dockerfile(request: BuildRequest, definition: Definition, remotes: Remotes) -> None:
    """Ask whether the client's folder with the Dockerfile may be read, which is a source of its own in BuildKit."""
    if remotes.rules is not None and (definition.source is None or request.file == "-"):
        remotes.rules.local("dockerfile")


def _beside(request: BuildRequest, definition: Definition) -> tuple[str, str] | None:
    """Folder and name of the policy beside a Dockerfile that is a file here."""
    if definition.source is not None or "-" in (request.context, request.file):
        return None
    if request.file is None:
        return definition.context, f"{definition.name}.rego"
    if request.file.startswith(("http://", "https://")):
        return None
    return os.path.dirname(request.file) or ".", f"{os.path.basename(request.file)}.rego"


def _read_beside(folder: str, name: str) -> bytes | None:
    try:
        return read_beneath(folder, name, _LIMIT)
    except FileNotFoundError:
        if not os.path.lexists(os.path.join(folder, name)):
            return None
        reason = "its link leads to no file of the folder"
    except OSError as error:
        reason = error.strerror or str(error)
    raise PolicyFault(
        f"failed to read policy file {os.path.join(folder, name)}: {reason}",
        "build without it by --policy reset=true, and name another one with --policy filename=cwd://FILE",
    )


def _default(request: BuildRequest, definition: Definition, remotes: Remotes) -> tuple[str, bytes] | None:
    """Name and bytes of the policy beside the Dockerfile; in a context that is elsewhere it lies there."""
    if definition.source is not None:
        name = f"{request.file or definition.name}.rego"
        data = None if request.file == "-" else _files(request, definition, remotes).read(name, _LIMIT)
        return None if data is None else (name, data)
    beside = _beside(request, definition)
    data = None if beside is None else _read_beside(*beside)
    if beside is None or data is None:
        return None
    folder = os.path.dirname(request.file or "") or _shown(request)
    return os.path.normpath(os.path.join(folder, beside[1])), data


def _shown(request: BuildRequest) -> str:
    return request.context if request.file is None else ""


def _put(
    request: BuildRequest,
    definition: Definition,
    remotes: Remotes,
    report: Reporter,
    found: tuple[PolicyGroup, ...],
    engine: Engine,
    debug: bool,
) -> None:
    from builder.cli.policylog import PolicyLog
    from builder.cli.policytrust import trust_of
    from builder.policy.input import Env
    from builder.policy.loaded import loaded
    from builder.policy.log import DEBUG, INFO
    from builder.policy.regopolicies import RegoPolicies
    from builder.policy.regopolicy import RegoPolicy
    from builder.source.sourcerules import SourceRules

    files = _files(request, definition, remotes)
    read = [(group, _texts(group, files)) for group in found]
    read = [(group, texts) for group, texts in read if texts]
    if not read:
        return
    env = Env(
        depth=0,
        args=dict(request.build_args),
        labels=dict(request.labels),
        filename=os.path.basename(os.path.normpath(request.file)) if request.file else "Dockerfile",
        target=request.target,
    )
    log = PolicyLog([name for _, texts in read for name, _ in texts], report)
    policies, proxied, trust = [], False, trust_of(os.environ)
    with log.talking():
        for group, texts in read:
            told = log.at(group.level if group.level is not None else DEBUG if debug else INFO)
            policy = RegoPolicy(loaded(texts, files), env, engine, files, told, trust)
            policies.append((policy, told))
            proxied = "exec.proxy" in policy.caps() or proxied
        if proxied:
            log.at(INFO)(INFO, "policy enabled network proxy")
    rules = remotes.rules or SourceRules()
    rules.proxied = proxied
    rules.rego = RegoPolicies(policies, log.talking, trust, engine.cancel)
    remotes.rules = rules
    if definition.source is not None:
        remotes.used(definition.source)


def _texts(group: PolicyGroup, files: ContextFiles) -> list[tuple[str, bytes]]:
    found = []
    for one in group.files:
        data = one.data if one.data is not None else files.read(one.name, _LIMIT)
        if data is not None:
            found.append((one.name, data))
        else:
            raise PolicyFault(f"policy file {one.name} not found", "a name is one of the context, or cwd://FILE")
    return found


def _files(request: BuildRequest, definition: Definition, remotes: Remotes) -> ContextFiles:
    from builder.cli.policyfiles import ContextFiles

    source = definition.source
    if source is None:
        return ContextFiles("" if request.context == "-" else definition.context)

    def remote(path: str, limit: int) -> bytes | None:
        if isinstance(source, GitSource):
            found = remotes.git.read(source, path)
            if found is None and remotes.git.leads_on(source, path):
                found = _checked_out(remotes.git.tree(source).root, path, limit)
            return found
        assert isinstance(source, HttpSource)
        return remotes.downloads.member(source, path, limit) if definition.archive else None

    return ContextFiles("", remote)


def _checked_out(folder: str, path: str, limit: int) -> bytes | None:
    try:
        return read_beneath(folder, path, limit)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PolicyFault(f"failed to read policy file {path}: {error.strerror}") from error
