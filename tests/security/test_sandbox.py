"""What a RUN step can see and do: asked from inside, with whole builds. The rows are those of the threat table."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.sandbox import devicecgroup
from builder.sandbox.hierarchy import Hierarchy, find_hierarchies, remove
from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = pytest.mark.e2e


@pytest.fixture
def lapstrake(tmp_path: Path, base: Path) -> Lapstrake:
    return Lapstrake(tmp_path / "store", base)


def inside(lapstrake: Lapstrake, tmp_path: Path, *commands: str, args: tuple[str, ...] = (), before: str = "") -> None:
    """Each command must succeed in a RUN step of its own."""
    text = f"FROM base\n{before}" + "".join(f"RUN {command}\n" for command in commands)
    lapstrake.built(folder(tmp_path / "context", {"Dockerfile": text}), *args)


def test_namespaces(lapstrake: Lapstrake, tmp_path: Path) -> None:
    mine = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in ("mnt", "pid", "ipc", "uts")}
    inside(lapstrake, tmp_path, *(f"test $(readlink /proc/self/ns/{kind}) != {name}" for kind, name in mine.items()))


def test_process_one_is_ours_and_nobody_else_is_seen(lapstrake: Lapstrake, tmp_path: Path) -> None:
    inside(lapstrake, tmp_path, "test $(ls -d /proc/[0-9]* | wc -l) -lt 8 && ls -d /proc/1")


def test_process_one_gives_no_way_out(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """CVE-2019-5736: root in the step has neither the program that runs it, nor its memory, root and files."""
    reads = ("exe", "mem", "environ", "maps", "fd/0", "fd/3", "root/etc/passwd")
    shut = " && ".join(f"! head -c 1 /proc/1/{name}" for name in reads)
    shut += " && ! readlink /proc/1/exe && ! readlink /proc/1/fd/3 && ! ls /proc/1/root/ && ! ls /proc/1/cwd/"
    inside(lapstrake, tmp_path, f"test $(id -u) = 0 && {shut}", "kill -9 1; kill -STOP 1; true")


def test_zombies_are_reaped(lapstrake: Lapstrake, tmp_path: Path) -> None:
    orphans = "for i in 1 2 3 4 5; do (true & echo $! >>/dead); done"
    gone = "n=0; for p in $(cat /dead); do while test -e /proc/$p; do n=$((n+1)); test $n -lt 99; sleep 0.1; done; done"
    inside(lapstrake, tmp_path, f"set -e; {orphans}; test $(wc -l </dead) = 5; {gone}")


def test_no_descriptor_of_the_host(lapstrake: Lapstrake, tmp_path: Path) -> None:
    inside(
        lapstrake,
        tmp_path,
        "ls -l /proc/self/fd >&2; test $(ls /proc/self/fd | wc -l) -le 4",
        "for i in 3 4 5 6 7 8 9 10 11; do ! ls /proc/1/fd/$i/.. 2>/dev/null || exit 1; done",
    )


def test_a_workdir_through_a_descriptor_does_not_leave(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """CVE-2024-21626. Mounts are made by way of descriptors of the machine's folders, the store's among them."""
    mounts = "--mount=type=bind,from=base,target=/m --mount=type=cache,target=/c --mount=type=bind,target=/x"
    for number in range(9, 17):  # where those were
        text = f"FROM base\nWORKDIR /proc/self/fd/{number}/evil\nRUN {mounts} pwd -P >&2; exit 9\n"
        done = lapstrake.refused(folder(tmp_path / "context", {"Dockerfile": text}))
        assert str(tmp_path) not in done.err
        assert not (lapstrake.store / "snapshots" / "evil").exists()
        assert list((lapstrake.store / "caches").rglob("evil")) == []


def test_a_folder_that_a_workdir_needs_is_made_inside(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """By the step itself, where a mount hides what the layer has; links of procfs are but text."""
    text = "FROM base\nRUN ln -s /proc/self/fd /fds && ln -s ../../../../../../../../made /up\n"
    for path, real in {
        "/up/a": "/made/a",
        "/c/b": "/c/b",
        "/proc/self/../../x": "/x",
    }.items():
        text += f"WORKDIR {path}\nRUN --mount=type=cache,target=/c test $(pwd -P) = {real}\n"
    lapstrake.built(folder(tmp_path / "context", {"Dockerfile": text}))
    for path in ("/proc/self/fd/2/x", "/fds/0/x", "/proc/1/root/x", "/proc/self/exe/x", "/proc/sys/x", "/dev/null/x"):
        context = folder(tmp_path / "context", {"Dockerfile": f"{text}WORKDIR {path}\nRUN true\n"})
        assert "RUN true" in lapstrake.refused(context).err, path


def test_environment_is_the_images_alone(lapstrake: Lapstrake, tmp_path: Path) -> None:
    os.environ["HOST_SECRET"] = "x"
    try:
        inside(
            lapstrake,
            tmp_path,
            "test -z \"$HOST_SECRET\" && test \"$HOME\" = /root && ! tr '\\0' '\\n' </proc/1/environ | grep HOST_",
        )
    finally:
        del os.environ["HOST_SECRET"]


def test_a_crash_leaves_no_secrets(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """A core file would be a part of the layer, with the variables of the process in it."""
    context = folder(
        tmp_path / "context",
        {"Dockerfile": "FROM base\nRUN --mount=type=secret,id=s,env=S sh -c 'kill -SEGV $$'; test $(ulimit -c) = 0\n"},
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        lapstrake.built(context, "--secret=id=s,env=S", "-o", str(tmp_path / "out"), env={"S": "s3cr3t"})
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    assert list((tmp_path / "out").rglob("core*")) == []
    folder(context, {"Dockerfile": "FROM base\nRUN test $(ulimit -c) = 7\n"})
    lapstrake.built(context, "--ulimit=core=3584")  # in blocks of 512 bytes


def test_capabilities_and_seccomp_are_dockers(lapstrake: Lapstrake, tmp_path: Path) -> None:
    inside(
        lapstrake,
        tmp_path,
        "grep '^CapEff:.00000000a80425fb$' /proc/self/status",
        "grep '^CapBnd:.00000000a80425fb$' /proc/self/status",
        "grep '^CapAmb:.0000000000000000$' /proc/self/status",
        "grep '^Seccomp:.2$' /proc/self/status",
        "! unshare -m true",
        "! unshare -U true",
        "! mount -t tmpfs none /tmp",
        "! umount /proc",
        "! chroot / mount -t proc none /tmp",
        "! hostname other",
        "date -s @0 2>&1 | grep 'not permitted'",
    )
    inside(lapstrake, tmp_path, "grep '^CapEff:.0000000000000000$' /proc/self/status", before="USER 1000\n")


def test_devices(lapstrake: Lapstrake, tmp_path: Path) -> None:
    inside(
        lapstrake,
        tmp_path,
        "for d in null zero full random urandom tty; do test -c /dev/$d || exit 1; done",
        "test -d /dev/pts && test -d /dev/shm && test -L /dev/fd && echo x > /dev/shm/x && echo > /dev/null",
        "test $(find /dev -type b | wc -l) = 0",
        "! test -e /dev/sda && ! test -e /dev/vda && ! test -e /dev/mem && ! test -e /dev/kmsg",
        "mknod /tmp/disk b 8 0 2>/dev/null; ! head -c 1 /tmp/disk; rm -f /tmp/disk",
    )


KMSG = (1, 11)  # the machine's log: it opens for root wherever nothing forbids it


@pytest.fixture
def parent() -> Iterator[str]:
    """The name of a cgroup for --cgroup-parent, "" where none can be made."""
    name = f"lapstrake-test-{os.getpid()}"
    made = []
    for hierarchy in find_hierarchies():
        try:
            os.mkdir(f"{hierarchy.point}/{name}")
        except OSError:
            continue
        made.append(f"{hierarchy.point}/{name}")
    yield name if made else ""
    for path in made:
        remove(f"{path}/lapstrake")
        remove(path)


@pytest.mark.root  # nobody else can make one
@pytest.mark.parametrize("version", [1, 2])
def test_no_device_of_the_machine_can_be_opened(
    lapstrake: Lapstrake, tmp_path: Path, parent: str, version: int
) -> None:
    """A node stands for the machine's device, its disk for one, wherever it comes from."""
    folders = ("/", "/dev", "/dev/shm", "/tmp", "/c", "/t", "/b", "/l")
    mounts = "--mount=type=cache,target=/c --mount=type=tmpfs,target=/t --mount=type=bind,rw,target=/b "
    mounts += "--mount=type=bind,rw,from=base,target=/l"
    nodes = ("c 1 11", "c 1 1", "c 5 1", "c 10 229", "b 7 0", "b 1 3")
    script = "".join(
        f"mknod {where}/node {node}; ! true <{where}/node || exit 1; rm -f {where}/node; "
        for where in folders
        for node in nodes
    )
    text = f"FROM base\nRUN {mounts} {script} echo x >/dev/null\n"
    hidden = only(version)
    context = folder(tmp_path / "context", {"Dockerfile": text})
    for options in ((), ("--no-cache", "--cgroup-parent", parent)) if parent else ((),):
        done = lapstrake.run(*lapstrake.arguments(context, *options), before=hidden)
        assert done.status == 0, done.err
    opened = "FROM base\nRUN --security=insecure mknod /node c 1 11 && true </node\n"
    if opens(tmp_path, KMSG):
        folder(context, {"Dockerfile": opened})
        done = lapstrake.run(*lapstrake.arguments(context, "--allow", "security.insecure"), before=hidden)
        assert done.status == 0, done.err


@pytest.mark.root
@pytest.mark.parametrize("version", [1, 2])
def test_what_any_container_has_can_be_opened(lapstrake: Lapstrake, tmp_path: Path, parent: str, version: int) -> None:
    """As what fills a root with a distribution does, in a folder of its own."""
    if not any(hierarchy.unified == (version == 2) for hierarchy in usable()):
        pytest.skip("no cgroup for devices can be had here")
    script = "mkdir -p /r/dev && cd /r/dev && mknod null c 1 3 && mknod zero c 1 5 && mknod urandom c 1 9 && "
    script += "echo x >null && test $(head -c 5 zero | wc -c) = 5 && test $(head -c 5 urandom | wc -c) = 5 && "
    script += "mknod /dev/mine c 1 7 && test $(head -c 5 /dev/mine | wc -c) = 5 && mknod log c 1 11 && ! true <log"
    context = folder(tmp_path / "context", {"Dockerfile": f"FROM base\nRUN {script}\n"})
    hidden = only(version)
    for options in ((), ("--no-cache", "--cgroup-parent", parent)) if parent else ((),):
        done = lapstrake.run(*lapstrake.arguments(context, *options), before=hidden)
        assert done.status == 0, done.err
    for hierarchy in usable():
        left = Path(hierarchy.point, hierarchy.own).glob(f"{devicecgroup.PREFIX}*")
        assert [path for path in left if not Path("/proc", path.name.removeprefix(devicecgroup.PREFIX)).exists()] == []


def only(version: int) -> tuple[str, ...]:
    """What runs a program where no other version than this can be had."""
    other = [h.point for h in find_hierarchies() if (h.unified if version == 1 else "devices" in h.controllers)]
    return ("unshare", "--mount", "sh", "-c", f'umount {other[0]}; exec "$@"', "sh") if other else ()


def usable() -> list[Hierarchy]:
    """Those in which this machine lets a cgroup for devices be made."""
    return [h for h in find_hierarchies() if trial(h)]


def trial(hierarchy: Hierarchy) -> bool:
    pid = os.fork()
    if pid == 0:
        made = devicecgroup.enter(os.getpid(), lambda folder: None, (hierarchy,))
        if made is not None:
            made.leave()
            remove(made.folder)
        os._exit(made is None)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def opens(where: Path, numbers: tuple[int, int]) -> bool:
    os.mknod(where / "node", stat.S_IFCHR | 0o600, os.makedev(*numbers))
    try:
        os.close(os.open(where / "node", os.O_RDONLY))
    except OSError:
        return False
    return True


@pytest.mark.root
def test_device_nodes_of_archives_and_of_base_images_open_nothing(lapstrake: Lapstrake, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "nodes.tar", "w") as tar:
        member = tarfile.TarInfo("node")
        member.type, (member.devmajor, member.devminor), member.mode = tarfile.CHRTYPE, KMSG, 0o666
        tar.addfile(member)
    shut = "test -c /node && ! true </node"
    context = folder(tmp_path / "a", {"Dockerfile": f"FROM base\nADD nodes.tar /\nRUN {shut}\n"})
    shutil.copy(tmp_path / "nodes.tar", context)
    lapstrake.built(context, "-o", f"type=docker,dest={tmp_path}/evil.tar")
    text = f"FROM evil AS evil\nRUN {shut}\nFROM base\nRUN --mount=type=bind,from=evil,target=/m ! true </m/node\n"
    context = folder(tmp_path / "b", {"Dockerfile": f"{text}COPY --from=evil /node /node\nRUN {shut}\n"})
    lapstrake.built(context, f"--build-context=evil=docker-archive://{tmp_path}/evil.tar")


def test_proc_and_sys_are_shut(lapstrake: Lapstrake, tmp_path: Path) -> None:
    inside(
        lapstrake,
        tmp_path,
        "! echo 1 > /proc/sys/kernel/sysrq",
        "! echo x > /proc/sysrq-trigger",
        "! touch /sys/x 2>/dev/null && ! echo 1 > /sys/kernel/profiling",
        'test -z "$(cat /proc/kcore 2>/dev/null | head -c 1)"',
        'test -z "$(cat /proc/keys 2>/dev/null)"',
        'test -z "$(ls /proc/acpi /proc/scsi /sys/firmware 2>/dev/null | grep -v :)"',
        "! ls /proc/1/root/../../host 2>/dev/null",
    )


def test_what_is_bound_in_is_not_in_the_layer(lapstrake: Lapstrake, tmp_path: Path) -> None:
    from tests.e2e.compare import layer_names

    text = "FROM base\nRUN grep special /etc/hosts && test -e /etc/resolv.conf && test $(hostname) = buildkitsandbox\n"
    lapstrake.built(
        folder(tmp_path / "context", {"Dockerfile": text}),
        "--add-host", "special:10.1.2.3", "-o", f"type=docker,dest={tmp_path}/a.tar",
    )  # fmt: skip
    assert layer_names(tmp_path / "a.tar")[-1] == []


def test_no_network(lapstrake: Lapstrake, tmp_path: Path) -> None:
    inside(
        lapstrake,
        tmp_path,
        'test "$(ls /sys/class/net)" = lo || test $(grep -c : /proc/net/dev) = 1',
        "(echo hi | nc -l -p 4321 >/dev/null &) ; n=0; "
        "until nc 127.0.0.1 4321 -w 2 </dev/null | grep hi; do n=$((n+1)); test $n -lt 99 && sleep 0.1 || exit 1; done",
        args=("--network", "none"),
    )


@pytest.fixture
def abstract_socket() -> Iterator[str]:
    name = f"lapstrake-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"\0{name}")
        listening.listen()
        yield name


def test_abstract_sockets_of_the_host_are_out_of_reach(
    lapstrake: Lapstrake, tmp_path: Path, abstract_socket: str
) -> None:
    inside(lapstrake, tmp_path, f"! grep {abstract_socket} /proc/net/unix", args=("--network", "none"))


def test_set_user_id_and_owners_work(lapstrake: Lapstrake, tmp_path: Path) -> None:
    if os.geteuid() != 0 and not _has_subids():
        pytest.skip("no subordinate ids")
    inside(lapstrake, tmp_path, "touch /x && chown 1000:1000 /x && test $(stat -c %u:%g /x) = 1000:1000")
    inside(lapstrake, tmp_path, "test $(id -u):$(id -g) = 1000:1000 && ! touch /x", before="USER web\n")


def _has_subids() -> bool:
    import pwd

    name = pwd.getpwuid(os.getuid()).pw_name
    return any(line.startswith(f"{name}:") for line in Path("/etc/subuid").read_text().splitlines())


def test_the_host_is_unchanged(lapstrake: Lapstrake, tmp_path: Path) -> None:
    host = folder(tmp_path / "host", {"kept": "kept"})
    inside(
        lapstrake, tmp_path, f"rm -rf /* {host} /tmp/* /proc/1/root/* /proc/self/cwd/* /proc/*/root/* 2>/dev/null; true"
    )
    assert (host / "kept").read_text() == "kept"
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
    inside(lapstrake, tmp_path, "test -x /bin/busybox")  # nor is the layer that the next step stands on
