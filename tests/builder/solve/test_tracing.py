"""Random single edits of a Dockerfile and its context: the reason names exactly what was edited."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.graph.event import Cached, Missed
from builder.graph.inputs import selections
from builder.graph.key import KEY_VERSION
from builder.graph.program import ResolvedImage
from builder.layer.layer import Layer
from builder.oci.config import ImageConfig, RuntimeConfig
from builder.oci.descriptor import OCI_LAYER, Descriptor
from builder.oci.platform import Platform
from builder.solve.executor import Task
from builder.solve.outcomes import outcomes
from builder.solve.scheduler import Scheduler
from builder.solve.tracing import Tracing, Words
from builder.trace.listing import Member
from builder.trace.reasons import quoted
from builder.trace.step import place
from builder.trace.trace import Trace
from builder.trace.traces import Traces
from cache.digest import Digest
from cache.store import Store
from frontends.dockerfile.lower import lower
from frontends.dockerfile.options import LowerOptions
from frontends.dockerfile.parse import parse
from frontends.dockerfile.style import holds_secret
from frontends.dockerfile.variables import set_by
from frontends.text import Source
from tests.builder.solve.conftest import Recorder

END = r"\Z"
PLATFORM = Platform(architecture="amd64", os="linux")


class Project(NamedTuple):
    """What is built. files: path -> (mode, content). lines: those after FROM and ARG V. base: what the base holds."""

    lines: tuple[str, ...]
    files: dict[str, tuple[int, str]]
    value: str = "1"
    base: str = "base"
    options: tuple[tuple[str, str], ...] = ()


class Executor(Recorder):
    """Reads a context that is a dictionary, and otherwise does nothing."""

    def __init__(self, store: Store, files: dict[str, tuple[int, str]]) -> None:
        super().__init__(store)
        self.files = files
        self.held: dict[Digest, list[list[Member]]] = {}

    def measure(self, task: Task) -> tuple[Digest, ...]:
        held = self.held[task.digest] = [
            [
                Member(path.encode(), "file", mode, hashlib.sha256(text.encode()).digest()[:16])
                for path, (mode, text) in sorted(self.files.items())
                if path.startswith(selection.path.lstrip("/") + "/")
            ]
            for selection in selections(task.vertex.operation)
        ]
        return tuple(Digest.of(repr(members).encode()) for members in held)

    def members(self, vertex: Digest) -> list[Iterator[Member]] | None:
        held = self.held.get(vertex)
        return [iter(members) for members in held] if held is not None else None


def build(store: Store, project: Project) -> dict[str, str]:
    """One build; gives the steps that were missed, as they are called, with the reasons."""
    text = "\n".join(("FROM base", "ARG V", *project.lines, ""))
    document = parse(Source("Dockerfile", text.encode()))
    options = LowerOptions(
        platform=PLATFORM, build_platform=PLATFORM, build_args={"V": project.value}, **dict(project.options)
    )
    image = ImageConfig(
        platform=PLATFORM,
        runtime=RuntimeConfig(env=(f"OF={project.base}",)),
        diff_ids=(Digest.of(project.base.encode()),),
    )
    program = lower(
        document, options, lambda name, _: ResolvedImage(name, Digest.of(f"m {project.base}".encode()), image)
    )
    assert program.target is not None
    executor = Executor(store, project.files)
    base = Layer(image.diff_ids[0], Descriptor(media_type=OCI_LAYER, digest=image.diff_ids[0], size=4))
    events = executor.events
    traces = Traces(store.root, "it")
    tracing: list[Tracing] = []
    scheduler = Scheduler(
        program.graph, store, executor, lambda operation: (base,), events.append, lambda: 0.0, 1.0,
        why=lambda task: tracing[0].why(task.digest),
    )  # fmt: skip
    told = Words(
        "Dockerfile", (f"V={project.value}",), lambda name: set_by(document, name, {"V": ""}), holds_secret,
        lambda vertex: "",
    )  # fmt: skip
    targets = (program.target,)
    tracing.append(
        Tracing(traces, Trace(steps=()), program.graph, targets, scheduler.lookup, store, executor.members, told)
    )
    scheduler.run(*targets)
    made = outcomes(events, program.graph, scheduler, tracing[0].masked)
    assert {one.name for one in made if one.state == "cached"} == {e.name for e in events if isinstance(e, Cached)}
    fingerprint = hashlib.sha256("".join(one.key + one.name for one in made).encode()).hexdigest()
    tracing[0].save(fingerprint, made)
    info = program.graph.info
    return {info[event.vertex].name: event.why for event in events if isinstance(event, Missed)}


FILES = {f"{folder}/{name}": (0o644, f"{folder}{name}") for folder in "ab" for name in "xyz"}
CHOICES = [
    "RUN one",
    "RUN two words",
    "RUN three",
    "COPY a /a",
    "COPY b /b",
    "WORKDIR /w",
    "ENV E=1",
    "ENV F=$V",
    "USER 7",
]


@st.composite
def projects(draw: st.DrawFn) -> Project:
    lines = draw(st.lists(st.sampled_from(CHOICES), min_size=1, max_size=7, unique=True))
    return Project((*lines, "RUN last"), dict(FILES))


def changed_line(project: Project, old: str, new: str) -> Project:
    return project._replace(lines=tuple(new if line == old else line for line in project.lines))


@st.composite
def edits(draw: st.DrawFn) -> tuple[Project, Project, str]:
    """A project, the same after one edit, and what the reason of the first missed step must be, as a pattern."""
    project = draw(projects())
    kind = draw(
        st.sampled_from(["content", "mode", "add", "remove", "ENV", "ARG", "RUN", "insert", "delete", "base", "net"])
    )
    files = dict(project.files)
    path = draw(st.sampled_from(sorted(files)))
    if kind == "content":
        files[path] = (0o644, "other")
        return project, project._replace(files=files), re.escape(f"{path} changed (content)") + END
    if kind == "mode":
        files[path] = (0o755, files[path][1])
        return project, project._replace(files=files), re.escape(f"{path} changed (mode 0644 -> 0755)") + END
    if kind == "add":
        files[path + "+"] = (0o644, "")
        return project, project._replace(files=files), re.escape(f"{path}+ added") + END
    if kind == "remove":
        del files[path]
        return project, project._replace(files=files), re.escape(f"{path} removed") + END
    if kind == "ENV":
        return project, changed_line(project, "ENV E=1", "ENV E=2"), r"ENV E changed \(1 -> 2\)" + END
    if kind == "ARG":  # ENV F is another name of it
        return project, project._replace(value="2"), r"(ARG V|ENV F) changed \(1 -> 2\)( and 1 more)?" + END
    if kind == "RUN":
        return project, changed_line(project, "RUN last", "RUN not last"), "instruction changed, was RUN last" + END
    if kind == "base":
        digests = [str(Digest.of(f"m {name}".encode()))[:19] for name in ("base", "newer")]
        return (
            project,
            project._replace(base="newer"),
            rf"base image base changed \({digests[0]} -> {digests[1]}\)" + END,
        )
    if kind == "net":
        changed = project._replace(options=(("network", "none"),))
        return project, changed, r"--network changed \(default -> none\)" + END
    at = draw(st.integers(0, len(project.lines) - 1))
    if kind == "insert":
        lines = (*project.lines[:at], "RUN inserted", *project.lines[at:])
        return project, project._replace(lines=lines), "new instruction" + END
    gone = project.lines[at]
    said = {
        "ENV E=1": r"ENV E removed \(1\)",
        "ENV F=$V": r"ENV F removed \(1\)",
        "USER 7": r"USER changed \(7 -> empty\)",
        "WORKDIR /w": r"WORKDIR changed \(/w -> /\)|because \[.*\] WORKDIR /w is gone",
    }.get(gone, rf"because \[.*\] {gone} is gone")
    lines = (*project.lines[:at], *project.lines[at + 1 :])
    return project, project._replace(lines=lines), f"({said}){END}"


@settings(max_examples=60)
@given(edits())
def test_the_reason_names_what_was_edited(edit: tuple[Project, Project, str]) -> None:
    before, after, expected = edit
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        assert set(build(store, before).values()) <= {"no earlier build of Dockerfile"}
        assert build(store, before) == {}
        missed = build(store, after)
        store.close()
    names = list(missed)
    if not missed:
        return  # nothing reads what was edited
    assert re.match(expected, missed[names[0]]), (missed, expected)
    own = tuple(f"because {quoted(name)} " for name in names if not missed[name].startswith("because"))
    for name in names[1:]:  # what has not the same reason says which step below it has
        assert re.match(expected, missed[name]) or (own and missed[name].startswith(own)), (missed, name)


def test_the_instruction_put_in_is_the_only_new_one(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    build(store, Project(("RUN a", "RUN b"), {}))
    missed = build(store, Project(("RUN a", "RUN x", "RUN b"), {}))
    assert [(place(name).text, why) for name, why in missed.items()] == [
        ("RUN x", "new instruction"),
        ("RUN b", "because [3/4] RUN x is new"),
    ]


def test_another_version_of_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(str(tmp_path))
    build(store, Project(("RUN a",), {}))
    traces = Traces(store.root, "it")
    (trace,) = traces.all()
    older = msgspec.structs.replace(trace, keys=1, steps=tuple(
        msgspec.structs.replace(step, key=Digest.of(str(step.key).encode())) for step in trace.steps
    ))  # fmt: skip
    store.index.delete_results(key for key, _ in store.index.results())
    traces.save(traces.names()[0], older, ())
    found = set(build(store, Project(("RUN a",), {})).values())
    assert found == {f"the form of keys changed (version 1 -> {KEY_VERSION})"}


def test_the_nearest_of_several_builds_counts(tmp_path: Path) -> None:
    """Of two that were built in turn, the one that has more in common with this one."""
    store = Store(str(tmp_path))
    one = Project(("RUN common", "COPY a /a", "RUN x"), dict(FILES))
    two = Project(("RUN other", "RUN and more", "COPY b /b"), dict(FILES))
    build(store, one)
    build(store, two)
    missed = build(store, one._replace(files={**FILES, "a/x": (0o644, "new")}))
    assert list(missed.values()) == ["a/x changed (content)", "because [3/4] COPY a /a changed"]


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ('SHELL ["sh", "-c"]|RUN a', 'SHELL ["bash", "-c"]|RUN a', "SHELL changed (sh -c -> bash -c)"),
        ("RUN <<E|a|E", "RUN <<E|b|E", "instruction changed, was RUN <<E (a)"),
        ("RUN <<E|#!/x|a|E", "RUN <<E|#!/x|b|E", "heredoc changed"),
        ("COPY <<E /f|a|E", "COPY <<E /f|b|E", "heredoc changed"),
        ("WORKDIR /a|WORKDIR sub", "WORKDIR /b|WORKDIR sub", "WORKDIR changed (/a/sub -> /b/sub)"),
        ("WORKDIR /a|COPY b c", "WORKDIR /b|COPY b c", "destination changed (/a/c -> /b/c)"),
        ("RUN a", 'RUN ["a"]', 'instruction changed, was RUN a'),
        ("COPY b /", "COPY --chmod=700 b /", "--chmod changed (empty -> 700)"),
        ("RUN --mount=type=tmpfs,target=/t a", "RUN --mount=type=cache,target=/t a", "--mount changed"),
        ("RUN a|RUN b", "RUN b|RUN a", "instruction moved"),
    ],
)  # fmt: skip
def test_what_the_line_of_an_instruction_does_not_show(tmp_path: Path, before: str, after: str, reason: str) -> None:
    store = Store(str(tmp_path))
    build(store, Project(tuple(before.split("|")), dict(FILES)))
    missed = build(store, Project(tuple(after.split("|")), dict(FILES)))
    assert list(missed.values())[-1] == reason, missed


INSTRUCTIONS = [
    *CHOICES, "RUN --mount=type=bind,source=b,target=/b three", "COPY --from=one /x /y", "COPY --link b /c",
    "COPY --from=one /x /z", "WORKDIR sub", 'SHELL ["bash"]', "RUN <<E\nx\nE", "ENV E=2", "COPY a/x* /d/",
]  # fmt: skip


@st.composite
def histories(draw: st.DrawFn) -> list[Project]:
    """Builds of two stages, of any instructions, files and arguments, one after the other."""
    made = []
    for _ in range(draw(st.integers(2, 5))):
        first = draw(st.lists(st.sampled_from(CHOICES), max_size=4))
        second = draw(st.lists(st.sampled_from(INSTRUCTIONS), min_size=1, max_size=5))
        files = {path: draw(st.sampled_from([(0o644, "1"), (0o755, "1"), (0o644, "2")])) for path in FILES}
        name = draw(st.sampled_from(["AS one", "AS one", "AS one\nFROM base AS other"]))
        value, base = draw(st.sampled_from("12")), draw(st.sampled_from(["base", "newer"]))
        made.append(Project((*first, f"FROM base {name}", "ARG V", *second), files, value, base))
    return made


@settings(max_examples=40)
@given(histories())
def test_whatever_was_built_before_there_is_a_reason(history: list[Project]) -> None:
    """The lines after FROM belong to a stage without a name; `one` is the second."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        for project in history:
            lines = tuple(line.replace("--from=one", "--from=0") for line in project.lines)
            missed = build(store, project._replace(lines=lines))
            assert all(missed.values()), missed
            assert "its key changed" not in missed.values()
        store.close()
