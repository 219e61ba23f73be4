"""Definition: the text and the context folder of a build, wherever they come from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

import msgspec

from builder.cli.contextfile import read_beneath
from builder.cli.request import BuildRequest, remote_context
from builder.errors import SourceFault
from builder.graph.gitref import redacted
from builder.graph.operation import GitSource, HttpSource, RemoteSource
from builder.oci.boolean import parse_bool
from builder.source.ignore import Ignore, read_patterns
from builder.source.remotes import Remotes

_LIMIT = 64 << 20  # bytes of a Dockerfile or ignore file


class Definition(msgspec.Struct, frozen=True):
    """name, text: of the Dockerfile. context: absolute path of its folder, "" if it is a remote source.

    ignore_file: beside the Dockerfile, which may not be there; None if the context has no ignore file at all.
    archive: the source is a tar archive. owners: see LocalContext.
    """

    name: str
    text: bytes
    context: str
    ignore_file: str | None = None
    source: RemoteSource | None = None
    archive: bool = False
    owners: dict[bytes, tuple[int, int]] = msgspec.field(default_factory=dict)

    def ignore(self, folder: str) -> Ignore | None:
        """What a folder's ignore file hides."""
        _, text = self.ignore_text(folder)
        patterns = read_patterns(text)
        return Ignore(patterns) if patterns else None

    def ignore_text(self, folder: str) -> tuple[str, bytes]:
        """A folder's ignore file and what is in it, both empty if there is none.

        For the context itself, the one beside the Dockerfile comes first. Raises SourceFault.
        """
        paths = [os.path.join(folder, ".dockerignore")]
        if folder == self.context:
            paths = [self.ignore_file, *paths] if self.ignore_file is not None else []
        for path in paths:
            try:
                return path, read_beneath(os.path.dirname(path) or ".", os.path.basename(path), _LIMIT)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise SourceFault(f"failed to read {path}: {error.strerror}") from error
        return "", b""


@contextmanager
def opened_definition(request: BuildRequest, stdin: BinaryIO, scratch: str, remotes: Remotes) -> Iterator[Definition]:
    """The definition, as long as the block lasts. Raises SourceFault. scratch: see builder.source.piped."""
    if request.context == "-" == request.file:
        raise SourceFault("invalid argument: can't use stdin for both build context and dockerfile")
    if request.context != "-":
        source = remote_context(request.context, _keeps_git_dir(request))
        yield _from_folder(request, stdin, remotes) if source is None else _from_remote(request, stdin, source, remotes)
        return
    from builder.cli.bounds import unpack_limits
    from builder.source.piped import received

    with received(stdin, scratch, unpack_limits(os.environ)) as found:
        name = request.file or "Dockerfile"
        text = _beneath(found.folder, name) if found.text is None else found.text
        yield Definition(os.path.basename(name), text, found.folder, owners=found.owners)


def _keeps_git_dir(request: BuildRequest) -> bool:
    return parse_bool(dict(request.build_args).get("BUILDKIT_CONTEXT_KEEP_GIT_DIR", "")) is True


def _from_remote(request: BuildRequest, stdin: BinaryIO, source: RemoteSource, remotes: Remotes) -> Definition:
    """A git repository, an archive or a Dockerfile alone: there is no ignore file, as in BuildKit."""
    source = remotes.used(source)
    archive = isinstance(source, HttpSource) and remotes.downloads.is_archive(source)
    if request.file == "-":
        text = _checked(stdin.read(_LIMIT + 1), "the standard input")
        return Definition("Dockerfile", text, "", None, source, archive)
    if isinstance(source, HttpSource) and not archive:
        return Definition(source.name, _downloaded(source, remotes), "", None, source)
    for name in (request.file,) if request.file is not None else ("Dockerfile", "dockerfile"):
        if isinstance(source, GitSource):
            found = remotes.git.read(source, name)
            if found is None:
                found = _checked_out(remotes.git.tree(source).root, name)
        else:
            found = remotes.downloads.member(source, name, _LIMIT)
        if found is not None:
            return Definition(os.path.basename(name), _checked(found, name), "", None, source, archive)
    raise _Missing(
        f"failed to read dockerfile: open {request.file or 'Dockerfile'}: no such file or directory",
        "name it with -f, as a path from the context's root",
    )


def _checked_out(folder: str, name: str) -> bytes | None:
    try:
        return _beneath(folder, name)
    except _Missing:
        return None


def _downloaded(source: HttpSource, remotes: Remotes) -> bytes:
    parts: list[bytes] = []
    size = 0
    for data in remotes.tree(source).content(b"").chunks():
        parts.append(data)
        size += len(data)
        if size > _LIMIT:
            break
    return _checked(b"".join(parts), redacted(source.url))


def _from_folder(request: BuildRequest, stdin: BinaryIO, remotes: Remotes) -> Definition:
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
    if request.file is not None and request.file.startswith(("http://", "https://")):
        text = _downloaded(HttpSource(url=request.file, name="Dockerfile"), remotes)
        return Definition("Dockerfile", text, context, f"{context}/Dockerfile.dockerignore")
    if request.file is None:
        for name in ("Dockerfile", "dockerfile"):
            with suppress(_Missing):
                return Definition(name, _beneath(context, name), context, f"{context}/Dockerfile.dockerignore")
        raise _missing("Dockerfile")
    try:
        with open(request.file, "rb") as file:  # what the user names may be anything, a pipe for one
            text = _checked(file.read(_LIMIT + 1), request.file)
    except FileNotFoundError:
        raise _missing(request.file) from None
    except OSError as error:
        raise SourceFault(f"failed to read dockerfile: {request.file}: {error.strerror}") from error
    return Definition(os.path.basename(request.file), text, context, f"{request.file}.dockerignore")


def _beneath(folder: str, name: str) -> bytes:
    """The Dockerfile of a context that is not trusted."""
    try:
        return _checked(read_beneath(folder, name, _LIMIT + 1), name)
    except FileNotFoundError:
        raise _missing(name) from None
    except OSError as error:
        raise SourceFault(f"failed to read dockerfile: {name}: {error.strerror}") from error


def _checked(text: bytes, where: str) -> bytes:
    if len(text) > _LIMIT:
        raise SourceFault(f"failed to read dockerfile: {where} has more than {_LIMIT} bytes")
    return text


class _Missing(SourceFault):
    """There is no such Dockerfile."""


def _missing(path: str) -> _Missing:
    return _Missing(
        f"failed to read dockerfile: open {os.path.basename(path)}: no such file or directory",
        "name it with -f, or build in the folder that has it",
    )
