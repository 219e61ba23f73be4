from __future__ import annotations

from typing import Any

import msgspec
import pytest

from builder.oci.config import ImageConfig
from frontends.errors import LowerFault
from frontends.text import Lines
from tests.frontends.dockerfile.programs import Build, fault, names, steps

replace = msgspec.structs.replace


def test_only_what_the_target_needs_is_asked_for(build: Build, images: Any) -> None:
    text = (
        "FROM missing AS m\nFROM a AS one\nRUN 1\nFROM missing2\nCOPY --from=m a b\nFROM b AS two\nCOPY --from=one x /"
    )
    program = build(text)
    assert images.asked == ["b", "a"] or images.asked == ["a", "b"]
    assert len(program.steps) == 1
    assert build(text, target="ONE").steps == (program.graph.vertices[program.steps[0]].inputs[1],)


def test_a_cycle_is_drawn_with_the_instructions_that_make_it(build: Build) -> None:
    text = "FROM a AS x\nCOPY --from=y a \\\n  b\nFROM a AS y\nRUN z\nRUN --mount=from=x,target=/x y\n"
    with pytest.raises(LowerFault) as caught:
        build(text)
    assert caught.value.message == "circular dependency detected on stage: x"
    assert caught.value.places == (Lines(2, 3), Lines(6, 6))
    first, second = caught.value.excerpt.split("\nDockerfile:")
    assert first.startswith("Dockerfile:6\n") and "   6 | >>> RUN --mount" in first
    assert second.startswith("2\n") and "   3 | >>>   b\n" in second


def test_a_stage_stands_only_on_earlier_ones(build: Build) -> None:
    """What FROM names makes no cycle: BuildKit looks for these among what instructions read."""
    text = 'cannot mount from stage "b" to "/x", stage needs to be defined before current command'
    with pytest.raises(LowerFault) as caught:
        build("FROM x AS a\nRUN --mount=from=b,target=/x y\nFROM a AS b")
    assert caught.value.message == text


def test_a_wrong_trigger_is_a_fault_of_the_from_line(build: Build) -> None:
    with pytest.raises(LowerFault) as caught:
        build("FROM a AS x\nONBUILD COPYY a b\n\nFROM x")
    assert (caught.value.message, caught.value.lines) == (
        "unknown instruction: COPYY (did you mean COPY?)",
        Lines(4, 4),
    )


def test_triggers_of_an_image_run_first_and_once(build: Build, images: Any) -> None:
    plain: ImageConfig = build("FROM a").config
    triggers = ("COPY --from=one a /", "ENV x=1")
    images.configs["trig"] = replace(plain, runtime=replace(plain.runtime, onbuild=triggers))
    program = build("FROM a AS one\nRUN 1\nFROM trig AS child\nRUN 2\nFROM child\nRUN 3")
    assert [type(operation).__name__ for operation in steps(program)] == ["Copy", "Exec", "Exec"]
    assert program.config.runtime.onbuild == ()
    assert "[child 2/4] ONBUILD COPY --from=one a /" in names(program)
    assert "x=1" in program.config.runtime.env


def test_triggers_of_a_stage_run_in_its_child(build: Build) -> None:
    program = build("FROM a AS x\nARG V=1\nONBUILD RUN <<E\necho $V\nE\nFROM x\nRUN 2")
    assert [operation.argv[-1] for operation in steps(program)] == ["echo $V\n", "2"]
    assert steps(program)[0].env[-1] == "V=1"
    assert program.config.runtime.onbuild == ()


def test_bad_trigger_of_an_image(build: Build, images: Any) -> None:
    plain: ImageConfig = build("FROM a").config
    images.configs["t"] = replace(plain, runtime=replace(plain.runtime, onbuild=("FORM x",)))
    found = fault(build, "FROM t")
    assert "unknown instruction: FORM" in found.message
    assert ">>> FROM t" in found.excerpt


def test_a_fault_in_a_stage_not_needed_is_not_found(build: Build) -> None:
    assert build("FROM a\nENV x=${}\nFROM a\nRUN 1").steps
