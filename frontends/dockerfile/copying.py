"""COPY and ADD as one Copy operation (BuildKit's dispatchCopy)."""

from __future__ import annotations

import re

from builder.graph.operation import Copy as CopyOperation
from builder.graph.operation import InlineFile, Selection
from cache.digest import Digest
from frontends.dockerfile import paths
from frontends.dockerfile.fold import Fold
from frontends.dockerfile.gotext import quote
from frontends.dockerfile.instructions import Add, Copy
from frontends.errors import LowerFault

_SYMBOLIC = re.compile(r"[ugoa]*(?:[-+=](?:[rwxXst]*|[ugo]))+(?:,[ugoa]*(?:[-+=](?:[rwxXst]*|[ugo]))+)*\Z")
_GIT = re.compile(r"(?:git|ssh)://|[\w.-]+@[\w.-]+:|https?://[^?#]+\.git(?:[?#]|\Z)|git@")
_URL = ("http://", "https://")
PIVOT = "/./"


def fold_copy(fold: Fold, copy: Copy | Add) -> None:
    """Add the step, its layer and its history entry. Raises LowerFault."""
    sources = [fold.expand(word, copy) for word in copy.paths]
    dest = fold.expand(copy.dest, copy)
    chown, chmod = fold.expand(copy.chown, copy), fold.expand(copy.chmod, copy)
    inlines = [InlineFile(name=_plain(i.name), data=fold.expand(i.data, copy)) for i in copy.inlines]
    _check_mode(chmod)
    _check_checksum(fold, copy, sources)
    parents = isinstance(copy, Copy) and copy.parents
    source_stage = copy.source_stage if isinstance(copy, Copy) else ""
    inputs: list[Digest] = []
    if sources:
        tree = _tree(fold, copy, source_stage)
        inputs = [tree] if tree is not None else []
    rooted = fold.vertex is not None
    selections = [_selection(fold, copy, source, int(rooted), parents) for source in sources]
    if sources and not inputs:
        raise LowerFault(f"{quote(source_stage)} has no files to copy from", "it is FROM scratch and has no layers")
    operation = CopyOperation(
        sources=(*selections, *inlines),
        dest=paths.destination(fold.workdir, dest),
        chown=chown,
        chmod=chmod,
        link=copy.link and not chmod,
        parents=parents,
        unpack=isinstance(copy, Add) and copy.unpack is not False,
        exclude=copy.exclude,
        rooted=rooted,
    )
    fold.step(operation, tuple(inputs), copy, fold.display(copy.display))
    words = ["ADD" if isinstance(copy, Add) else "COPY"]
    words += ["--parents"] if parents else []
    words += [f"--chown={chown}"] if chown else []
    words += [f"--chmod={chmod}"] if chmod else []
    words += [*sources, *(f"<<{inline.name}" for inline in inlines), dest]
    fold.commit(f"{' '.join(words)} # buildkit", layer=True)


def _tree(fold: Fold, copy: Copy | Add, name: str) -> Digest | None:
    index = fold.shared.stages.source(copy) if isinstance(copy, Copy) else None
    late = f"cannot copy from stage {quote(name)}, it needs to be defined before current stage {quote(fold.title)}"
    return fold.shared.tree(name, index, copy.lines, late)


def _selection(fold: Fold, copy: Copy | Add, source: str, at: int, parents: bool) -> Selection:
    """With --parents the path keeps the pivot `/./`: what is before it is not part of the names made."""
    _check_local(copy, source)
    if not (isinstance(copy, Copy) and copy.source_stage) and fold.shared.ignored(paths.clean(source).lstrip("/")):
        keyword = "Add" if isinstance(copy, Add) else "Copy"
        fold.report("CopyIgnoredFile", copy, keyword, quote(paths.clean(source).lstrip("/")))
    if not parents:
        return Selection(input=at, path=paths.clean(source), wildcard=paths.has_wildcard(source))
    root, pivot, pattern = source.partition(PIVOT)
    root, pattern = (root, pattern) if pivot else ("", source)
    path = paths.clean(root).rstrip("/") + PIVOT + paths.clean(pattern).lstrip("/")
    return Selection(input=at, path=path, wildcard=paths.has_wildcard(source))


def _check_local(copy: Copy | Add, source: str) -> None:
    is_git = _GIT.match(source) is not None
    if not is_git and not source.startswith(_URL):
        return
    what = "a git ref" if is_git else "a URL"
    if isinstance(copy, Copy):
        raise LowerFault(f"source can't be {what} for COPY")
    raise LowerFault(f"ADD of {what} is not supported: {source}", "fetch it beforehand, or in a RUN step")


def _check_checksum(fold: Fold, copy: Copy | Add, sources: list[str]) -> None:
    if not isinstance(copy, Add) or not fold.expand(copy.checksum, copy):
        return
    if len(sources) != 1:
        raise LowerFault("checksum can't be specified for multiple sources")
    if not sources[0].startswith(_URL) and not _GIT.match(sources[0]):
        raise LowerFault("checksum requires HTTP(S) or Git sources")


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
