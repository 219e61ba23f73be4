from __future__ import annotations

from typing import Any

from builder.graph.operation import Copy, Exec, LocalSource, Selection
from tests.frontends.dockerfile.programs import Build, steps


def test_named_contexts(build: Build, images: Any) -> None:
    contexts = {"src": "local", "alpine": "image"}
    program = build("FROM alpine:latest\nCOPY --from=src a /", contexts=contexts)
    assert images.asked == ["alpine"]
    assert LocalSource(name="src") in [v.operation for v in program.graph.vertices.values()]
    program = build("FROM a AS src\nRUN x\nFROM b\nCOPY --from=src a /", contexts=contexts)
    assert not any(isinstance(v.operation, Exec) for v in program.graph.vertices.values())


def test_image_on_a_local_folder(build: Build) -> None:
    program = build("FROM src\nRUN x", contexts={"src": "local"})
    first, second = steps(program)
    assert first == Copy(sources=(Selection(input=0, path="/"),), dest="/", rooted=False)
    assert isinstance(second, Exec) and program.base is None
    assert len([entry for entry in program.config.history if not entry.empty_layer]) == 2
