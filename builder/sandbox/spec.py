"""SandboxSpec: everything the sandbox must know of one command, as a value that crosses a pipe as JSON."""

from __future__ import annotations

import msgspec


class OverlayRoot(msgspec.Struct, frozen=True, tag="overlay"):
    """An overlay mount (kernel Documentation/filesystems/overlayfs.rst) made inside the sandbox's own namespace.

    base: absolute path of the folder that the other names are relative to (short names keep the option string
    within one page). lowers: topmost first; may be empty. upper, work: empty folders on one file system.
    userxattr: marks are kept in user.overlay.* since trusted.* is not to be had in a user namespace.
    """

    base: str
    lowers: tuple[str, ...]
    upper: str
    work: str
    userxattr: bool = False


class PlainRoot(msgspec.Struct, frozen=True, tag="plain"):
    """A writable folder that is the whole root. path: absolute."""

    path: str


class BindMount(msgspec.Struct, frozen=True, tag="bind"):
    """source: absolute path on the host of a folder or socket that the builder itself made. target: absolute inside.

    path: what of the source is shown, resolved beneath it, links not followed.
    """

    source: str
    target: str
    path: str = ""
    readonly: bool = True


class TreeMount(msgspec.Struct, frozen=True, tag="tree"):
    """A tree of layers, writable or not; what is written to it is thrown away by whoever made it.

    path: what of it is shown, links followed inside it.
    """

    root: OverlayRoot | PlainRoot
    target: str
    path: str = ""
    readonly: bool = True


class TmpfsMount(msgspec.Struct, frozen=True, tag="tmpfs"):
    """size: bytes, 0 for the kernel's default. mode, uid, gid: of its root. noexec: no program in it can be started."""

    target: str
    size: int = 0
    mode: int = 0o1777
    readonly: bool = False
    noexec: bool = False
    uid: int = 0
    gid: int = 0


class OwnMount(msgspec.Struct, frozen=True, tag="own"):
    """A folder of the root itself, which stays writable where the root is not."""

    target: str


class FileMount(msgspec.Struct, frozen=True, tag="file"):
    """A small file that lives in memory alone: read-only, nosuid, nodev, and noexec unless executable is true.

    data: base64 in the JSON. Owner and group by number, inside.
    """

    target: str
    data: bytes
    mode: int = 0o400
    uid: int = 0
    gid: int = 0
    executable: bool = False


class DeviceNode(msgspec.Struct, frozen=True, tag="device"):
    """A device of the machine. target: absolute inside. host: of the node. mode: with its type. device: st_rdev."""

    target: str
    host: str
    mode: int
    device: int
    uid: int = 0
    gid: int = 0


class Given(msgspec.Struct, frozen=True):
    """What devices add to a step."""

    nodes: tuple[DeviceNode, ...] = ()
    mounts: tuple[BindMount, ...] = ()
    env: tuple[str, ...] = ()


Mount = BindMount | DeviceNode | TreeMount | TmpfsMount | OwnMount | FileMount


DEFAULT_SHM_SIZE = 64 << 20


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a step may use (cgroups(7)); 0 or "" for no limit.

    memory, memory_swap: bytes, the second of memory and swap together, -1 for any. cpu_period, cpu_quota:
    microseconds. cpuset_cpus, cpuset_mems: lists as in cpuset(7). parent: the cgroup that steps' own are made in.
    """

    memory: int = 0
    memory_swap: int = 0
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    parent: str = ""


class Cgroup(msgspec.Struct, frozen=True):
    """One that a step runs in. folder: absolute. controllers: of its version 1 hierarchy, "" for version 2."""

    folder: str
    controllers: str = ""


class SandboxSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One command in one root.

    argv: argv[0] without a slash is looked up in env's PATH inside the root. env: `NAME=value`, complete but for
    HOME, which is set from the root's /etc/passwd when absent. cwd: absolute inside the root; created 0755 if absent.
    user: as in a Dockerfile's USER ("", "name", "1000", "name:group", "0:0"), resolved inside the root.
    network: "default" and "host" share the machine's network, "none" has a loopback only.
    listen: with "none", a port of that loopback whose listening socket the builder gets; 0 for none.
    hosts: full text of /etc/hosts; resolv_conf: full text of /etc/resolv.conf; both are bound over the root's own
    and never reach the layer. shm_size: bytes. ulimits: (name in lower case, soft, hard), -1 for no limit.
    cgroups: those that the command runs in, which it also sees at /sys/fs/cgroup.
    insecure: all capabilities, no filter of system calls, nothing masked, loop devices (RUN --security=insecure).
    terminal: rows and columns of a terminal in the root's own /dev/pts, which becomes its standard streams and the one
    that controls it; None for none. readonly: the root, but for what is mounted in it.
    """

    root: OverlayRoot | PlainRoot
    argv: tuple[str, ...]
    env: tuple[str, ...] = ()
    cwd: str = "/"
    user: str = ""
    hostname: str = "buildkitsandbox"
    network: str = "default"
    listen: int = 0
    hosts: str = "127.0.0.1\tlocalhost\n::1\tlocalhost\n"
    resolv_conf: str = ""
    mounts: tuple[Mount, ...] = ()
    shm_size: int = DEFAULT_SHM_SIZE
    ulimits: tuple[tuple[str, int, int], ...] = ()
    cgroups: tuple[Cgroup, ...] = ()
    insecure: bool = False
    terminal: tuple[int, int] | None = None
    readonly: bool = False
