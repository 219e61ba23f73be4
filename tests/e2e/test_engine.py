"""The same text built by a newer BuildKit and by us: equal files, config and history, or the same words of refusal."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.compare import differences, flatten, history
from tests.e2e.engine import Engine
from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = [pytest.mark.e2e, pytest.mark.oracle, pytest.mark.root]

FILES = {"a": "a\n", "b": "b\n", "d/1": "1", "d/e/2": "2", "d/e/f/3.c": "3", "with blank": "w"}


# The engine's runtime leaves the mount points of RUN in its layer where the base lacks them; we leave none.
STUBS = ("dev", "proc", "sys", "etc/hosts", "etc/resolv.conf")


class Case(NamedTuple):
    """text: the Dockerfile, above which stands FROM base if it has no FROM. args: for both builders."""

    text: str
    files: dict[str, str] = FILES
    args: tuple[str, ...] = ()


SAME = {
    "copy into what is there": Case("RUN mkdir -m 700 /x && chown 5:6 /x\nCOPY d /x\nCOPY d /new\nCOPY a /x\nCOPY a /y/\n"),
    "copy nested folders overwrites their modes": Case("RUN mkdir -p /x/e && chmod 711 /x/e && chown 7 /x/e\nCOPY d /x/\n"),
    "copy through links": Case(
        "RUN mkdir /t && ln -s /t /l && echo old > /t/f && ln -s /t/f /g\nCOPY a /l/\nCOPY a /l/n\nCOPY b /g\nCOPY d /l/deep/\n"
    ),
    "copy by name onto a link": Case("RUN mkdir /t && echo old > /o && ln -s /o /t/a\nCOPY a /t/\nCOPY a b /t/\n"),
    "copy wildcards": Case("COPY d/* /w/\nCOPY miss* /none/\nCOPY [ab] /ab/\nCOPY ? /q/\nCOPY d/e/*/*.c /c/\n"),
    "copy optional file": Case("COPY a nothin[g] /o/\n"),
    "copy of several sources without slash": Case("RUN mkdir /many\nCOPY a b /many\n"),
    "copy chown": Case(
        "COPY --chown=web a /1\nCOPY --chown=web:0 a /2\nCOPY --chown=7 a /3\nCOPY --chown=7:8 d /p/q/\nCOPY --chown=1:root d /r\n"
    ),
    "copy chmod": Case("COPY --chmod=0640 d /x/y\nCOPY --chmod=4755 a /s\nADD --chmod=600 a /t/\n"),
    "copy link": Case("COPY --link a /l/x\nCOPY --link d /m/n/\nCOPY --link --chown=3:4 b /o\n"),
    "copy exclude": Case("COPY --exclude=*.c --exclude=e/2 d /x/\nCOPY --exclude=**/*.c d /y/\n"),
    "copy from stage": Case(
        "FROM base AS one\nRUN mkdir /s && echo 1 > /s/1 && ln /s/1 /s/2 && ln -s 1 /s/3 && chown 4:5 /s/1 && mkfifo /s/p\n"
        "RUN mkdir -m 750 /s/k && chown 8:9 /s /s/k\nFROM base\nCOPY --from=one /s /s\nCOPY --from=0 /s/1 /s/3 /f/\n"
        "COPY --from=one --chown=web /s/k /k\nCOPY --from=one /s/3 /single\n"
    ),
    "copy json and blanks": Case('COPY ["with blank", "/to here/"]\nCOPY ["a", "/a b"]\n'),
    "copy relative": Case("WORKDIR /w/x\nCOPY a .\nCOPY b ../up\nCOPY d ./dd\nWORKDIR y\nCOPY ../../../a z/\n"),
    "copy heredocs": Case(
        "ENV V=v\nCOPY <<A <<'B' /h/\n$V \"q\" \\$V \\x\nA\n$V 'q' \\$V\nB\nCOPY <<-C /c\n\t\ttabs\n\tC\nCOPY <<E a /mix/\nE\n"
        "COPY --chmod=755 --chown=web <<S /run.sh\n#!/bin/sh\nS\n"
    ),
    "run heredocs": Case(
        "RUN <<E\necho one > /1\nfalse\necho two > /2\nE\nRUN <<-E\n\techo tab > /3\n\tE\nRUN cat <<A > /4 && cat <<'B' > /5\n$HOME\nA\n$HOME\nB\n"
        "RUN <<E\n#!/bin/sh\necho \"$0\" | cut -c1-5 > /6\nE\nRUN <<E sh\necho sh > /7\nE\n"
    ),
    "continuation": Case("RUN echo a \\\n# gone\n   b \\   \n\\\n > /o\nENV X=1 \\\n  Y=2\n"),
    "escape": Case("# escape=`\nFROM base\nENV A=c:`\\x B=`$A\nRUN echo a `\n b > /o\n"),
    "expansion": Case(
        "ARG T=a/b/c.tar.gz\nENV U=${T#*/} V=${T##*/} W=${T%.*} X=${T%%.*} Y=${T/b/x} Z=${T//[/]/-} E=${N:-d$T} F=${N-} G=${T:+set}\n"
        "ENV Q='$T' R=\"$T\" S=\\$T\nLABEL l=$T m=\"${U}x\" n=a\\ b\n"
    ),
    "env replaced in place": Case("ENV A=1 B=2\nENV A=3 C=$A\nENV D four words here\nRUN echo $A$B$C$D > /o\n"),
    "args in history": Case(
        "ARG A=1\nARG B\nARG C=c D=$A\nRUN echo $A$B$C > /o\nENV A=9\nRUN echo $A > /p\nRUN [\"/bin/echo\", \"x y\"]\n", args=("--build-arg", "B=b b")
    ),
    "global args": Case("ARG V=1\nARG W=base\nFROM $W\nARG V\nARG TARGETARCH\nARG TARGETSTAGE\nRUN echo $V $TARGETARCH $TARGETSTAGE > /o\n"),
    "workdir": Case("USER web\nWORKDIR /own/deep\nUSER root\nWORKDIR rel\nWORKDIR /tmp\nWORKDIR /\nWORKDIR /x/y\nRUN pwd > o\n"),
    "users": Case("USER web\nRUN id > /tmp/1; echo $HOME > /tmp/2\nUSER 1234\nRUN id > /tmp/3; echo $HOME > /tmp/4\nUSER 5:6\nRUN id > /tmp/5\nUSER web:root\n"),
    "config": Case(
        "LABEL a=1 \"b c\"=2\nEXPOSE 90/udp 80 7000-7002\nVOLUME /v [\"/w\"]\nVOLUME [\"/x\", \"/y\"]\nSTOPSIGNAL SIGRTMIN+3\n"
        "SHELL [\"/bin/sh\", \"-ec\"]\nHEALTHCHECK --interval=1m --retries=2 --start-interval=2s CMD wget -q x || exit 1\nMAINTAINER me\nENTRYPOINT exec top\nCMD [\"a\", \"b\\\"c\"]\n"
    ),
    "healthcheck none": Case("HEALTHCHECK CMD [\"true\"]\nHEALTHCHECK NONE\nCMD []\n"),
    "entrypoint clears the base's command": Case("ENTRYPOINT [\"x\"]\n"),
    "entrypoint keeps the stage's command": Case("CMD [\"c\"]\nENTRYPOINT [\"x\"]\n"),
    "json or shell": Case("CMD ['a']\nENTRYPOINT [ \"a\" ] b\nRUN [ -f /etc/passwd ] && echo y > /o\n"),
    "onbuild of a stage": Case(
        "FROM base AS parent\nONBUILD COPY a /on/\nONBUILD RUN echo x > /on/x\nONBUILD ENV O=1\nONBUILD USER web\nFROM parent\nRUN id -un > /tmp/o\n"
    ),
    "onbuild with heredoc": Case("FROM base AS p\nONBUILD COPY <<E /e\nx\nE\nFROM p\n"),
    "mounts": Case(
        "FROM base AS s\nRUN echo s > /s\nFROM base\nRUN --mount=type=bind,target=/c cp -r /c/d /d\n"
        "RUN --mount=from=s,source=/s,target=/m/n/f cat /m/n/f > /o\nRUN --mount=type=cache,target=/var/cache/x echo 1 > /var/cache/x/1\n"
        "RUN --mount=type=tmpfs,target=/t,size=1m df /t | tail -1 | cut -d' ' -f1 > /p\nRUN --mount=type=bind,rw,target=/c touch /c/new\n"
        "RUN --mount=type=secret,id=absent test ! -e /run/secrets/absent\nWORKDIR /w\nRUN --mount=target=rel ls rel > list\n"
    ),
    "deletions": Case("RUN mkdir -p /a/b/c && touch /a/b/c/f /a/g\nRUN rm -rf /a/b && mkdir /a/b && touch /a/b/h\nRUN rm -r /a && echo f > /a\nRUN true\n"),
    "metadata only": Case("RUN touch /f && ln /f /g\nRUN chmod 600 /f\nRUN chown 3:4 /tmp && chmod 2770 /tmp\nRUN ln -s nowhere /l && mkfifo /p\n"),
    "ignore file": Case("COPY . /c/\n", {**FILES, ".dockerignore": "# c\n*\n!d/e\nd/e/2\n!a\n", "x.md": ""}),
    "ignore file of the Dockerfile": Case("COPY . /c/\n", {**FILES, "Dockerfile.dockerignore": "**/*.c\n!with*\nb\n", ".dockerignore": "*\n"}),
    "scratch": Case("FROM scratch\nCOPY a /a\nWORKDIR /w\nLABEL x=y\n"),
    "unneeded stage": Case("FROM base AS no\nRUN false\nFROM base AS yes\nRUN touch /y\n"),
    "target": Case("FROM base AS One\nRUN touch /1\nFROM one AS two\nRUN touch /2\nFROM base\n", args=("--target", "TWO")),
    "option label": Case("LABEL a=1 b=2\n", args=("--label", "b=3", "--label", "c")),
}  # fmt: skip

REFUSED = {
    "copy missing": (Case("COPY miss /d\n"), "not found"),
    "copy to a file": (Case("RUN touch /f\nCOPY d /f\n"), "cannot copy to non-directory"),
    "copy onto a folder": (Case("RUN mkdir -p /x/a\nCOPY a /x/\n"), "cannot replace to directory"),
    "copy one word": (Case("COPY a\n"), "COPY requires at least two arguments"),
    "copy from variable": (Case("ARG X=y\nCOPY --from=$X a /\n"), "variable expansion is not supported for --from"),
    "copy chmod wrong": (Case("COPY --chmod=9 a /\n"), "invalid chmod parameter"),
    "copy url": (Case("COPY https://example.com/x /\n"), "source can't be a URL for COPY"),
    "stage later": (Case("FROM base AS a\nCOPY --from=b x /\nFROM base AS b\n", args=("--target", "a")), "needs to be defined before current stage"),
    "target unknown": (Case("FROM base AS build\n", args=("--target", "biuld")), "target stage \"biuld\" could not be found"),
    "instruction unknown": (Case("RUNN x\n"), "unknown instruction: RUNN"),
    "flag unknown": (Case("RUN --mont=x y\n"), "unknown flag: --mont"),
    "flag twice": (Case("COPY --chown=1 --chown=2 a /\n"), "duplicate flag specified: --chown"),
    "heredoc open": (Case("RUN <<E\nx\n"), "unterminated heredoc"),
    "json numbers": (Case('RUN ["a", 1]\n'), "when using JSON array syntax, arrays must be comprised of strings only"),
    "modifier": (Case("ENV A=${B:=c}\n"), "unsupported modifier"),
    "required variable": (Case("ENV A=${B:?must be there}\n"), "must be there"),
    "mount type": (Case("RUN --mount=type=tmp x\n"), "unsupported mount type"),
    "mount key": (Case("RUN --mount=typ=tmpfs x\n"), "unexpected key 'typ' in 'typ=tmpfs'"),
    "mount root": (Case("RUN --mount=type=tmpfs,target=/ x\n"), "invalid mount target"),
    "secret required": (Case("RUN --mount=type=secret,id=s,required x\n"), "secret s: not found"),
    "expose": (Case("EXPOSE x\n"), "invalid containerPort: x"),
    "onbuild chain": (Case("ONBUILD ONBUILD RUN x\n"), "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
    "volume empty": (Case('VOLUME [""]\n'), "VOLUME specified can not be an empty string"),
    "run fails": (Case("RUN exit 3\n"), 'process "/bin/sh -c exit 3" did not complete successfully: exit code: 3'),
    "user unknown": (Case("USER nobody-here\nRUN true\n"), "nobody-here"),
    "arguments only": (Case("# FROM\nARG A\n"), "dockerfile contains no stages to build"),
    "platform": (Case("FROM --platform=$NONE base\n"), "empty platform value from expression"),
}  # fmt: skip


def spoken(entries: list[tuple[str, bool]]) -> list[tuple[str, bool]]:
    """The newest BuildKit prints HEALTHCHECK otherwise than this engine (convert.go, dispatchHealthcheck)."""
    return [("HEALTHCHECK" if text.startswith("HEALTHCHECK ") else text, empty) for text, empty in entries]


def context(path: Path, case: Case) -> Path:
    text = case.text if "FROM" in case.text else f"FROM base\n{case.text}"
    return folder(path, {"Dockerfile": text, **case.files})


@pytest.mark.parametrize("name", SAME)
def test_the_same_image(buildkit: Engine, lapstrake: Lapstrake, tmp_path: Path, name: str) -> None:
    case = SAME[name]
    where = context(tmp_path / "context", case)
    theirs = buildkit.build(where, tmp_path / "theirs.tar", *case.args)
    assert theirs.returncode == 0, theirs.stderr
    lapstrake.built(where, *case.args, "-o", f"type=docker,dest={tmp_path}/ours.tar")
    left, right = flatten(tmp_path / "ours.tar"), flatten(tmp_path / "theirs.tar")
    stubs = tuple(s for s in STUBS if s not in left.files)
    assert differences(left, right, stubs) == []
    assert spoken(history(left)) == spoken(history(right))


@pytest.mark.parametrize("name", REFUSED)
def test_the_same_words_of_refusal(buildkit: Engine, lapstrake: Lapstrake, tmp_path: Path, name: str) -> None:
    case, words = REFUSED[name]
    where = context(tmp_path / "context", case)
    theirs = buildkit.build(where, tmp_path / "theirs.tar", *case.args)
    assert theirs.returncode != 0
    assert words in theirs.stderr
    assert words in lapstrake.refused(where, *case.args).err


def test_an_archive_is_added_the_same(buildkit: Engine, lapstrake: Lapstrake, tmp_path: Path) -> None:
    case = Case("ADD t.tar.gz /t/\nADD t.tar.gz /u\nADD --chown=web t.tar.gz /v/\nCOPY t.tar.gz /w/\n")
    where = context(tmp_path / "context", case)
    source = folder(tmp_path / "source", {"x/y": "y", "x/z": "z"})
    os.chown(source / "x" / "y", 77, 88)
    source.chmod(0o700)
    subprocess.run(["tar", "-C", source, "-czf", where / "t.tar.gz", "."], check=True)
    theirs = buildkit.build(where, tmp_path / "theirs.tar")
    assert theirs.returncode == 0, theirs.stderr
    lapstrake.built(where, "-o", f"type=docker,dest={tmp_path}/ours.tar")
    assert differences(flatten(tmp_path / "ours.tar"), flatten(tmp_path / "theirs.tar")) == []
