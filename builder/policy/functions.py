"""Functions: answers to a policy's calls of functions that are not the engine's (buildx's policy/funcs.go)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from builder.errors import PolicyFault
from builder.policy.files import PolicyFiles
from builder.policy.log import INFO, Log
from cache.digest import Digest
from cache.errors import Fault

_JSON_LIMIT = 4 << 20  # bytes
UNDEFINED: list[Any] = []
"""No answer: what stands on the call is undefined, and `not` of it true."""


class Functions:
    """Of one evaluation. given: the input of the policy, as plain values. pins: what it wants the image to be."""

    def __init__(self, given: dict[str, Any], files: PolicyFiles, log: Log) -> None:
        self._given, self._files, self._log = given, files, log
        self._table: dict[str, Callable[..., list[Any]]] = {"load_json": self._load_json, "pin_image": self._pin_image}
        self.pins: set[Digest] = set()

    def answer(self, name: str, arguments: list[Any]) -> list[Any]:
        """One value, or UNDEFINED as in buildx, where a call that fails is undefined; the log says why.

        Raises PolicyFault for what cannot be answered.
        """
        function = self._table.get(name)
        if function is None:
            raise PolicyFault(f"{name}: this function is not supported yet", "drop the policy, or the call of it")
        try:
            return function(*arguments)
        except _Failed as failed:
            self._log(INFO, f"{name}: {failed}")
            return UNDEFINED

    def _load_json(self, path: Any) -> list[Any]:
        raw = self._read(path, _JSON_LIMIT)
        try:
            return [json.loads(raw)]
        except ValueError as error:
            raise _Failed(f'invalid JSON in "{path}": {error}') from None

    def _pin_image(self, image: Any, digest: Any) -> list[Any]:
        given = self._given.get("image")
        if given is None:
            return [False]
        if image != given:
            raise _Failed("first argument is not the same as input image")
        try:
            wanted = Digest.parse(digest)
        except (Fault, AttributeError, TypeError):
            raise _Failed(f"invalid digest: {digest!r}") from None
        if given.get("checksum") != str(wanted):
            self.pins.add(wanted)
        return [True]

    def _read(self, path: Any, limit: int) -> bytes:
        if not isinstance(path, str):
            raise _Failed("expected string path")
        try:
            raw = self._files.read(path, limit)
        except PolicyFault as error:
            raise _Failed(error.message) from None
        if raw is None:
            raise _Failed(f'failed opening file "{path}"')
        return raw


class _Failed(Exception):
    """A call that fails."""
