"""The modules of one policy, imported ones too."""

from __future__ import annotations

import re
from collections.abc import Sequence

from builder.errors import PolicyFault
from builder.policy.files import PolicyFiles
from builder.policy.module import LIMIT, Import, Module
from builder.policy.names import HELPERS, HELPERS_NAME

_MOST_MODULES = 200
_PART = re.compile(r"[A-Za-z_]\w*\Z", re.ASCII)


def loaded(given: Sequence[tuple[str, bytes]], files: PolicyFiles, lenient: bool = False) -> tuple[Module, ...]:
    """All modules of a policy: its own, those that they import, and the helper rules.

    given: names and bytes of its files. lenient: an import whose package is there already needs no file (tests).
    Raises PolicyFault, with file and line.
    """
    modules = _with_imports([Module.read(name, raw) for name, raw in given], files, lenient)
    return (*modules, Module.read(HELPERS_NAME, HELPERS.encode()))


def _with_imports(own: list[Module], files: PolicyFiles, lenient: bool) -> list[Module]:
    modules, queue = list(own), list(own)
    known = {module.name for module in own}
    while queue:
        module = queue.pop(0)
        for one in module.imports:
            path = f"{'/'.join(one.path[1:])}.rego"
            if one.path[0] != "data" or len(one.path) < 2 or path in known:
                continue
            if lenient and any(other.package == one.path[1:] for other in modules):
                continue
            if len(modules) >= _MOST_MODULES:
                raise PolicyFault(f"{module.name}:{one.line}: a policy has at most {_MOST_MODULES} modules")
            found = _imported(one, path, module, files)
            known.add(path)
            modules.append(found)
            queue.append(found)
    return modules


def _imported(one: Import, path: str, module: Module, files: PolicyFiles) -> Module:
    """The module has the package that it is imported as, whatever it says itself."""
    raw = files.read(path, LIMIT + 1) if all(_PART.match(part) for part in one.path[1:]) else None
    if raw is None:
        name = ".".join(one.path)
        raise PolicyFault(
            f"{module.name}:{one.line}: import {name} not found for module {module.name}",
            f"it is read from {path} of the context",
        )
    return Module.read(path, raw).moved(one.path[1:])
