"""The instructions of a Dockerfile: one frozen class each, words parsed but not expanded.

Values only. A `Tree` encodes with cache.record, so that an unchanged file is never parsed twice; they are written as
arrays to keep that record small.
"""

import msgspec

from frontends.dockerfile.words import Word
from frontends.text import Lines


class Instruction(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """keyword: as written, `Run`. comments: the texts of comment lines directly above, for `check=` and the like."""

    keyword: str
    lines: Lines
    comments: tuple[str, ...] = ()


class Document(msgspec.Struct, frozen=True, array_like=True):
    """A heredoc. expand: the name was not quoted; chomp: `<<-`; data: the body as in the file."""

    name: str
    expand: bool
    chomp: bool
    data: str


class Command(msgspec.Struct, frozen=True, array_like=True):
    """What RUN, CMD and ENTRYPOINT take. shell: words is one string for the shell (or none at all)."""

    words: tuple[str, ...]
    shell: bool
    documents: tuple[Document, ...] = ()


class From(Instruction, frozen=True, tag="from"):
    """stage: lower-cased name, "" if none; as_keyword, stage_written: as written."""

    base: Word
    platform: Word | None = None
    stage: str = ""
    as_keyword: str = ""
    stage_written: str = ""


class Argument(msgspec.Struct, frozen=True, array_like=True):
    name: str
    default: Word | None


class Arg(Instruction, frozen=True, tag="arg"):
    arguments: tuple[Argument, ...]


class Pair(msgspec.Struct, frozen=True, array_like=True):
    key: Word
    value: Word


class Env(Instruction, frozen=True, tag="env"):
    """legacy: written `ENV key value`."""

    pairs: tuple[Pair, ...]
    legacy: bool = False


class Label(Instruction, frozen=True, tag="label"):
    """legacy: written `LABEL key value`."""

    pairs: tuple[Pair, ...]
    legacy: bool = False


class MountField(msgspec.Struct, frozen=True, array_like=True):
    """One field of --mount. text: the field as written; value: None where there is no `=`."""

    key: str
    text: str
    value: Word | None


class Run(Instruction, frozen=True, tag="run"):
    """display: the line as shown in progress. devices: --device values as written."""

    command: Command
    display: Word
    mounts: tuple[tuple[MountField, ...], ...] = ()
    network: str = "default"
    security: str = "sandbox"
    devices: tuple[str, ...] = ()


class InlineSource(msgspec.Struct, frozen=True, array_like=True):
    """A heredoc given as a source: data is a Word of heredoc rules, or plain text when its name was quoted."""

    name: str
    data: Word


class Transfer(Instruction, frozen=True):
    """What COPY and ADD have in common. paths: the sources that are words; inlines: those that are heredocs."""

    paths: tuple[Word, ...]
    inlines: tuple[InlineSource, ...]
    dest: Word
    display: Word
    chown: Word = ""
    chmod: Word = ""
    link: bool = False
    exclude: tuple[str, ...] = ()


class Copy(Transfer, frozen=True, tag="copy"):
    source_stage: str = ""
    parents: bool = False


class Add(Transfer, frozen=True, tag="add"):
    checksum: Word = ""
    keep_git_dir: bool | None = None
    unpack: bool | None = None


class Cmd(Instruction, frozen=True, tag="cmd"):
    command: Command


class Entrypoint(Instruction, frozen=True, tag="entrypoint"):
    command: Command


class Shell(Instruction, frozen=True, tag="shell"):
    words: tuple[str, ...]


class Healthcheck(Instruction, frozen=True, tag="healthcheck"):
    """test: ("NONE",), ("CMD", …) or ("CMD-SHELL", text); times in nanoseconds."""

    test: tuple[str, ...]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class Expose(Instruction, frozen=True, tag="expose"):
    """ports: sorted as text."""

    ports: tuple[Word, ...]


class User(Instruction, frozen=True, tag="user"):
    user: Word


class Workdir(Instruction, frozen=True, tag="workdir"):
    path: Word
    display: Word


class Volume(Instruction, frozen=True, tag="volume"):
    paths: tuple[Word, ...]


class StopSignal(Instruction, frozen=True, tag="stopsignal"):
    signal: Word


class Onbuild(Instruction, frozen=True, tag="onbuild"):
    """trigger: the instruction as text, heredocs included."""

    trigger: str


class Maintainer(Instruction, frozen=True, tag="maintainer"):
    name: str


AnyInstruction = (
    From
    | Arg
    | Env
    | Label
    | Run
    | Copy
    | Add
    | Cmd
    | Entrypoint
    | Shell
    | Healthcheck
    | Expose
    | User
    | Workdir
    | Volume
    | StopSignal
    | Onbuild
    | Maintainer
)

LAYER_MAKING = (Run, Copy, Add, Workdir)


class Tree(msgspec.Struct, frozen=True, array_like=True):
    """A parsed file. check: the `check` directive's value; blanks: lines of instructions continued by a blank line."""

    instructions: tuple[AnyInstruction, ...]
    check: str = ""
    blanks: tuple[Lines, ...] = ()
