"""COPY and ADD as one Copy operation (BuildKit's dispatchCopy)."""

from __future__ import annotations

import re

from msgspec.structs import replace

from builder.graph.graph import Span, VertexInfo
from builder.graph.operation import Copy as CopyOperation
from builder.graph.operation import HttpSource, InlineFile, MakeDir, RemoteSource, Selection
from cache.digest import Digest
from frontends.dockerfile import paths
from frontends.dockerfile.fold import Fold
from frontends.dockerfile.gotext import quote
from frontends.dockerfile.instructions import Add, Copy
from frontends.dockerfile.remote import is_remote, remote_source
from frontends.errors import LowerFault

_SYMBOLIC = re.compile(r"[ugoa]*(?:[-+=](?:[rwxXst]*|[ugo]))+(?:,[ugoa]*(?:[-+=](?:[rwxXst]*|[ugo]))+)*\Z")
PIVOT = "/./"


def fold_copy(fold: Fold, copy: Copy | Add) -> None:
    """Add the step, its layer and its history entry. Raises LowerFault."""
    sources = [fold.expand(word, copy) for word in copy.paths]
    dest = fold.expand(copy.dest, copy)
    chown, chmod = fold.expand(copy.chown, copy), fold.expand(copy.chmod, copy)
    inlines = [InlineFile(name=_plain(i.name), data=fold.expand(i.data, copy)) for i in copy.inlines]
    _check_mode(chmod)
    checksum = _checksum(fold, copy, sources)
    parents = isinstance(copy, Copy) and copy.parents
    source_stage = copy.source_stage if isinstance(copy, Copy) else ""
    rooted = fold.vertex is not None
    inputs: list[Digest] = []
    selections = []
    name = fold.next_name(fold.display(copy.display))
    for source in sources:
        remote = remote_source(copy, source, checksum)
        if remote is not None:
            tree, path = _remote_vertex(fold, copy, remote, name), _path(remote)
            unpack = isinstance(remote, HttpSource) and isinstance(copy, Add) and copy.unpack is True
            selection = Selection(input=0, path=path, unpack=unpack)
        else:
            tree, selection = _tree(fold, copy, source_stage), _selection(fold, copy, source, parents)
        if tree not in inputs:
            inputs.append(tree)
        selections.append(replace(selection, input=inputs.index(tree) + rooted))
    operation = CopyOperation(
        sources=(*selections, *inlines),
        dest=paths.destination(fold.workdir, dest),
        chown=chown,
        chmod=chmod,
        link=copy.link and not chmod,
        parents=parents,
        exclude=copy.exclude,
        rooted=rooted,
    )
    fold.named_step(operation, tuple(inputs), copy, name)
    words = ["ADD" if isinstance(copy, Add) else "COPY"]
    words += ["--parents"] if parents else []
    words += [f"--chown={chown}"] if chown else []
    words += [f"--chmod={chmod}"] if chmod else []
    words += [*sources, *(f"<<{inline.name}" for inline in inlines), dest]
    fold.commit(f"{' '.join(words)} # buildkit", layer=True)


def _tree(fold: Fold, copy: Copy | Add, name: str) -> Digest:
    index = fold.shared.stages.source(copy) if isinstance(copy, Copy) else None
    late = f"cannot copy from stage {quote(name)}, it needs to be defined before current stage {quote(fold.title)}"
    tree = fold.shared.tree(name, index, copy.lines, late)
    if tree is not None:
        return tree
    return fold.shared.graph.add(MakeDir(path="/", rooted=False), (), VertexInfo("[internal] FROM scratch"))


def _remote_vertex(fold: Fold, copy: Copy | Add, remote: RemoteSource, name: str) -> Digest:
    span = Span(fold.shared.source.name, copy.lines.first, copy.lines.last)
    return fold.shared.graph.add(remote, (), VertexInfo(name, span))


def _path(remote: RemoteSource) -> str:
    return f"/{remote.name}" if isinstance(remote, HttpSource) else "/"


def _selection(fold: Fold, copy: Copy | Add, source: str, parents: bool) -> Selection:
    """With --parents the path keeps the pivot `/./`: what is before it is not part of the names made."""
    name = paths.clean(source).lstrip("/")
    if not (isinstance(copy, Copy) and copy.source_stage) and fold.shared.ignored(name):
        fold.report("CopyIgnoredFile", copy, "Add" if isinstance(copy, Add) else "Copy", quote(name or "."))
    if not parents:
        unpack = isinstance(copy, Add) and copy.unpack is not False
        return Selection(input=0, path=paths.clean(source), wildcard=paths.has_wildcard(source), unpack=unpack)
    root, pivot, pattern = source.partition(PIVOT)
    root, pattern = (root, pattern) if pivot else ("", source)
    path = paths.clean(root).rstrip("/") + PIVOT + paths.clean(pattern).lstrip("/")
    return Selection(input=0, path=path, wildcard=paths.has_wildcard(source))


def _checksum(fold: Fold, copy: Copy | Add, sources: list[str]) -> str:
    checksum = fold.expand(copy.checksum, copy) if isinstance(copy, Add) else ""
    if checksum and len(sources) != 1:
        raise LowerFault("checksum can't be specified for multiple sources")
    if checksum and not is_remote(sources[0]):
        raise LowerFault("checksum requires HTTP(S) or Git sources")
    return checksum


def _check_mode(text: str) -> None:
    octal = re.fullmatch("[0-7]+", text)
    if (octal and int(text, 8) <= 0o7777) or (not octal and _SYMBOLIC.match(text)) or not text:
        return
    raise LowerFault(
        f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777",
        "write it as 755 or u=rwX,go=rX",
    )


def _plain(name: str) -> str:
    if "/" in name or name in (".", ".."):
        raise LowerFault(f"heredoc {quote(name)} cannot be the name of a file", "use a name without a slash")
    return name
