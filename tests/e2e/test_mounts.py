"""RUN --mount and heredoc scripts: what a step sees, what the layer gets, what makes it run again."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = pytest.mark.e2e


def files(lapstrake: Lapstrake, tmp_path: Path, text: str, *args: str, **others: str) -> dict[str, str]:
    """Build and give what is at the image's root: name -> content, links and folders left out."""
    context = folder(tmp_path / "context", {"Dockerfile": text, **others})
    out = tmp_path / "out"
    subprocess.run(["rm", "-rf", str(out)], check=True)
    lapstrake.built(context, "-o", str(out), *args)
    return {p.name: p.read_text() for p in out.iterdir() if p.is_file() and p.name not in ("busybox",)}


def test_bind_of_the_context(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base\nRUN --mount=target=/m ls -A /m > /list; cat /m/a > /a; ! touch /m/x; "
    text += "ls -ld /m | cut -c1-10 > /mode\n"
    found = files(lapstrake, tmp_path, text, **{"a": "A", "sub/b": "B", "hidden": "H", ".dockerignore": "hidden"})
    assert found["a"] == "A"
    assert found["list"].split() == [".dockerignore", "Dockerfile", "a", "sub"]
    assert found["mode"] == "drwxr-xr-x\n"
    assert not (tmp_path / "out" / "m").exists()


def test_bind_of_a_file_and_of_a_folder_in_a_stage(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = """\
FROM base AS made
RUN mkdir -p /d/e && echo one > /d/e/f && ln -s e/f /d/link && chown 7:8 /d/e/f
FROM base
WORKDIR /w
RUN --mount=from=made,source=/d,target=rel ls -R rel > /list; stat -c %u:%g rel/e/f > /owner
RUN --mount=from=made,source=/d/link,target=/one cat /one > /read
RUN --mount=from=made,source=/,target=/all ls /all > /names
"""
    found = files(lapstrake, tmp_path, text)
    assert found["read"] == "one\n"
    assert "rel/e:\nf" in found["list"]
    if os.geteuid() == 0:
        assert found["owner"] == "7:8\n"
    assert "stub" not in found["names"]
    assert {"bin", "d"} <= set(found["names"].split())
    assert list((tmp_path / "out" / "w").iterdir()) == []


def test_writes_to_a_bind_are_thrown_away(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = """\
FROM base AS made
RUN echo one > /f
FROM base
RUN --mount=from=made,target=/m,rw echo two > /m/f; cat /m/f > /seen
RUN --mount=from=made,target=/m cat /m/f > /again
RUN --mount=target=/c,rw echo three > /c/a; cat /c/a > /c3
"""
    found = files(lapstrake, tmp_path, text, a="A")
    assert (found["seen"], found["again"], found["c3"]) == ("two\n", "one\n", "three\n")
    assert (tmp_path / "context" / "a").read_text() == "A"


def test_bind_of_a_scratch_stage_shows_its_files_alone(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM scratch AS made\nCOPY a /\nFROM base\nRUN --mount=from=made,target=/m ls -A /m > /list\n"
    assert files(lapstrake, tmp_path, text, a="A")["list"] == "a\n"


def test_only_what_is_bound_counts_for_the_key(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base\nRUN --mount=source=in,target=/m cat /m/a > /a\n"
    files(lapstrake, tmp_path, text, **{"in/a": "A", "other": "1"})
    context = tmp_path / "context"
    (context / "other").write_text("2")
    step = "RUN --mount=source=in,target=/m cat /m/a > /a"
    assert step in lapstrake.built(context).steps("CACHED")
    (context / "in" / "a").write_text("B")
    assert step in lapstrake.built(context).steps("DONE")


def test_a_bound_file_of_the_client_has_its_own_time(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base\nRUN --mount=target=/m stat -c %Y /m/a > /time\nCOPY a /a\nRUN stat -c %Y /a > /fixed\n"
    context = folder(tmp_path / "context", {"Dockerfile": text, "a": "A"})
    os.utime(context / "a", (1_600_000_000, 1_600_000_000))
    lapstrake.built(context, "-o", str(tmp_path / "out"))
    assert (tmp_path / "out" / "time").read_text() == "1600000000\n"
    assert (tmp_path / "out" / "fixed").read_text() == "315619200\n"


def test_what_is_bound_must_be_there(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\nRUN --mount=source=gone,target=/m true\n"})
    assert '"/gone": not found' in lapstrake.refused(context).err


def test_a_cache_outlives_a_build(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base\nARG N\nRUN --mount=type=cache,target=/c,id=x echo $N >> /c/log; cat /c/log > /log\n"
    assert files(lapstrake, tmp_path, text, "--build-arg", "N=1")["log"] == "1\n"
    assert files(lapstrake, tmp_path, text, "--build-arg", "N=2")["log"] == "1\n2\n"
    assert not (tmp_path / "out" / "c").exists()
    assert lapstrake.run("prune", "--all", "--force").status == 0
    assert files(lapstrake, tmp_path, text, "--build-arg", "N=3")["log"] == "3\n"


def test_owner_mode_and_first_content_of_a_cache(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = """\
FROM base AS made
RUN mkdir -m 0750 /d && echo seed > /d/s && chown 5:6 /d
FROM base
RUN --mount=type=cache,target=/c,mode=0711,uid=3,gid=4 stat -c '%a %u:%g' /c > /stat
RUN --mount=type=cache,target=/d1,from=made,source=/d,mode=0711,uid=3,gid=4 (stat -c '%a %u:%g' /d1; ls /d1) > /kept
RUN --mount=type=cache,target=/d2,from=made,mode=0711,uid=3,gid=4 (stat -c '%a %u:%g' /d2; ls /d2) > /given
RUN --mount=type=cache,target=/d3,from=made cat /d3/d/s > /whole
RUN --mount=type=cache,target=/c2,from=made,source=/d cat /c2/s > /seed; echo more > /c2/s
RUN --mount=type=cache,target=/c2,from=made,source=/d cat /c2/s > /more
RUN --mount=type=cache,target=/c3,ro ! touch /c3/x
"""
    if os.geteuid() != 0:
        text = text.replace(",uid=3,gid=4", "").replace(" && chown 5:6 /d", "")
    found = files(lapstrake, tmp_path, text)
    assert found["stat"] == ("711 3:4\n" if os.geteuid() == 0 else "711 0:0\n")
    assert found["kept"] == ("750 5:6\ns\n" if os.geteuid() == 0 else "750 0:0\ns\n")
    assert found["given"] == found["stat"]  # and nothing in it
    assert found["whole"] == "seed\n"
    assert (found["seed"], found["more"]) == ("seed\n", "more\n")


def test_a_cache_begins_with_files_of_a_context(lapstrake: Lapstrake, tmp_path: Path) -> None:
    other = folder(tmp_path / "other", {"d/s": "seed\n", "no": "no\n"})
    text = "FROM base\nRUN --mount=type=cache,target=/c,from=other,source=/d cat /c/s > /seed; ls /c > /names\n"
    found = files(lapstrake, tmp_path, text, f"--build-context=other={other}")
    assert (found["seed"], found["names"]) == ("seed\n", "s\n")


@pytest.mark.parametrize(("sharing", "waits"), [("locked", True), ("private", False), ("shared", False)])
def test_sharing(lapstrake: Lapstrake, tmp_path: Path, sharing: str, waits: bool) -> None:
    """Two builds at once: whether the second sees the first's file, or its mark that it is still there."""
    step = f"RUN --mount=type=cache,target=/c,id=s,sharing={sharing} "
    step += "ls /c > /seen; touch /c/$N; sleep 1.2; ls /c > /after; rm /c/$N\n"
    outs = {}

    def build(n: int) -> None:
        text = f"FROM base\nARG N={n}\n{step}"
        context = folder(tmp_path / f"context{n}", {"Dockerfile": text})
        lapstrake.built(context, "-o", str(tmp_path / f"out{n}"))
        outs[n] = (tmp_path / f"out{n}" / "after").read_text().split()

    threads = [threading.Thread(target=build, args=(n,)) for n in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together = [n for n in outs if set(outs[n]) - {str(n)}]
    assert outs.keys() == {1, 2}
    if sharing == "shared":
        assert together
    else:
        assert not together


def test_tmpfs(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base\nRUN --mount=type=tmpfs,target=/t,size=4m grep ' /t ' /proc/mounts > /line; echo x > /t/x\n"
    line = files(lapstrake, tmp_path, text)["line"]
    assert line.startswith("tmpfs /t tmpfs ")
    assert "size=4096k" in line
    assert not (tmp_path / "out" / "t").exists()


SECRET = "correct horse battery staple"


def test_secrets_are_seen_and_stay_nowhere(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = """\
FROM base
RUN --mount=type=secret,id=one wc -c < /run/secrets/one > /size; stat -c '%a %u:%g' /run/secrets/one > /stat
RUN --mount=type=secret,id=one,target=/deep/er/x,mode=0444 wc -c < /deep/er/x > /size2
RUN --mount=type=secret,id=two,env=TWO echo "$TWO" | rev > /backwards; test ! -e /run/secrets/two
RUN --mount=type=secret,id=none test ! -e /run/secrets/none
RUN --mount=type=secret,id=one ! touch /run/secrets/one; grep ' /run/secrets/one ' /proc/mounts > /mount
"""
    (tmp_path / "secret").write_text(SECRET)
    context = folder(tmp_path / "context", {"Dockerfile": text})
    args = ("--secret", f"id=one,src={tmp_path / 'secret'}", "--secret", "id=two,env=MY_SECRET")
    archive = tmp_path / "image.tar"
    env = {"MY_SECRET": SECRET}
    done = lapstrake.built(context, *args, "-o", f"type=docker,dest={archive},compression=uncompressed", env=env)
    lapstrake.built(context, *args, "-o", str(tmp_path / "out"), env=env)
    out = tmp_path / "out"
    assert (out / "size").read_text() == (out / "size2").read_text() == f"{len(SECRET)}\n"
    assert (out / "backwards").read_text() == SECRET[::-1] + "\n"
    assert (out / "stat").read_text() == "400 0:0\n"
    options = (out / "mount").read_text().split()[3].split(",")
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(options)
    assert not (out / "deep").exists()
    assert not (out / "run" / "secrets").exists()
    assert SECRET not in done.err + done.out
    for place in (lapstrake.store, out):
        for path in place.rglob("*"):
            if path.is_file() and not path.is_symlink():
                assert SECRET.encode() not in path.read_bytes(), path
    assert SECRET.encode() not in archive.read_bytes()
    # Another value of a secret is no reason to run a step again.
    (tmp_path / "secret").write_text("another")
    assert not [s for s in lapstrake.built(context, *args, env={"MY_SECRET": "x"}).steps("DONE") if s.startswith("RUN")]


def test_a_secret_that_must_be_there(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = "FROM base\nRUN --mount=type=secret,id=gone,required true\n"
    context = folder(tmp_path / "context", {"Dockerfile": text})
    assert "secret gone: not found" in lapstrake.refused(context).err
    assert "cannot read" in lapstrake.refused(context, "--secret", "id=gone,src=/no/such/file").err
    assert "unexpected key" in lapstrake.refused(context, "--secret", "id=gone,scr=x").err


def test_heredoc_scripts(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = """\
FROM base
RUN <<EOF
#!/bin/sh
echo "$0 $*" > /name
ls -l "$0" | cut -c1-10 > /mode
EOF
RUN <<EOF
echo several
echo lines > /lines
EOF
RUN <<A cat > /both - && cat >> /both <<B
from a
A
from b
B
RUN test ! -e /dev/pipes
"""
    found = files(lapstrake, tmp_path, text)
    assert found["name"] == "/dev/pipes/EOF \n"
    assert found["mode"] == "-rwxr-xr-x\n"
    assert found["lines"] == "lines\n"
    assert found["both"] == "from a\nfrom b\n"


def test_mounts_within_mounts(lapstrake: Lapstrake, tmp_path: Path) -> None:
    text = """\
FROM base
RUN --mount=target=/m,rw --mount=type=tmpfs,target=/m/t --mount=type=cache,target=/m/t/c \\
    echo x > /m/t/c/x; ls -R /m > /list
RUN ls / > /root-names
"""
    found = files(lapstrake, tmp_path, text, a="A")
    assert "/m/t/c:\nx" in found["list"]
    assert "m" not in found["root-names"].split()


def test_links_do_not_lead_out(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """A target behind a link of the image stays in the image; a source behind one stays in its tree."""
    text = """\
FROM base AS evil
RUN echo inside > /etc/hostname && ln -s /etc /way && ln -s ../../../../../../etc/hostname /up
FROM base
RUN ln -s /etc /in
RUN --mount=type=tmpfs,target=/in/deep echo x > /in/deep/y && ls /etc/deep > /list
RUN --mount=from=evil,source=/way,target=/w cat /w/hostname > /one
RUN --mount=from=evil,source=/up,target=/u cat /u > /two
"""
    found = files(lapstrake, tmp_path, text)
    assert found["list"] == "y\n"
    assert (found["one"], found["two"]) == ("inside\n", "inside\n")


def test_ssh(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """The step has a socket that leads to an agent with the key, and no file of it."""
    if not shutil.which("ssh-keygen"):
        pytest.skip("openssh-client is not installed")
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    text = """\
FROM base
RUN --mount=type=ssh test -S "$SSH_AUTH_SOCK" && echo "$SSH_AUTH_SOCK" > /path
RUN --mount=type=ssh stat -c '%a %u:%g' $SSH_AUTH_SOCK > /stat
RUN --mount=type=ssh,id=none test "$SSH_AUTH_SOCK" = /run/buildkit/ssh_agent.0 && test ! -e "$SSH_AUTH_SOCK"
RUN --mount=type=ssh,target=/s,mode=0666 test -S /s
"""
    found = files(lapstrake, tmp_path, text, "--ssh", f"default={key}")
    assert found["path"] == "/run/buildkit/ssh_agent.0\n"
    assert found["stat"] == "600 0:0\n"
    assert not (tmp_path / "out" / "run" / "buildkit").exists()
    assert not (tmp_path / "out" / "s").exists()
    required = folder(tmp_path / "r", {"Dockerfile": "FROM base\nRUN --mount=type=ssh,required true\n"})
    assert "unset ssh forward key default" in lapstrake.refused(required).err


def test_caches_of_two_steps_in_either_order(lapstrake: Lapstrake, tmp_path: Path) -> None:
    """Both locked by both: they take turns, and one that a step has twice is one."""
    one, two = (f"--mount=type=cache,sharing=locked,id={name},target=/{name}" for name in "xy")
    again = "--mount=type=cache,sharing=locked,id=x,target=/again"
    text = "FROM base AS a\n" + "".join(
        f"RUN {one} {two} {again} echo {n} > /x/f && cat /again/f >> /read\n" for n in range(6)
    )
    text += "FROM base AS b\n" + "".join(f"RUN {two} {one} echo {n} > /y/f\n" for n in range(6))
    text += "FROM base\nCOPY --from=a /read /a\nCOPY --from=b /bin/sh /b\n"
    lapstrake.built(folder(tmp_path / "context", {"Dockerfile": text}), "-o", str(tmp_path / "out"))
    assert (tmp_path / "out" / "a").read_text() == "0\n1\n2\n3\n4\n5\n"
