"""Random words: quotes, escapes and every operator of expansion, over a few names that may or may not be set."""

from __future__ import annotations

from random import Random

NAMES = ["A", "B", "C_1", "d", "E", "PATH", "TARGETARCH", "HOME", "UNSET"]
_PLAIN = ["a", "b", "one", "x/y.tar.gz", "1", "8080", "ü", "a.b.c", "/w", "foo", "bar", "0", "-", ".", "%", "@", "~", "+x", "a:b", "a,b", "a=b", "é*", "{}", "(x)", "#t"]  # fmt: skip
_PATTERNS = ["*", "?", "a", "*/", ".*", "/*", "\\*", "x/*", "*a*", "", "a?", "\\?", "**", "o*", "[a]"]


def plain(r: Random) -> str:
    return r.choice(_PLAIN)


def variable(r: Random, depth: int = 0, wrong: float = 0.02) -> str:
    name = r.choice(NAMES)
    if r.random() < wrong:
        return r.choice(["${A:=x}", "${A", "${}", "${:-x}", "${A?}", "${UNSET:?must be}", "${UNSET?}", "${B^^}", "${A/x}", "${A:1:2}", "${{A}}", "${A#", "${B//}", "${A%\\q}", "${A:?}", "${UNSET:?$B}", "${A-", "'${A", '"$A'])  # fmt: skip
    inner = plain(r) if depth > 1 or r.random() < 0.5 else variable(r, depth + 1, wrong) if r.random() < 0.8 else ""
    pattern = r.choice(_PATTERNS) if r.random() < 0.8 else "$" + r.choice(NAMES)
    return r.choice(
        [f"${name}", f"${{{name}}}", f"${name}", f"${{{name}:-{inner}}}", f"${{{name}-{inner}}}", f"${{{name}:+{inner}}}", f"${{{name}+{inner}}}",
         f"${{{name}#{pattern}}}", f"${{{name}##{pattern}}}", f"${{{name}%{pattern}}}", f"${{{name}%%{pattern}}}", f"${{{name}/{pattern}/{inner}}}",
         f"${{{name}//{pattern}/{inner}}}", f"${{{name}:-'{inner}'}}", f'${{{name}:-"{inner}"}}', "$1", "$$", "$@", "${1}", "$ü", "$-", "$", "$/"]
    )  # fmt: skip


def word(r: Random, wrong: float = 0.02) -> str:
    """One word: it has no blanks that are not quoted or escaped."""
    parts = []
    for _ in range(r.choice([1, 1, 1, 2, 2, 3])):
        kind = r.random()
        if kind < 0.4:
            parts.append(plain(r))
        elif kind < 0.75:
            parts.append(variable(r, wrong=wrong))
        elif kind < 0.83:
            parts.append(f"'{r.choice(['a b', '$A', '', 'x', chr(92) + 'n', chr(34), ' '])}'")
        elif kind < 0.93:
            inside = r.choice(
                [
                    "a b",
                    "$A",
                    "${B}",
                    "",
                    "x",
                    "\\\\",
                    '\\"',
                    "\\$A",
                    "\\n",
                    "'",
                    " ",
                    variable(r, wrong=wrong).replace('"', ""),
                ]
            )
            parts.append(f'"{inside}"')
        else:
            parts.append(r.choice(["\\ ", "\\$A", "\\\\", '\\"', "\\'", "\\x", "\\n", "\\ü"]))
    return "".join(parts)
