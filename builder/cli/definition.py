"""Definition: the text and the context folder of a build, wherever they come from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import msgspec

from builder.cli.request import BuildRequest
from builder.errors import SourceFault
from builder.source.ignore import Ignore, read_patterns

_LIMIT = 64 << 20  # bytes of a Dockerfile or ignore file


class Definition(msgspec.Struct, frozen=True):
    """name, text: of the Dockerfile. context: absolute path of its folder.

    ignore_file: beside the Dockerfile, which may not be there; None if the context has no ignore file at all.
    """

    name: str
    text: bytes
    context: str
    ignore_file: str | None = None

    def ignore(self, folder: str) -> Ignore | None:
        """What a folder's ignore file hides; for the context itself, the one beside the Dockerfile comes first."""
        paths = [os.path.join(folder, ".dockerignore")]
        if folder == self.context:
            paths = [self.ignore_file, *paths] if self.ignore_file is not None else []
        for path in paths:
            try:
                with open(path, "rb") as file:
                    patterns = read_patterns(file.read(_LIMIT))
                    return Ignore(patterns) if patterns else None
            except FileNotFoundError:
                continue
            except OSError as error:
                raise SourceFault(f"failed to read {path}: {error.strerror}") from error
        return None


@contextmanager
def opened_definition(request: BuildRequest, stdin: BinaryIO, scratch: str) -> Iterator[Definition]:
    """The definition, as long as the block lasts. Raises SourceFault. scratch: see builder.source.piped."""
    if request.context == "-" == request.file:
        raise SourceFault("invalid argument: can't use stdin for both build context and dockerfile")
    if request.context != "-":
        yield _from_folder(request, stdin)
        return
    from builder.source.piped import received

    with received(stdin, scratch) as (folder, text):
        name = request.file or "Dockerfile"
        yield Definition(os.path.basename(name), _beneath(folder, name) if text is None else text, folder)


def _from_folder(request: BuildRequest, stdin: BinaryIO) -> Definition:
    context = os.path.abspath(request.context)
    if os.path.exists(context) and not os.path.isdir(context):
        raise SourceFault(
            f"unable to prepare context: context must be a directory: {context}",
            f"a Dockerfile is named with -f: -f {request.context} {os.path.dirname(request.context) or '.'}",
        )
    if not os.path.isdir(context):
        raise SourceFault(f"unable to prepare context: path {request.context!r} not found", "give a folder")
    if request.file == "-":
        text = _checked(stdin.read(_LIMIT + 1), "the standard input")
        return Definition("Dockerfile", text, context, f"{context}/Dockerfile.dockerignore")
    paths = [request.file] if request.file is not None else [f"{context}/Dockerfile", f"{context}/dockerfile"]
    for path in paths:
        try:
            with open(path, "rb") as file:
                text = _checked(file.read(_LIMIT + 1), path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise SourceFault(f"failed to read dockerfile: {path}: {error.strerror}") from error
        return Definition(os.path.basename(path), text, context, f"{paths[0]}.dockerignore")
    raise _missing(paths[0])


def _beneath(folder: str, name: str) -> bytes:
    """A file of a context that is not trusted: links lead nowhere but into it."""
    from builder.sandbox.inroot import InRoot

    root = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = InRoot(root).found(name)
        try:
            with open(f"/proc/self/fd/{found}", "rb") as file:
                return _checked(file.read(_LIMIT + 1), name)
        finally:
            os.close(found)
    except FileNotFoundError:
        raise _missing(name) from None
    except OSError as error:
        raise SourceFault(f"failed to read dockerfile: {name}: {error.strerror}") from error
    finally:
        os.close(root)


def _checked(text: bytes, where: str) -> bytes:
    if len(text) > _LIMIT:
        raise SourceFault(f"failed to read dockerfile: {where} has more than {_LIMIT} bytes")
    return text


def _missing(path: str) -> SourceFault:
    return SourceFault(
        f"failed to read dockerfile: open {os.path.basename(path)}: no such file or directory",
        "name it with -f, or build in the folder that has it",
    )
