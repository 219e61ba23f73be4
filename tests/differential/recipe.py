"""Random Dockerfiles: every instruction with every flag, most of them right."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable
from random import Random

from tests.differential import contexts, scripts
from tests.differential.case import UNIQUE, Case, Node, encoded
from tests.differential.expansions import NAMES, plain, variable, word

DESTINATIONS = ["/w/", "/w", "/w/a", "/d/", "/d/sub/", "/l/", "/l", "/l/x", "./", ".", "rel/q/", "rel/q", "/tmp/", "/new/", "/new/deep/f", "../up", "/w/x y/", "/usr/lib/z", "/", "/w/d/e/..", "/w//b", "/$A/", "${B:-/w}/z", "/lnk/"]  # fmt: skip
_USERS = [
    "web",
    "web:web",
    "web:0",
    "0",
    "7:8",
    "1000",
    "root",
    "5",
    "root:web",
    "$A:1",
    "0:0",
    "${UNSET:-web}",
    "65534",
    ":3",
    "web:",
]
_ENDS = ["EOF", "E", "A_1", "'EOF'", '"E"', "-E", "-'E'", "end.txt"]
# What each kind of case is made of: name of an instruction -> how often.
PROFILES: dict[str, dict[str, int]] = {
    "text": {"env": 8, "arg": 8, "label": 5, "workdir": 4, "user": 3, "expose": 4, "volume": 3, "stopsignal": 2, "healthcheck": 3, "shell": 1, "cmd": 4, "entrypoint": 3, "onbuild": 3, "maintainer": 1, "heredoc": 2, "wrong": 1},
    "files": {"copy": 14, "add": 5, "heredoc": 2, "workdir": 2, "run": 4, "env": 1, "arg": 1, "user": 1, "wrong": 0},
    "steps": {"run": 14, "mount": 8, "copy": 3, "user": 2, "workdir": 3, "env": 3, "arg": 2, "shell": 1, "script": 3, "seen": 4, "heredoc": 1},
    "mixed": {"run": 5, "mount": 2, "copy": 5, "add": 2, "heredoc": 2, "script": 1, "seen": 2, "env": 3, "arg": 3, "label": 1, "workdir": 3, "user": 2, "expose": 1, "volume": 1, "healthcheck": 1, "shell": 1, "cmd": 1, "entrypoint": 1, "onbuild": 2, "wrong": 1},
}  # fmt: skip


def case(seed: int) -> Case:
    return _Recipe(Random(seed), seed).made()


class _Recipe:
    def __init__(self, r: Random, seed: int) -> None:
        self.r, self.seed = r, seed
        self.profile = r.choice(list(PROFILES))
        self.contexts: dict[str, list[Node]] = {"": contexts.nodes(r)}
        if r.random() < 0.15:
            self.contexts["other"] = contexts.nodes(r)
        self.stages: list[str] = []
        self.secrets = False
        self.wrong = 0.01 if r.random() < 0.7 else 0.06

    def made(self) -> Case:
        r = self.r
        lines = self._directives()
        for _ in range(r.choice([0, 0, 0, 1, 2])):
            lines.append(f"ARG {self._argument()}")
        for _ in range(r.choice([1, 1, 1, 2, 2, 3])):
            lines += self._stage()
        lines = [self._styled(line) for line in lines]
        self._ignore()
        return Case(
            self.seed, lines, self.contexts, self._arguments(), self._environment(), r.choice(["\n"] * 12 + ["\r\n"])
        )

    def _directives(self) -> list[str]:
        r = self.r
        return r.choices(
            [[], ["# escape=\\"], ["# check=skip=all"], ["# check=error=true"], ["# a comment", ""], ["# ESCAPE = \\ ", "# x"], ["", "# escape=`"], ["# foo=bar"], ["# escape=x"]],
            [60, 2, 3, 1, 5, 1, 1, 1, 0.3],
        )[0]  # fmt: skip

    def _stage(self) -> list[str]:
        r = self.r
        base = r.choices(["base", "scratch", "stage", "$B", "${UNSET:-base}", "other", "missing", ""], [60, 12 if self.profile != "steps" else 0, 25 if self.stages else 0, 1, 2, 2 if "other" in self.contexts else 0, 0.3, 0.1])[0]  # fmt: skip
        if base == "stage":
            base = r.choice(self.stages)
        name = r.choice([f"s{len(self.stages)}", f"Build-{len(self.stages)}", "", f"s{len(self.stages)}"])
        platform = r.choices(["", "--platform=$BUILDPLATFORM ", "--platform=linux/amd64 ", "--platform=$TARGETPLATFORM ", "--platform=linux/$A "], [40, 1, 1, 1, 0.2])[0]  # fmt: skip
        lines = [f"FROM {platform}{base}" + (f" {r.choice(['AS', 'AS', 'as', 'As'])} {name}" if name else "")]
        weights = dict(PROFILES[self.profile])
        if base == "scratch":
            weights.update(run=0, mount=0, script=0, seen=0)
        makers: dict[str, Callable[[], str]] = {kind: getattr(self, f"_{kind}") for kind in weights}
        for _ in range(r.randint(1, 7)):
            kind = r.choices(list(weights), list(weights.values()))[0]
            lines.append(makers[kind]())
        if name:
            self.stages.append(name.lower())
        return lines

    # Instructions of the config

    def _argument(self) -> str:
        r = self.r
        name = r.choice(NAMES[:5])
        return name if r.random() < 0.35 else f"{name}={word(r, self.wrong)}"

    def _arg(self) -> str:
        return "ARG " + " ".join(self._argument() for _ in range(self.r.choice([1, 1, 1, 2])))

    def _pairs(self, keys: list[str]) -> str:
        r = self.r
        if r.random() < 0.12:
            return f"{r.choice(keys)} {word(r, self.wrong)} {plain(r)}  {word(r, self.wrong)}"
        return " ".join(f"{r.choice(keys)}={word(r, self.wrong)}" for _ in range(r.choice([1, 1, 2, 3])))

    def _env(self) -> str:
        return "ENV " + self._pairs([*NAMES[:6], "X$A", "Y.z", '"q"', "DB_PASSWORD"])

    def _label(self) -> str:
        return "LABEL " + self._pairs(["a", "b.c", '"d e"', "$A", "x", "'y'"])

    def _workdir(self) -> str:
        r = self.r
        return "WORKDIR " + r.choice(["/w", "/w/d/e", "rel", "../x", "/l", "/l/x", "$A", "/", ".", "/new dir", '"/q d"', "/tmp", "/w/../z/", "/proc/x", "//two", word(r, self.wrong)])  # fmt: skip

    def _user(self) -> str:
        return "USER " + self.r.choice(
            [*_USERS, "root", "root", "0", *(["nobody-here"] if self.r.random() < self.wrong * 4 else [])]
        )

    def _expose(self) -> str:
        r = self.r
        port = [
            "80",
            "443/tcp",
            "53/udp",
            "7000-7003",
            "90/UDP",
            "$C_1",
            "1.2.3.4:80:81",
            "80:90",
            "9000-9001/sctp",
            "0",
            "${A:-81}",
            "8080/tcp",
            "65535",
            "080",
            "5/",
        ]
        wrong = ["x", "70000", "90-80", "80/foo", "", "-1", "1-2-3", "80:", "/tcp"]
        return "EXPOSE " + " ".join(
            r.choice(wrong if r.random() < self.wrong * 3 else port) for _ in range(r.choice([1, 2, 3]))
        )

    def _volume(self) -> str:
        return "VOLUME " + self.r.choice(
            [
                "/v",
                "/v /w",
                '["/x", "/y z"]',
                "$A",
                '["$A/x"]',
                "v",
                "/w/",
                "/v/../u",
                "[ /a ]",
                '["/x"',
                "[]",
                '[""]',
                "/a\\ b",
            ]
        )

    def _stopsignal(self) -> str:
        return "STOPSIGNAL " + self.r.choice(
            [
                "SIGTERM",
                "9",
                "KILL",
                "SIGRTMIN+3",
                "${UNSET:-INT}",
                "sigterm",
                "rtmin+3",
                "SIGFOO",
                "64",
                "0",
                "99",
                "SIGRTMAX-1",
            ]
        )

    def _healthcheck(self) -> str:
        r = self.r
        flags = [
            f"--{name}={r.choice(['30s', '1m', '1h2m3s', '0', '1.5s', '500ms', '1us', '-1s', 'x', '', '2', '1d', '100ms'][: 13 if r.random() < self.wrong * 4 else 6])} "
            for name in ("interval", "timeout", "start-period", "start-interval")
            if r.random() < 0.3
        ]
        if r.random() < 0.3:
            flags.append(
                f"--retries={r.choice(['3', '0', '1', '-1', 'x', ''][: 6 if r.random() < self.wrong * 4 else 3])} "
            )
        ending = r.choice(
            [
                "CMD true",
                "CMD true && $A",
                'CMD ["a", "b"]',
                "NONE",
                "cmd x",
                "none",
                "CMD",
                "CMD []",
                "FOO x",
                "NONE x",
                "",
            ][: 11 if r.random() < self.wrong * 6 else 7]
        )
        return "HEALTHCHECK " + ("".join(flags) if "one" not in ending.lower() or r.random() < 0.1 else "") + ending

    def _shell(self) -> str:
        return "SHELL " + self.r.choice(
            [
                '["/bin/sh", "-ec"]',
                '["/bin/busybox", "sh", "-c"]',
                '["/bin/sh", "-c"]',
                "[]" if self.r.random() < 0.1 else '["/bin/sh", "-xc"]',
            ]
        )

    def _words_of_command(self) -> str:
        r = self.r
        return r.choice(['["a", "b c"]', '["x\\"y", "\\u00fc", "<&>"]', "[]", "echo $A", "echo 'a  b'  ", "[ a ]", '["a",]', '["a"] b', '["a", 1]' if r.random() < self.wrong * 4 else '["$A"]', '[ "a" , "b" ]', "", '["a\\tb"]', '["\\/x"]', "x \\\n  y", "ü"])  # fmt: skip

    def _cmd(self) -> str:
        return f"CMD {self._words_of_command()}"

    def _entrypoint(self) -> str:
        return f"ENTRYPOINT {self._words_of_command()}"

    def _maintainer(self) -> str:
        return "MAINTAINER " + self.r.choice(["me", "A B <a@b>", '"q"', "$A"])

    def _onbuild(self) -> str:
        inner = self.r.choice(
            [
                self._env,
                self._label,
                self._copy,
                self._workdir,
                self._user,
                self._cmd,
                self._heredoc,
                self._arg,
                self._expose,
            ]
        )()
        return f"ONBUILD {inner}" if self.r.random() > self.wrong * 2 else self.r.choice(["ONBUILD ONBUILD ENV a=b", "ONBUILD FROM base", "ONBUILD MAINTAINER x", "ONBUILD", "ONBUILD FOO x"])  # fmt: skip

    # COPY and ADD

    def _paths(self, name: str) -> list[str]:
        return [node.path for node in self.contexts[name]]

    def _source(self, known: list[str]) -> str:
        r = self.r
        if not known or r.random() < 0.12:
            return r.choice(
                [
                    ".",
                    "/",
                    "./",
                    "*",
                    "miss*",
                    "nothin[g]",
                    "missing" if r.random() < self.wrong else "*",
                    "..",
                    "$A" if r.random() < 0.2 else ".",
                    "*/*",
                    "?",
                ]
            )
        path = r.choice(known)
        steps = path.split("/")
        wild = r.random()
        if wild < 0.1:
            at = r.randrange(len(steps))
            steps[at] = r.choice(
                [
                    "*",
                    "?*",
                    "[a-z]*",
                    steps[at][:1] + "*",
                    "*" + steps[at][-1:],
                    "[^x]*",
                    "?" * len(steps[at]),
                    "\\" + steps[at],
                ]
            )
            path = "/".join(steps)
        else:
            path = "".join(f"\\{c}" if c in "*?[]\\" and r.random() < 0.9 else c for c in path)
        return r.choice(
            [
                path,
                path,
                path,
                f"/{path}",
                f"./{path}",
                f"{path}/",
                f"../{path}",
                f"{posixpath.dirname(path)}/../{path}" if "/" in path else path,
            ]
        )

    def _flags(self, add: bool) -> str:
        r = self.r
        flags = []
        if r.random() < 0.2:
            flags.append(f"--chown={r.choice([u for u in _USERS if '$A' not in u])}")
        if r.random() < 0.2:
            flags.append("--chmod=" + r.choice(["600", "0755", "4711", "2775", "u=rwX,go=rX", "a+X", "g=u", "u+s,g-w", "+x", "go-rwx", "a=r,u+w", "0", "1777", "${UNSET:-640}", "u=rw,+X", "ug=o", "-w", "u=g,g=o", "a-st", "u+t"] if r.random() > self.wrong * 2 else ["9", "x", "", "77777", "u+q", "u", "rwx", "+", "0o644", "-1"]))  # fmt: skip
        if r.random() < 0.15:
            flags.append(r.choice(["--link", "--link", "--link=true", "--link=false"]))
        for _ in range(r.choice([0] * 8 + [1, 2])):
            flags.append(
                "--exclude="
                + r.choice(["a", "*.txt", "**/a", "d", "e/*", "**/*.md", "!a", "*", "b*", "/a", "d/../a", "**", ".hid"])
            )
        if add and r.random() < 0.05:
            flags.append(r.choice(["--checksum=sha256:" + "0" * 64, "--keep-git-dir"]))
        r.shuffle(flags)
        return "".join(f"{flag} " for flag in flags)

    def _listed(self, words: list[str]) -> str:
        r = self.r
        needs = any(c.isspace() for word in words for c in word) or words[0].startswith("--")
        if needs or r.random() < 0.12:
            quoted = [w.replace("\\", "\\\\") if r.random() < 0.0 else w for w in words]
            return json.dumps(quoted, ensure_ascii=r.random() < 0.3)
        return r.choice([" ", " ", "  ", "\t"]).join(words)

    def _escaped(self, path: str) -> str:
        """A path as the words of an instruction hold it: what would be expanded is escaped, mostly."""
        return "".join(f"\\{c}" if c in "$'\"\\" and self.r.random() < 0.9 else c for c in path)

    def _copy(self) -> str:
        r = self.r
        flags, known = self._flags(False), self._paths("")
        choice = r.random()
        if choice < 0.2 and self.stages:
            flags += f"--from={r.choice([*self.stages, '0'])} "
            known = [
                *scripts.PLACES,
                "/etc",
                "/etc/passwd",
                *["/bin/sh", "/w*", "/etc", "/tmp", "/w/*", "/d*", "/", "/l*", "/tmp/*", "/root"] * 4,
            ]
        elif choice < 0.25:
            flags += "--from=base "
            known = ["/etc/passwd", "/etc", "/bin/busybox", "/tmp", "/root", "/etc/*", "/bin/s*"]
        elif "other" in self.contexts and choice < 0.5:
            flags += "--from=other "
            known = self._paths("other")
        sources = [self._escaped(self._source(known)) for _ in range(r.choice([1, 1, 1, 1, 2, 3]))]
        return f"COPY {flags}{self._listed([*sources, r.choice(DESTINATIONS)])}"

    def _add(self) -> str:
        r = self.r
        archives = [node.path for node in self.contexts[""] if node.path in contexts.ARCHIVES]
        known = archives if archives and r.random() < 0.8 else self._paths("")
        sources = [self._escaped(self._source(known)) for _ in range(r.choice([1, 1, 1, 2]))]
        return f"ADD {self._flags(True)}{self._listed([*sources, r.choice(DESTINATIONS)])}"

    def _heredoc(self) -> str:
        r = self.r
        ends = r.sample(_ENDS, r.choice([1, 1, 2]))
        bodies = [
            r.choice(
                [
                    "text\n",
                    "$A ${B:-x} \\$A\n",
                    "\ttabs\n\t\tmore\n",
                    "",
                    "'q' \"d\" \\n \\\\\n",
                    "# no comment\n",
                    "x \\\ny\n",
                    "  blanks  \n\n",
                    "`a`\n",
                ]
            )
            for _ in ends
        ]
        closing = [end.lstrip("-").strip("'\"") for end in ends]
        closing = [
            ("\t" if end.startswith("-") and r.random() < 0.5 else "") + name
            for end, name in zip(ends, closing, strict=True)
        ]
        head = f"{r.choice(['COPY', 'ADD'])} {self._flags(False)}{' '.join(f'<<{end}' for end in ends)} {r.choice(DESTINATIONS)}"
        return head + "\n" + "\n".join(body + name for body, name in zip(bodies, closing, strict=True))

    # RUN

    def _run(self) -> str:
        r = self.r
        text = scripts.script(r)
        if r.random() < 0.06:
            return "RUN " + json.dumps(["/bin/sh", "-c", text])
        return f"RUN {r.choice(['', '', '', '--network=none ', '--network=default '])}{text}" + (
            "; false" if r.random() < self.wrong / 2 else "; true"
        )

    def _seen(self) -> str:
        return f"RUN {scripts.seen(self.r)}"

    def _script(self) -> str:
        r = self.r
        text = scripts.script(r).replace("; ", "\n")
        return r.choice(
            [f"RUN <<EOF\n{text}\ntrue\nEOF", f"RUN <<-E\n\t{text}\n\techo $A > /s4\n\tE", f"RUN <<E sh\n{text}\ntrue\nE", "RUN cat <<A > /h1 && cat <<'B' > /h2; true\n$HOME $A\nA\n$HOME\nB",
             "RUN <<E\n#!/bin/sh -e\necho $0 $# > /s5\nE", f"RUN --mount=type=tmpfs,target=/m <<'E'\n{text}; true\nE", "RUN sh 3<<X\ncat\nX", f'RUN <<"a b"\n{text}; true\na b']
        )  # fmt: skip

    def _mount(self) -> str:
        r = self.r
        mounts, places = [], list(scripts.PLACES)
        for _ in range(r.choice([1, 1, 2])):
            target = r.choice(["/m", "/m", "/w", "/w/d", "rel/m", "/d", "/new/mnt", "/l/m", "$A/m", "/tmp"])
            places += [target, f"{target}/a", f"{target}/new"]
            mounts.append(f"--mount={self._fields(target)} ")
        shown = r.choice(
            [
                "",
                "find /m -exec stat -c '%n %F %a %u:%g' {} + | sort > /s6; ",
                "cat /run/secrets/* > /s7; ls -ln /run/secrets | awk '{print $1,$3,$4,$5}' >> /s7; ",
                "cp -r /m/. /copied; ",
                "env | sort > /s8; ",
            ]
        )
        return f"RUN {''.join(mounts)}{shown}{scripts.script(r, places)}; true"

    def _fields(self, target: str) -> str:
        r = self.r
        source = self._paths("")
        kind = r.choice(["bind", "bind", "cache", "cache", "tmpfs", "secret", "secret"])
        fields = [f"type={kind}"] if kind != "bind" or r.random() < 0.7 else []
        named = r.choice(["target", "dst", "destination", "Target"])
        if kind == "bind":
            fields += [f"{named}={target}"] if r.random() < 0.95 else []
            origin = r.choice(
                [
                    "",
                    "",
                    *(f"from={s}" for s in self.stages),
                    "from=base",
                    *(["from=other"] if "other" in self.contexts else []),
                ]
            )
            fields += [origin] if origin else []
            if r.random() < 0.5:
                simple = [p for p in source if not set(p) & set("\n\",'$\\ ")]
                path = (
                    r.choice(["/etc", "/bin", "/w", "/"])
                    if origin and "other" not in origin
                    else r.choice(simple or ["/"])
                )
                fields.append(f"{r.choice(['source', 'src'])}={path}")
            fields += r.choice([[], [], ["rw"], ["readonly"], ["ro=false"], ["readwrite=true"]])
        elif kind == "cache":
            fields += [f"{named}={target}", f"id={UNIQUE}{r.choice('xy')}"]
            fields += r.choice([[], [], ["sharing=locked"], ["sharing=private"], ["sharing=shared"], ["ro"]])
            fields += [
                option
                for option in ("mode=0700", "uid=7", "gid=8", "mode=1777")
                if r.random() < 0.15 and not ("mode" in option and any("mode" in f for f in fields))
            ]
            if r.random() < 0.25:
                fields += ["from=" + r.choice(["base", *self.stages]), "source=" + r.choice(["/etc", "/w", "/tmp"])]
        elif kind == "tmpfs":
            fields += [f"{named}={target}", *r.choice([[], ["size=1m"], ["size=1048576"]])]
        else:
            self.secrets = True
            fields += [
                f"id={r.choice(['one', 'two', 'one', 'absent'])}",
                *r.choice(
                    [
                        [],
                        [f"{named}={target}/s"],
                        ["env=SECRET"],
                        ["env=S2", "target=/s-both"],
                        ["mode=0444"],
                        ["uid=7", "gid=8"],
                        ["required"] if r.random() < 0.2 else [],
                    ]
                ),
            ]
        if r.random() < self.wrong:
            fields.append(
                r.choice(
                    [
                        "foo=1",
                        "mode=x",
                        "size=1m",
                        "sharing=foo",
                        "uid=-1",
                        "required=maybe",
                        "rw=x",
                        "target=/",
                        "from=$A",
                        "x",
                        "env=A",
                        "tpye=bind",
                    ]
                )
            )
        return ",".join(fields)

    def _wrong(self) -> str:
        r = self.r
        if r.random() > 0.25:
            return self._env()
        return r.choice(
            ["RUNN x", "COPY a", "COPY", "ENV", "ENV a", "ENV =x", "ENV a=b c", "LABEL", "ADD", "WORKDIR", "USER", "EXPOSE", "VOLUME", "STOPSIGNAL", "ARG", "ARG =x", "ARG a b", "SHELL x", "RUN --mont=x y", "COPY --chown=1 --chown=2 a /",
             "COPY --from=$A a /", "COPY --from=9 a /", "COPY --from=nowhere-such a /", "COPY --link=x a /", "COPY --chown a /", "RUN <<E\nx", "COPY <<E <<F\nE\nF", "COPY a <<E\nE", "FROM a b", "FROM base AS 1x", "FROM", "CMD [1]", "HEALTHCHECK",
             "MAINTAINER", "ENTRYPOINT", "RUN", "copy --foo a /", "LABEL a", "EXPOSE $UNSET", "USER $UNSET", "WORKDIR $UNSET", "VOLUME $UNSET", "ENV $UNSET=x", "LABEL $UNSET=x", "ARG A=$", "STOPSIGNAL $UNSET", "STOPSIGNAL a b", "MAINTAINER a b", "USER a b",
             "RUN --network=foo x", "ADD --link --foo a /", "ONBUILD COPY a", "Cmd x", "env A=1 b", "ENV a='b", 'LABEL a="b', "COPY '' /", 'COPY "a" /x/', "ADD https://127.0.0.1:1/x /", "COPY https://example.com/x /"]
        )  # fmt: skip

    # How it is written

    def _styled(self, line: str) -> str:
        r = self.r
        if "<<" in line or line.startswith("#") or not line:
            return line
        word, _, rest = line.partition(" ")
        style = r.random()
        if style < 0.04:
            word = r.choice([word.lower(), word.title(), word.lower()])
        if style > 0.95:
            word = r.choice([" ", "\t", "   "]) + word
        if 0.04 < style < 0.14 and " " in rest and "\n" not in rest:
            cut = r.choice([i for i, c in enumerate(rest) if c == " "])
            join = r.choice(
                [" \\\n", " \\\n   ", "\\\n ", " \\\n# comment\n  ", " \\  \n\t", " \\\n\n  ", " \\\n  # deep\n"]
            )
            rest = rest[:cut] + join + rest[cut + 1 :]
        gap = r.choice([" "] * 15 + ["  ", "\t", " \t "])
        end = r.choice([""] * 90 + [" ", "\t", " ", "\t", " # tail", " \\"])
        return f"{word}{gap}{rest}{end}" if rest else word

    def _ignore(self) -> None:
        r = self.r
        for _name, nodes in self.contexts.items():
            if r.random() < 0.2:
                text = contexts.ignore(r, [node.path for node in nodes])
                nodes.append(Node(".dockerignore", "file", 0o644, encoded(text.encode())))

    def _arguments(self) -> list[list[str]]:
        r = self.r
        found = []
        for name in ("A", "B", "C_1", "FOO", "HTTP_PROXY", "UNSET"):
            if r.random() < 0.15:
                found.append(
                    ["--build-arg", f"{name}={r.choice(['v', '', 'a b', '/w', 'base', '$A', '8080', 'x/y', 'ü'])}"]
                )
        if self.stages and r.random() < 0.15:
            found.append(["--target", r.choice([*self.stages, "none-such", "0"] if r.random() < 0.2 else self.stages)])
        if r.random() < 0.05:
            found.append(["--label", r.choice(["a=b", "k", "x=", "a b=c d"])])
        if r.random() < 0.05:
            found.append(["--no-cache"])
        if r.random() < 0.04:
            found.append(["--add-host", "h.local:10.0.0.1"])
        if r.random() < 0.03:
            found.append(
                ["--platform", r.choice(["linux/amd64", "linux/arm64" if self.profile == "text" else "linux/amd64"])]
            )
        if self.secrets and r.random() < 0.9:
            found += [["--secret", "id=one,env=SECRET_ONE"], ["--secret", "id=two,env=SECRET_TWO"]]
        return found

    def _environment(self) -> dict[str, str]:
        found = {"SECRET_ONE": "s1", "SECRET_TWO": "two\nlines\n"} if self.secrets else {}
        if self.r.random() < 0.12:
            found["SOURCE_DATE_EPOCH"] = self.r.choice(["1000000000", "0", "1230000000", "2000000000"])
        return found


__all__ = ["PROFILES", "case", "variable"]
