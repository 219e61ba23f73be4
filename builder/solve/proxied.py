"""A step whose only way out is a proxy of ours (BuildKit's proxy network)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote

from builder.graph.operation import Exec
from builder.layer.tree import Tree
from builder.sandbox.spec import OverlayRoot, PlainRoot
from builder.solve.emptytree import EmptyTree
from builder.solve.executor import Task
from builder.solve.surroundings import Secrets, Surroundings
from builder.solve.trees import Trees
from builder.solve.trusted import trusted
from builder.solve.way import StepOutput, Way

PORT = 26543
"""Always the same, so that it makes no difference where a command writes its environment down."""

_SHORTEST = 4  # bytes of a secret that is masked: shorter ones would mask what is none


@contextmanager
def proxied(
    task: Task, operation: Exec, root: OverlayRoot | PlainRoot, trees: Trees, given: Surroundings, output: StepOutput
) -> Iterator[Way]:
    """root: of the step, which in this block, and only for the step, trusts the proxy's certificates."""
    assert given.recording is not None
    recorder = given.recording.recorder()
    mask = _mask(operation, given.secrets)
    step = recorder.step(host=operation.network == "host", say=output.say, mask=mask)
    tree: Tree = trees.view(task.below) if task.below else EmptyTree()
    try:
        with trusted(root, tree, recorder.pem, trees.gather) as trusting:
            try:
                yield Way(trusting, "none", PORT, _environment(), step.serve)
            finally:
                step.close()
    finally:
        for line in step.lines():
            output.say(line)
        given.recording.asked(task.digest, step.requests)


def _environment() -> tuple[str, ...]:
    proxy, direct = f"http://127.0.0.1:{PORT}", "127.0.0.1,localhost,::1"
    values = {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "NO_PROXY": direct}
    return tuple(f"{spelled}={value}" for name, value in values.items() for spelled in (name, name.lower()))


def _mask(operation: Exec, secrets: Secrets) -> Callable[[str], str]:
    """What takes the secrets that a step has out of a text, also as they look in a URL."""
    values = {secrets(mount.id) for mount in operation.mounts if mount.kind == "secret"} - {None}
    words = set()
    for value in values:
        text = os.fsdecode(value or b"").strip()
        if len(text) >= _SHORTEST:
            words |= {text, quote(text, safe=""), quote(text)}
    longest_first = sorted(words, key=len, reverse=True)

    def mask(text: str) -> str:
        for word in longest_first:
            text = text.replace(word, "***")
        return text

    return mask
