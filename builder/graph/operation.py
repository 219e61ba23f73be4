"""The closed set of operations. Each is a frozen value whose canonical bytes, with its inputs, name what it makes.

Nothing here holds a secret, a host path, a time or a live object: if it decides bytes of a layer it is a field, and
if it does not, it is not here (display names and source spans live beside the graph, in `graph.VertexInfo`).
"""

from __future__ import annotations

import msgspec

from cache.digest import Digest


class ImageSource(msgspec.Struct, frozen=True, tag="image", kw_only=True):
    """The file system of an existing image. No inputs.

    diff_ids: its layers, which are its identity; manifest: digest of the manifest they come from.
    """

    manifest: Digest
    diff_ids: tuple[Digest, ...]


class LocalSource(msgspec.Struct, frozen=True, tag="local", kw_only=True):
    """A folder of the client, seen through its ignore file. No inputs. name: "context" or a named context's name."""

    name: str


class HttpSource(msgspec.Struct, frozen=True, tag="http", kw_only=True):
    """A tree of one file, `name`, which is what a URL gives: 0600, 0:0, dated by Last-Modified. No inputs.

    checksum: `sha256:<hex>` that its bytes must have, or "".
    """

    url: str
    name: str
    checksum: str = ""


class GitSource(msgspec.Struct, frozen=True, tag="git", kw_only=True):
    """Files of a commit. No inputs. Fields as in `builder.graph.gitref.GitRef`."""

    remote: str
    ref: str = ""
    subdir: str = ""
    checksum: str = ""
    keep_git_dir: bool = False
    submodules: bool = True
    mtime: str = ""
    fetch_by_commit: bool = False


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """One RUN --mount. kind: bind, cache, tmpfs, secret, ssh.

    input: index into the vertex's inputs for a mount that shows a tree (bind, and cache with from), else None.
    source: path in that tree. id: of a cache, secret or ssh mount. mode, uid, gid: -1 for a cache that has those of the
    tree it begins with. Fields that a kind does not have keep their default.
    """

    kind: str
    target: str
    input: int | None = None
    source: str = "/"
    readonly: bool = True
    id: str = ""
    sharing: str = ""
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    required: bool = False
    env: str = ""


class InlineFile(msgspec.Struct, frozen=True, tag="inline", kw_only=True):
    """A heredoc as a file 0:0 of this plain name: mode 0644 for COPY and ADD, 0755 for RUN."""

    name: str
    data: str


class Ulimit(msgspec.Struct, frozen=True):
    """A limit of setrlimit(2): its name in lower case without RLIMIT_; -1 for none."""

    name: str
    soft: int
    hard: int


class Device(msgspec.Struct, frozen=True):
    """A device of the machine that a step asks for, by its CDI name or class."""

    name: str
    required: bool = False


class Exec(msgspec.Struct, frozen=True, tag="exec", kw_only=True):
    """Run one command. inputs[0]: the root (absent for an empty root), further inputs belong to mounts.

    env: `NAME=value`, image ENV and ARGs in scope. network: default, none or host. security: sandbox or insecure.
    hosts: names (not addresses) given by --add-host. files: heredocs that begin with `#!`, seen by the command as
    read-only files of mode 0755 under /dev/pipes, which is never in the layer. shm_size: bytes of /dev/shm, 0 for the
    usual.
    """

    argv: tuple[str, ...]
    env: tuple[str, ...] = ()
    cwd: str = "/"
    user: str = ""
    network: str = "default"
    security: str = "sandbox"
    hostname: str = "buildkitsandbox"
    hosts: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    files: tuple[InlineFile, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()
    shm_size: int = 0
    devices: tuple[Device, ...] = ()
    rooted: bool = True  # False: inputs[0] is not a root, the stage is FROM scratch


class Selection(msgspec.Struct, frozen=True, tag="select", kw_only=True):
    """What one source word selects. input: index into the vertex's inputs.

    path: absolute, cleaned as `/` + path, wildcards of Go's filepath.Match still in it when wildcard is true.
    unpack: if it is a tar archive, what is in it is meant (ADD).
    """

    input: int
    path: str
    wildcard: bool = False
    unpack: bool = False


class Copy(msgspec.Struct, frozen=True, tag="copy", kw_only=True):
    """COPY or ADD. inputs[0]: the tree copied onto, unless `rooted` is false; the rest: trees copied from.

    dest: absolute path, a trailing slash kept. chown: as written after expansion ("" for none). chmod: as written.
    link: copy onto an empty tree. exclude: ignore patterns. parents: keep the sources' parent directories.
    """

    sources: tuple[Selection | InlineFile, ...]
    dest: str
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()
    rooted: bool = True

    @property
    def first_source(self) -> int:
        """The index in a vertex's inputs of the first tree that is only read."""
        return 1 if self.rooted else 0


class MakeDir(msgspec.Struct, frozen=True, tag="mkdir", kw_only=True):
    """WORKDIR: make path and its missing parents, 0755, owned by user (USER's text). inputs[0]: the root, if rooted."""

    path: str
    user: str = ""
    rooted: bool = True


RemoteSource = HttpSource | GitSource
"""What lies somewhere else, and is asked for when a step reads it."""

FileSource = LocalSource | RemoteSource
"""Files that are no layers: steps only ever read them by path."""

Operation = ImageSource | FileSource | Exec | Copy | MakeDir
