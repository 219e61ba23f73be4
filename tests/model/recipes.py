"""Random inputs of a build: a Dockerfile whose steps always do the same on the same tree, files, options."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

FILES = ("a", "b", "c.txt", "d/x", "d/y", "d/e/z")
STAGES = 3
# Whatever a step leaves below /w has one date, and so has /w.
_DATED = "find /w -exec touch -hd @1 {} +"

_sources = st.sampled_from(["a", "b", "d", "d/", "d/e", "c*", "[ab]", ".", "d/x b"])
_dests = st.sampled_from(["/w/", "/w/to/", "/w/n/", "./", "/w/d/"])
_flags = st.sampled_from(
    ["", "", "", "--link ", "--link ", "--chmod=600 ", "--chown=3:4 ", "--link --chown=5 ", "--exclude=*x "]
)
_names = st.sampled_from(["a", "b", "to/a", "d/x", "n", "d", "sum", "k"])
_words = st.sampled_from(["one", "two", "$A", "$B", "${A:-none}"])

files = st.sampled_from(FILES)
contents = st.sampled_from(["", "1\n", "2\n", "3" * 5000])
modes = st.sampled_from([0o644, 0o664, 0o755, 0o600])
arguments = st.sampled_from(["", "x", "y"])
ignores = st.sampled_from(["", "d/y\n", "*.txt\n", "d\n!d/x\n", "b\n", ".dockerignore\nDockerfile\n"])


def _runs() -> st.SearchStrategy[str]:
    hashed, shown = "find /w -type f | sort | xargs -r md5sum", "find /w | sort | xargs stat -c '%n %F %a %u:%g'"
    seen = f"({hashed}; {shown}) > /s; mv /s /w/sum"
    return st.one_of(
        st.just(seen),
        st.builds(lambda name, word: f"mkdir -p /w/n; echo {word} >> /w/n/{name.replace('/', '-')}", _names, _words),
        st.builds(lambda name: f"rm -rf /w/{name}", _names),
        st.builds(lambda name, to: f"cp -r /w/{name} /w/{to}-c || true", _names, st.sampled_from(["k", "l"])),
        st.builds(lambda name: f"test ! -f /w/{name} || ln -f /w/{name} /w/hard", _names),
        st.builds(lambda name: f"chmod -R 700 /w/{name} || true", _names),
        st.sampled_from(["chmod 711 /", "chmod 755 /", "chown 4 /w", "stat -c %a,%u / /w > /w/root"]),
        st.just("rm -rf /w/d && mkdir /w/d && echo new > /w/d/x"),
    )


@st.composite
def instructions(draw: st.DrawFn, stage: int, plain: bool) -> str:
    """One of a stage. plain: in a stage that can run nothing."""
    kinds = ["copy", "copy", "from", "config", "heredoc"] + ([] if plain else ["run", "run", "run", "mount"])
    kind = draw(st.sampled_from(kinds))
    if kind == "run":
        return f"RUN {draw(_runs())}; {_DATED}"
    if kind == "mount":
        source = f",from=s{draw(st.integers(0, stage - 1))}" if stage else ""
        mount = f"--mount=type=bind,target=/m{source} --mount=type=cache,target=/c"
        return f"RUN {mount} date > /c/x; find /m | sort > /w/bound; {_DATED}"
    if kind == "from" and stage:
        path = draw(st.sampled_from(["/w", "/w/d", "/w/*", "/w/sum*", "/"]))
        return f"COPY --from=s{draw(st.integers(0, stage - 1))} {draw(_flags)}{path} {draw(_dests)}"
    if kind == "heredoc":
        return f"COPY {draw(_flags)}<<x /w/here\n{draw(_words)}\nx"
    if kind == "config":
        return draw(
            st.sampled_from(["ENV B=1", "ENV B=2", "ARG A", "LABEL l=$A", "WORKDIR /w/to", "WORKDIR /w", "ENV A=z"])
        )
    return f"COPY {draw(_flags)}{draw(_sources)} {draw(_dests)}"


@st.composite
def stages(draw: st.DrawFn, number: int) -> list[str]:
    """The instructions of a stage, its FROM first."""
    bases = ["base", "base", "scratch", *(f"s{n}" for n in range(number))]
    base = draw(st.sampled_from(bases))
    begin = [f"FROM {base} AS s{number}", "ARG A", "WORKDIR /w"]
    return begin + draw(st.lists(instructions(number, base == "scratch"), min_size=1, max_size=4))


def write(folder: Path, recipe: list[list[str]], held: dict[str, tuple[str, int]], ignore: str) -> None:
    """The context as it is now. Files that are as they were are not written again."""
    _put(folder / "Dockerfile", "\n".join(line for stage in recipe for line in stage) + "\n", 0o644)
    _put(folder / ".dockerignore", ignore, 0o644)
    for name in FILES:
        path = folder / name
        if name in held:
            _put(path, *held[name])
        else:
            path.unlink(missing_ok=True)
    for path in folder.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)


def _put(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    path.chmod(mode)
