"""Instructions that change the config, arguments and history; WORKDIR also makes a folder (dispatchEnv and others)."""

from __future__ import annotations

from msgspec.structs import replace

from builder.graph.operation import MakeDir
from builder.oci.config import HealthCheck
from frontends.dockerfile import paths
from frontends.dockerfile.fold import NOT_ENV, Fold
from frontends.dockerfile.gotext import duration, plain_list, quote, quoted_list
from frontends.dockerfile.instructions import (
    Arg,
    Cmd,
    Command,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    Onbuild,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from frontends.dockerfile.outline import Declared, description
from frontends.dockerfile.ports import parse_ports
from frontends.dockerfile.signals import is_signal
from frontends.dockerfile.style import holds_secret
from frontends.dockerfile.words import Expander
from frontends.errors import LowerFault

_MOST_PORTS = 3 * 65536  # every port of every protocol


def fold_env(fold: Fold, instruction: Env) -> None:
    if instruction.legacy:
        fold.report("LegacyKeyValueFormat", instruction, instruction.keyword)
    pairs = _pairs(fold, instruction)
    entries = {entry.partition("=")[0]: entry for entry in fold.runtime.env}
    for name, value in pairs:
        if holds_secret(name):
            fold.report("SecretsUsedInArgOrEnv", instruction, "ENV", quote(name))
        fold.env[name] = value
        entries[name] = f"{name}={value}"
    fold.runtime = replace(fold.runtime, env=tuple(entries.values()))
    fold.commit(" ".join(["ENV", *(f"{name}={value}" for name, value in pairs)]))


def fold_label(fold: Fold, instruction: Label) -> None:
    if instruction.legacy:
        fold.report("LegacyKeyValueFormat", instruction, instruction.keyword)
    pairs = _pairs(fold, instruction)
    fold.runtime = replace(fold.runtime, labels=tuple({**dict(fold.runtime.labels), **dict(pairs)}.items()))
    fold.commit(" ".join(["LABEL", *(f"{name}={value}" for name, value in pairs)]))


def _pairs(fold: Fold, instruction: Env | Label) -> list[tuple[str, str]]:
    # All words see the state before the instruction.
    return [(fold.expand(pair.key, instruction), fold.expand(pair.value, instruction)) for pair in instruction.pairs]


def fold_arg(fold: Fold, instruction: Arg) -> None:
    texts = []
    for argument in instruction.arguments:
        name = argument.name
        if holds_secret(name):
            fold.report("SecretsUsedInArgOrEnv", instruction, "ARG", quote(name))
        value, inherited = fold.shared.options.build_args.get(name), False
        if value is None and argument.default is not None:
            value = fold.expand(argument.default, instruction)
        elif value is None:
            value = fold.shared.stages.arguments.get(name)
            inherited = value is not None
        fold.gathered.used[name] = None
        if not inherited:
            text = description(instruction, name)
            fold.gathered.declared[name] = Declared(name, value or "", text, instruction.lines)
        if value is not None and name not in NOT_ENV:
            fold.env[name] = value
        fold.arguments[name] = value
        texts.append(name if value is None else f"{name}={value}")
    fold.commit(" ".join(["ARG", *texts]))


def fold_workdir(fold: Fold, instruction: Workdir) -> None:
    path = fold.expand(instruction.path, instruction)
    if not fold.workdir_set and not path.startswith("/"):
        fold.report("WorkdirRelativePath", instruction, quote(path))
    fold.workdir_set = True
    workdir = paths.workdir(fold.workdir, path)
    fold.runtime = replace(fold.runtime, workdir=workdir)
    if workdir != "/":
        rooted = fold.vertex is not None
        operation = MakeDir(path=paths.clean(workdir), user=fold.runtime.user, rooted=rooted)
        fold.step(operation, (), instruction, fold.display(instruction.display))
    fold.commit(f"WORKDIR {workdir}", layer=workdir != "/")


def fold_user(fold: Fold, instruction: User) -> None:
    user = fold.expand(instruction.user, instruction)
    fold.runtime = replace(fold.runtime, user=user)
    fold.commit(f"USER {user}")


def fold_cmd(fold: Fold, instruction: Cmd) -> None:
    _once(fold, instruction)
    words = _command(fold, instruction, instruction.command)
    fold.runtime = replace(fold.runtime, cmd=words or None, args_escaped=True)
    fold.commit(f"CMD {quoted_list(words)}")


def fold_entrypoint(fold: Fold, instruction: Entrypoint) -> None:
    _once(fold, instruction)
    words = _command(fold, instruction, instruction.command)
    fold.runtime = replace(fold.runtime, entrypoint=words or None)
    if Cmd not in fold.seen:
        fold.runtime = replace(fold.runtime, cmd=None)
    fold.commit(f"ENTRYPOINT {quoted_list(words)}")


def _command(fold: Fold, instruction: Instruction, command: Command) -> tuple[str, ...]:
    if not command.shell:
        return command.words
    if not fold.runtime.shell:
        fold.report("JSONArgsRecommended", instruction, instruction.keyword)
    return fold.with_shell(command.words)


def _once(fold: Fold, instruction: Instruction) -> None:
    earlier = fold.seen.get(type(instruction))
    if earlier is not None:
        # At the one that has no effect; but what is written above the later one decides whether it is said.
        rule, lines = "MultipleInstructionsDisallowed", earlier.lines
        fold.shared.lint.report(rule, lines, instruction.comments, instruction.keyword)
    fold.seen[type(instruction)] = instruction


def fold_shell(fold: Fold, instruction: Shell) -> None:
    fold.runtime = replace(fold.runtime, shell=instruction.words)
    fold.commit(f"SHELL {plain_list(instruction.words)}")


def fold_healthcheck(fold: Fold, instruction: Healthcheck) -> None:
    _once(fold, instruction)
    h = HealthCheck(
        test=instruction.test,
        interval=instruction.interval,
        timeout=instruction.timeout,
        start_period=instruction.start_period,
        start_interval=instruction.start_interval,
        retries=instruction.retries,
    )
    fold.runtime = replace(fold.runtime, healthcheck=h)
    fold.commit(
        f"HEALTHCHECK {{Test:{plain_list(h.test)} Interval:{duration(h.interval)} Timeout:{duration(h.timeout)} "
        f"StartPeriod:{duration(h.start_period)} StartInterval:{duration(h.start_interval)} Retries:{h.retries}}}"
    )


def fold_expose(fold: Fold, instruction: Expose) -> None:
    expander = Expander(fold.env)
    names: list[str] = []
    for text in [text for word in instruction.ports for text in expander.split(word)]:
        names += parse_ports(text, lambda rule, text=text: fold.report(rule, instruction, text))  # type: ignore[misc]
        if len(names) > _MOST_PORTS:
            raise LowerFault(f"EXPOSE names more than {_MOST_PORTS} ports", "name a range once")
    fold.runtime = replace(fold.runtime, exposed=tuple(dict.fromkeys((*fold.runtime.exposed, *names))))
    fold.commit(f"EXPOSE {plain_list(names)}")


def fold_volume(fold: Fold, instruction: Volume) -> None:
    volumes = [fold.expand(word, instruction) for word in instruction.paths]
    if not all(volumes):
        raise LowerFault("VOLUME specified can not be an empty string")
    fold.runtime = replace(fold.runtime, volumes=tuple(dict.fromkeys((*fold.runtime.volumes, *volumes))))
    fold.commit(f"VOLUME {plain_list(volumes)}")


def fold_stopsignal(fold: Fold, instruction: StopSignal) -> None:
    signal = fold.expand(instruction.signal, instruction)
    if not is_signal(signal):
        raise LowerFault(f"invalid signal: {signal}", "write it as SIGTERM, TERM, 15 or SIGRTMIN+3")
    fold.runtime = replace(fold.runtime, stop_signal=signal)
    fold.commit(f"STOPSIGNAL {signal}")


def fold_onbuild(fold: Fold, instruction: Onbuild) -> None:
    fold.runtime = replace(fold.runtime, onbuild=(*fold.runtime.onbuild, instruction.trigger))


def fold_maintainer(fold: Fold, instruction: Maintainer) -> None:
    fold.config = replace(fold.config, author=instruction.name)
    fold.commit(f"MAINTAINER {instruction.name}")
