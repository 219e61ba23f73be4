"""Where a build's policy files come from: the context, here or elsewhere, and the working directory."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable

from builder.cli.contextfile import read_beneath
from builder.errors import PolicyFault

_CWD = "cwd://"


class ContextFiles:
    """folder: of the context, "" if there is none here. remote: reads a file of a context that is elsewhere."""

    def __init__(self, folder: str, remote: Callable[[str, int], bytes | None] | None = None) -> None:
        self._folder, self._remote = folder, remote

    def read(self, name: str, limit: int) -> bytes | None:
        """See builder.policy.files.PolicyFiles."""
        if "\0" in name or name in ("", _CWD):
            raise PolicyFault(f"invalid policy filename {name!r}")
        if name.startswith(_CWD):
            return _beneath(os.getcwd(), posixpath.normpath(name.removeprefix(_CWD)), name, limit)
        if self._remote is not None:
            path = posixpath.normpath(f"/{name}").lstrip("/")
            if not path:
                raise PolicyFault(f"invalid remote policy filename {name!r}")
            return self._remote(path, limit)
        if not self._folder:
            return None
        path = os.path.relpath(name, self._folder) if os.path.isabs(name) else posixpath.normpath(name)
        return _beneath(self._folder, path, name, limit)


def _beneath(folder: str, path: str, name: str, limit: int) -> bytes | None:
    if path == ".." or path.startswith(("../", "/")):
        raise PolicyFault(
            f"failed to stat policy file {name}: path escapes from parent",
            f"its folder is {folder}; one of the working directory is {_CWD}FILE",
        )
    try:
        return read_beneath(folder, path, limit)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PolicyFault(f"failed to read policy file {name}: {error.strerror}") from error
