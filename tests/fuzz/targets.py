"""What is fuzzed: bytes to the parser of Dockerfiles, the expander of words, the matcher of ignore files, policies."""

from __future__ import annotations

from pathlib import Path

from builder.errors import PolicyFault, SourceFault
from builder.policy.module import Module
from builder.policy.names import FUNCTIONS, HELPERS
from builder.policy.rego.builtins import ARITIES, BUILTINS
from builder.policy.rego.evaluate import Evaluator
from builder.policy.rego.faults import Needed, RegoError
from builder.policy.rego.parser import parse_term
from builder.policy.rego.program import compiled
from builder.policy.rego.values import from_plain, to_plain
from builder.policy.tokens import tokens
from builder.source.ignore import Ignore, read_patterns
from builder.source.pattern import clean
from cache import record
from frontends.dockerfile.grammar import grammar
from frontends.dockerfile.instructions import Tree
from frontends.dockerfile.parse import parse
from frontends.dockerfile.words import Expander
from frontends.errors import ExpansionFault, FrontendFault
from frontends.text import Source

INPUT = {
    "image": {"repo": "a/b", "tag": "1.2.3", "labels": {"x": "y"}, "signatures": [{"kind": "k"}]},
    "env": {"depth": 0},
}
ENV = {"a": "x/y.z", "b": "", "c": "a b  c", "stars": "x*y?z\\"}


def lines(data: bytes) -> None:
    """A tree that the record keeps, or a fault with words in it."""
    try:
        tree = parse(Source("Dockerfile", data)).tree
    except FrontendFault as fault:
        assert fault.message
        assert isinstance(fault.excerpt, str)
        return
    assert record.decode(record.encode(tree), Tree) == tree


def words(data: bytes) -> None:
    """One text or a fault, for both escape characters and for a heredoc's body."""
    text = data.decode("utf-8", "ignore").replace("\0", "")
    for parser in (grammar("\\"), grammar("`"), grammar("\\", quotes=False)):
        word = parser.word(text)
        for expander in (Expander(ENV), Expander(ENV, display=True)):
            try:
                expander.expand(word)
                expander.split(word)
            except ExpansionFault as fault:
                assert fault.message


def ignore(data: bytes) -> None:
    """The first line is a path, the others are an ignore file: walking and asking must agree."""
    path, _, text = data.partition(b"\n")
    name = clean(path.decode("utf-8", "surrogateescape").replace("\0", "")).lstrip("/.")
    if not name:
        return
    try:
        rules = Ignore(read_patterns(text))
    except SourceFault:
        return
    verdict, at, entered = rules.root, "", True
    for segment in name.split("/"):
        if verdict.excluded and at and not rules.descend(at):
            entered = False
        at = f"{at}/{segment}" if at else segment
        verdict = rules.verdict(at, verdict)
    assert rules.excluded(name) is verdict.excluded
    assert entered or verdict.excluded  # what is shown lies in no folder that a walker leaves out


def rego(data: bytes) -> None:
    """A policy has a value, or none, or a fault with words in it. Ranges, which can be long, are left out."""
    try:
        modules = [Module.read("p.rego", b"package docker\n" + data), Module.read("h.rego", HELPERS.encode())]
        functions = {name: n for name, n in {**ARITIES, **FUNCTIONS}.items() if not name.startswith("numbers.range")}
        engine = Evaluator(compiled(modules, functions), BUILTINS, frozenset(FUNCTIONS), lambda *_: (), lambda _: None)
        for value in engine.value(parse_term(tokens("data", "query"), "query"), from_plain(INPUT)):
            to_plain(value)
    except (PolicyFault, RegoError, Needed, RecursionError) as fault:
        assert str(fault)


def dictionary() -> str:
    return str(Path(__file__).with_name("tokens.dict"))
