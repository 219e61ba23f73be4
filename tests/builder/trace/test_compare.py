from __future__ import annotations

from builder.trace.compare import Difference, differences, flat
from builder.trace.step import Read, Step
from builder.trace.trace import Trace
from cache.digest import Digest

KEY, CONTENT = Digest.of(b"k"), Digest.of(b"c")
BELOW = Step(name="[1/2] FROM b", key=KEY, fields={"type": "image"})
STEP = Step(
    name="[2/2] RUN a", key=Digest.of(b"x"), parents=(KEY, Digest.of(b"unknown")), contents=(CONTENT,),
    fields={"type": "exec", "env": ["A=1=2", "B="], "argv": ["sh", "ü"], "mounts": [{"kind": "bind", "input": 1}]},
    reads=(Read("context", local=True),),
)  # fmt: skip


def test_a_key_as_flat_fields() -> None:
    assert flat(STEP, Trace(steps=(BELOW, STEP), keys=7)) == {
        "type": "exec",
        "env A": "1=2",
        "env B": "",
        "argv": '["sh", "ü"]',
        "mounts 1": '{"kind": "bind","input": 1}',
        "parent 1": f"{KEY} [1/2] FROM b",
        "parent 2": str(Digest.of(b"unknown")),
        "contents 1": f"{CONTENT} of context",
        "version": "7",
    }


def test_differences_keep_the_order_and_end_with_what_is_gone() -> None:
    assert differences({"a": "1", "b": "1", "c": "1"}, {"new": "1", "c": "2", "a": "1"}) == [
        Difference("new", None, "1"),
        Difference("c", "1", "2"),
        Difference("b", "1", None),
    ]
