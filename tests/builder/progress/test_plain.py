from __future__ import annotations

import io

from builder.graph.event import Cached, Failed, Finished, Log, Missed, Started, Transfer, Warned
from builder.progress.plain import PlainRenderer
from builder.progress.renderer import Summary
from cache.digest import Digest

A, B, C = (Digest.of(name) for name in (b"a", b"b", b"c"))


def render(*events, summary=None):
    out = io.StringIO()
    renderer = PlainRenderer(out)
    for event in events:
        renderer.event(event)
    renderer.close(summary)
    return out.getvalue()


def test_steps_one_after_the_other():
    text = render(
        Started(A, "[internal] load .dockerignore", 0.0),
        Finished(A, 0.01),
        Cached(B, "[1/2] FROM base", 0.02),
        Started(C, "[2/2] RUN make", 0.1),
        Log(C, b"hello\nwor", 0.412),
        Log(C, b"ld\n", 0.5),
        Finished(C, 1.34),
        summary=Summary(A, 1_240_000, ("app:1",), 1.42),
    )
    assert (
        text
        == f"""#1 [internal] load .dockerignore
#1 DONE 0.0s

#2 [1/2] FROM base
#2 CACHED

#3 [2/2] RUN make
#3 0.312 hello
#3 0.312 world
#3 DONE 1.2s

app:1 {A} 1.24MB in 1.4s
"""
    )


def test_a_step_that_ends_interrupts_the_one_that_talks():
    text = render(
        Started(A, "RUN a", 0.0),
        Started(B, "RUN b", 0.0),
        Log(A, b"a1\n", 0.1),
        Log(B, b"b1\n", 0.2),
        Finished(B, 0.3),
        Log(A, b"a2\n", 0.4),
        Finished(A, 0.5),
    )
    assert (
        text
        == """#1 RUN a
#1 0.100 a1
#1 ...

#2 RUN b
#2 0.200 b1
#2 DONE 0.3s

#1 RUN a
#1 0.400 a2
#1 DONE 0.5s
"""
    )


def test_another_step_gets_its_turn_after_a_while():
    text = render(
        Started(A, "RUN a", 0.0),
        Started(B, "RUN b", 0.0),
        Log(B, b"b1\n", 1.0),
        Log(A, b"a1\n", 2.0),
        Log(B, b"b2\n", 6.0),
        Log(A, b"a2\n", 7.0),
        Finished(B, 8.0),
        Finished(A, 9.0),
    )
    assert (
        text
        == """#1 RUN a
#1 2.000 a1
#1 ...

#2 RUN b
#2 1.000 b1
#2 6.000 b2
#2 DONE 8.0s

#1 RUN a
#1 7.000 a2
#1 DONE 9.0s
"""
    )


def test_a_failure_shows_the_end_of_its_log_and_others_are_canceled():
    text = render(
        Started(A, "[2/3] RUN false", 0.0),
        Started(B, "[other 1/1] RUN sleep 9", 0.0),
        Log(A, b"first\nlast words", 0.25),
        Failed(A, 'process "/bin/sh -c false" did not complete successfully: exit code: 1', False, 0.3),
        Failed(B, "context canceled", True, 0.4),
    )
    assert (
        text
        == """#1 [2/3] RUN false
#1 0.250 first
#1 0.250 last words
#1 ERROR: process "/bin/sh -c false" did not complete successfully: exit code: 1

#2 [other 1/1] RUN sleep 9
#2 CANCELED

------
 > [2/3] RUN false:
0.250 first
0.250 last words
------
"""
    )


def test_nothing_in_a_name_or_log_forges_a_line():
    text = render(
        Started(A, "RUN x\n#9 DONE 0.0s\x1b[2J", 0.0),
        Log(A, b"\x1b[1A\x1b[2K#1 CACHED\r#7 DONE\n", 0.0),
        Finished(A, 0.0),
    )
    assert text == "#1 RUN x\\n#9 DONE 0.0s\n#1 0.000 #7 DONE\n#1 DONE 0.0s\n"


def test_transfers_are_told_now_and_then():
    text = render(
        Started(A, "[internal] load build context", 0.0),
        *(Transfer(A, "transferring context:", n * 1000, 0, n * 0.1) for n in range(1, 80)),
        Transfer(A, "transferring context:", 80_000, 80_000, 8.0),
        Finished(A, 8.0),
    )
    assert (
        text
        == """#1 [internal] load build context
#1 transferring context: 1kB
#1 transferring context: 51kB
#1 transferring context: 80kB / 80kB done
#1 DONE 8.0s
"""
    )


def test_warnings_stand_at_the_end_or_with_their_step():
    text = render(Started(A, "x", 0.0), Warned(A, "mind this", 0.0), Warned(None, "and that", 0.0), Finished(A, 0.0))
    assert text == "#1 x\n#1 WARN: mind this\n#1 DONE 0.0s\n\nWARNING: and that\n"


def test_steps_that_are_known_by_their_digest_alone():
    text = render(Log(A, b"lost\n", 1.0), Finished(A, 1.0))
    assert text == f"#1 {A.short}\n#1 0.000 lost\n#1 DONE 0.0s\n"


def test_what_was_waiting_when_the_build_broke_off_is_shown():
    text = render(Started(A, "a", 0.0), Started(B, "b", 0.0), Log(B, b"tail", 0.1))
    assert text == "#1 a\n#1 ...\n\n#2 b\n#2 0.100 tail\n"


def test_why_a_step_was_missed_stands_below_its_name():
    text = render(
        Started(A, "[2/3] COPY src /src", 0.0), Missed(A, "src/\x1b[2Ja changed (content)", 0.0), Finished(A, 0.1),
        Started(B, "[3/3] RUN b", 0.1), Log(B, b"b\n", 0.2), Finished(B, 0.3),
    )  # fmt: skip
    assert (
        text
        == """#1 [2/3] COPY src /src
#1 missed: src/a changed (content)
#1 DONE 0.1s

#2 [3/3] RUN b
#2 0.100 b
#2 DONE 0.2s
"""
    )
