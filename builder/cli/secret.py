"""--secret: where the value of a secret comes from; it is read when a step asks for it, and kept nowhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

import msgspec

from builder.errors import SourceFault
from builder.oci import csvfields
from cache.errors import Fault

_LIMIT = 500 << 10  # bytes, as in BuildKit (session/secrets)
_KEYS = ("type", "id", "src", "source", "env")


class SecretSource(msgspec.Struct, frozen=True, kw_only=True):
    """id: its name in RUN --mount. Either path (absolute) or env, the name of a variable, is given."""

    id: str
    path: str = ""
    env: str = ""


def parse_secret(text: str, environment: Mapping[str, str]) -> SecretSource:
    """`id=NAME[,src=FILE|,env=VARIABLE][,type=file|env]`. Raises Fault, also for a file that is not there."""
    values: dict[str, str] = {}
    for field in _fields(text):
        key, equals, value = field.partition("=")
        key = key.strip().lower()
        if not equals:
            raise Fault(f"invalid field '{field}' must be a key=value pair", "want --secret id=NAME,src=FILE")
        if key not in _KEYS:
            raise Fault(f"unexpected key '{key}' in '{field}'", f"known: {', '.join(_KEYS)}")
        values["src" if key == "source" else key] = value
    kind, id, path, env = (values.get(key, "") for key in ("type", "id", "src", "env"))
    if kind not in ("", "file", "env"):
        raise Fault(f'unsupported secret type "{kind}"', "it is file or env")
    if not id:
        raise Fault(f"secret without id: {text!r}", "want --secret id=NAME,src=FILE")
    if kind == "env" and path:
        env, path = path, ""
    if not env and not path:
        env, path = (id, "") if kind == "env" or id in environment else ("", id)
    if path:
        path = os.path.abspath(path)
        _check(id, path)
    return SecretSource(id=id, path=path, env="" if path else env)


def reader(sources: Iterable[SecretSource], environment: Mapping[str, str]) -> Callable[[str], bytes | None]:
    """The value by id; None where there is no such secret. A later source of an id wins."""
    by_id = {source.id: source for source in sources}

    def read(id: str) -> bytes | None:
        source = by_id.get(id)
        if source is None:
            return None
        if source.path:
            _check(id, source.path)
            with open(source.path, "rb") as file:
                return file.read(_LIMIT)
        value = environment.get(source.env)
        return None if value is None else os.fsencode(value)

    return read


def _fields(text: str) -> list[str]:
    try:
        return csvfields.fields(text)
    except Fault as error:
        raise Fault(f"failed to parse csv secret: {error.message}", error.hint) from None


def _check(id: str, path: str) -> None:
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise SourceFault(f"secret {id}: cannot read {path}: {error.strerror}") from error
    if size > _LIMIT:
        raise SourceFault(f"secret {id}: {path} has {size} bytes, more than the {_LIMIT} that a secret may have")
