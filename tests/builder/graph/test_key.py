"""Every field of an operation, and of what is in it, counts in the key of its result (CVE-2024-24557)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from builder.graph import operation
from builder.graph.key import Key
from builder.graph.operation import Copy, Exec, GitSource, HttpSource, ImageSource, LocalSource, MakeDir
from cache.digest import Digest

A, B = Digest.of(b"a"), Digest.of(b"b")


def full(kind: type) -> Any:
    """A value of a struct with something in each field."""
    return kind(**{field.name: sample(field.type) for field in msgspec.inspect.type_info(kind).fields})  # type: ignore[attr-defined]


def sample(field: Any) -> Any:
    inspect = msgspec.inspect
    if isinstance(field, inspect.StrType):
        return "s"
    if isinstance(field, inspect.BoolType):
        return False
    if isinstance(field, inspect.IntType):
        return 1
    if isinstance(field, inspect.CustomType):
        return A
    if isinstance(field, inspect.StructType):
        return full(field.cls)
    if isinstance(field, inspect.VarTupleType):
        return (sample(field.item_type),)
    if isinstance(field, inspect.TupleType):
        return tuple(sample(item) for item in field.item_types)
    if isinstance(field, inspect.UnionType):
        return sample(next(one for one in field.types if not isinstance(one, inspect.NoneType)))
    raise TypeError(field)


def others(value: Any) -> Iterator[Any]:
    """Values that differ from it in one place, however deep."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, str):
        yield value + "t"
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, Digest):
        yield B
    elif isinstance(value, tuple):
        yield ()
        yield (*value, *value)
        for at, one in enumerate(value):
            yield from ((*value[:at], other, *value[at + 1 :]) for other in others(one))
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            for other in others(getattr(value, name)):
                yield msgspec.structs.replace(value, **{name: other})
    else:
        raise TypeError(value)


KINDS = (ImageSource, LocalSource, HttpSource, GitSource, Exec, Copy, MakeDir)


def test_all_operations_are_here() -> None:
    assert set(KINDS) == set(operation.Operation.__args__)


@pytest.mark.parametrize("kind", KINDS)
def test_each_field_counts(kind: type) -> None:
    whole = full(kind)
    changed = list(others(whole))
    assert len(changed) >= len(whole.__struct_fields__) > 0
    keys = {Key(operation=one).digest() for one in (whole, *changed)}
    assert len(keys) == 1 + len(changed)


def test_what_it_stands_on_counts() -> None:
    plain = LocalSource(name="x")
    keys = [
        Key(operation=plain),
        Key(operation=plain, parents=(A,)),
        Key(operation=plain, parents=(A, A)),
        Key(operation=plain, contents=(A,)),
        Key(operation=plain, parents=(B,)),
        Key(operation=plain, version=0),
    ]
    assert len({key.digest() for key in keys}) == len(keys)
