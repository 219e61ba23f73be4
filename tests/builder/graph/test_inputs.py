from __future__ import annotations

from builder.graph.graph import GraphBuilder, Vertex, VertexInfo
from builder.graph.inputs import read_by_path, root_of, selections, shaped_by, standing_on
from builder.graph.operation import Copy, Exec, ImageSource, InlineFile, LocalSource, MakeDir, Mount, Selection
from cache.digest import Digest

ROOT, ONE, TWO = (Digest.of(text) for text in (b"root", b"one", b"two"))


def copy(**changes: object) -> Vertex:
    sources = (Selection(input=1, path="/a"), InlineFile(name="x", data=""), Selection(input=1, path="/b"))
    return Vertex(Copy(sources=sources, dest="/", **changes), (ROOT, ONE))  # type: ignore[arg-type]


def test_a_copy() -> None:
    assert root_of(copy()) == ROOT
    assert standing_on(copy()) == shaped_by(copy()) == (ROOT,)
    assert read_by_path(copy()) == (ONE,)
    assert len(selections(copy().operation)) == 2
    assert shaped_by(copy(link=True)) == shaped_by(copy(link=True, chown="1:2")) == ()
    assert shaped_by(copy(link=True, chown="web")) == (ROOT,)


def test_a_copy_onto_nothing() -> None:
    vertex = Vertex(Copy(sources=(Selection(input=0, path="/"),), dest="/", rooted=False), (ONE,))
    assert root_of(vertex) is None
    assert (standing_on(vertex), read_by_path(vertex)) == ((), (ONE,))


def test_an_exec() -> None:
    mounts = (
        Mount(kind="bind", target="/b", input=1, source="/s"),
        Mount(kind="cache", target="/c", input=2),
        Mount(kind="bind", target="/e"),
        Mount(kind="tmpfs", target="/t"),
    )
    vertex = Vertex(Exec(argv=("x",), mounts=mounts), (ROOT, ONE, TWO))
    assert root_of(vertex) == ROOT
    assert standing_on(vertex) == (ROOT, TWO)
    assert read_by_path(vertex) == (ONE,)
    assert selections(vertex.operation) == (Selection(input=1, path="/s"),)
    on_nothing = Vertex(Exec(argv=("x",), mounts=mounts[:1], rooted=False), (ONE, ONE))
    assert (root_of(on_nothing), standing_on(on_nothing)) == (None, ())


def test_sources_and_folders() -> None:
    assert root_of(Vertex(ImageSource(manifest=ROOT, diff_ids=()))) is None
    assert root_of(Vertex(LocalSource(name="context"))) is None
    assert standing_on(Vertex(MakeDir(path="/w"), (ROOT,))) == (ROOT,)


def test_a_graph_has_each_vertex_once_and_inputs_first() -> None:
    builder = GraphBuilder()
    base = builder.add(ImageSource(manifest=ROOT, diff_ids=(ONE,)))
    a = builder.add(Exec(argv=("a",)), (base,), VertexInfo("first name"))
    assert builder.add(Exec(argv=("a",)), (base,), VertexInfo("second name")) == a
    b = builder.add(Exec(argv=("b",)), (a,))
    builder.add(Exec(argv=("unused",)), (base,))
    graph = builder.graph()
    assert graph.info[a].name == "first name"
    assert list(graph.needed((b,))) == [base, a, b]
