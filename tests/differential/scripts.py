"""Random shell scripts for RUN: what they make of a tree is the same each time, whatever it was."""

from __future__ import annotations

from random import Random

PLACES = ["/w", "/w/a", "/w/b", "/w/d", "/w/d/e", "/d", "/d/a", "/d/sub", "/l", "/l/x", "/tmp/x", "/w/x y", "/usr/lib/z", "/etc/n", "a", "rel/q", "/w/ü"]  # fmt: skip
_TARGETS = ["/w", "a", "../d", "/d/sub", "nowhere", "/tmp", ".", "/l", "b", "/etc/passwd"]
_MODES = ["644", "600", "4755", "2750", "1777", "0", "u+x", "a-w", "g+s", "711"]
_OWNERS = ["0:0", "7:8", "web", "web:0", ":5", "1000:1000", "4294967294:1"]
_DATES = [1_000_000_000, 1_000_000_001, 0, 315532800, 4_000_000_000]


def script(r: Random, places: list[str] | None = None) -> str:
    return "; ".join(_step(r, places or PLACES) for _ in range(r.randint(1, 6)))


def _step(r: Random, places: list[str]) -> str:
    p, q = (f"'{r.choice(places)}'" for _ in range(2))
    return r.choice(
        [f"mkdir -p {p}", f"mkdir -p {p}", f"mkdir -m {r.choice(_MODES[:6])} {p}", f"echo {r.choice('xyz')} > {p}", f"echo more >> {p}", f": > {p}",
         f"rm -rf {p}", f"rm -rf {p}; mkdir -p {p}", f"rm -rf {p}; mkdir -p {p}; echo n > {p}/n", f"rm -f {p}", f"rmdir {p}", f"mv {p} {q}", f"mv -T {p} {q}",
         f"ln -s {r.choice(_TARGETS)} {p}", f"ln -sfn {r.choice(_TARGETS)} {p}", f"rm -rf {p}; ln -s {r.choice(_TARGETS)} {p}", f"ln {p} {q}", f"ln -f {p} {q}",
         f"chmod {r.choice(_MODES)} {p}", f"chmod -R {r.choice(_MODES)} {p}", f"chown {r.choice(_OWNERS)} {p}", f"chown -R {r.choice(_OWNERS)} {p}", f"chown -h {r.choice(_OWNERS)} {p}",
         f"touch -h -d @{r.choice(_DATES)} {p}", f"touch -d @{r.choice(_DATES)} {p}", f"cp -a {p} {q}", f"cp -r {p} {q}", f"cp {p} {q}", "mkfifo " + r.choice(["/w/p1", "/d/p2", "/p3"]),
         f"mkdir -p {p} && touch {p}/1 {p}/2 {p}/3", f"rm -rf {p}/*", f"mv {p} /t.$$ && mv /t.$$ {p}", f"cat {p} > {p}.n && mv {p}.n {p}", f"truncate -s 100000 {p}",
         f"dd if=/dev/zero of={p} bs=1 seek=70000 count=1", f"find {p} -type f -exec chmod 640 {{}} +", "chmod 711 /", "chown 4:4 /; touch -d @1000000000 /", f"sed -i s/x/y/ {p}"]
    )  # fmt: skip


def seen(r: Random) -> str:
    """A step that writes down what it sees."""
    out = r.choice(["/s1", "/s2", "/tmp/s3"])
    return r.choice(
        [f"env | sort > {out}", f"id > {out}", f"pwd > {out}", f"find /w /d /l /tmp -exec stat -c '%n %F %a %u:%g' {{}} + > /tmp/.f; grep -v /tmp/ /tmp/.f | sort > {out}; rm /tmp/.f",
         f"find /w /d -type f -exec md5sum {{}} + | sort > {out}", f"hostname > {out}; umask >> {out}", f"cat /etc/hosts > {out}", f"ls /proc/self/fd | wc -l > {out}",
         f"grep -e Cap -e Groups -e Seccomp: -e NoNew /proc/self/status > {out}", f"ls -l /dev | awk '{{print $1,$3,$4,$NF}}' | sort > {out}", f"ulimit -a > {out}",
         f"cut -d' ' -f1,3 /proc/self/mountinfo > /dev/null; echo $0 > {out}", f"stat -c '%n %a %u:%g' / /tmp /root /etc /proc /sys /dev /dev/shm /dev/pts > {out}", f"cat /proc/sys/kernel/domainname > {out}"]
    )  # fmt: skip
