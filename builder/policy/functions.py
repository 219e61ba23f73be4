"""Functions: answers to a policy's calls of functions that are not the engine's (buildx's policy/funcs.go)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from builder.errors import PolicyFault
from builder.policy.files import PolicyFiles
from builder.policy.log import INFO, Log
from builder.policy.subjects import Subject
from builder.policy.verifications import UNDEFINED, Failed, Verifications
from cache.digest import Digest
from cache.errors import Fault

if TYPE_CHECKING:
    from builder.policy.signatures.trustroot import TrustRoot

_JSON_LIMIT = 4 << 20  # bytes


class Functions:
    """Of one evaluation. given: the input of the policy, as plain values. pins: what it wants the image to be.

    subject: the source, None where there is none. trust: whom signatures of Sigstore are checked by.
    """

    def __init__(
        self,
        given: dict[str, Any],
        files: PolicyFiles,
        log: Log,
        subject: Subject | None,
        trust: Callable[[], TrustRoot],
    ) -> None:
        self._given, self._files, self._log = given, files, log
        verify = Verifications(given, subject, self._read, trust, log)
        self._table: dict[str, Callable[..., list[Any]]] = {
            "load_json": self._load_json,
            "pin_image": self._pin_image,
            "verify_git_signature": verify.git_signature,
            "verify_http_pgp_signature": verify.http_pgp_signature,
            "artifact_attestation": verify.artifact_attestation,
            "github_attestation": verify.github_attestation,
        }
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
        except Failed as failed:
            self._log(INFO, f"{name}: {failed}")
            return UNDEFINED

    def _load_json(self, path: Any) -> list[Any]:
        raw = self._read(path, _JSON_LIMIT)
        try:
            return [json.loads(raw)]
        except (ValueError, RecursionError) as error:
            raise Failed(f'invalid JSON in "{path}": {error}') from None

    def _pin_image(self, image: Any, digest: Any) -> list[Any]:
        given = self._given.get("image")
        if given is None:
            return [False]
        if image != given:
            raise Failed("first argument is not the same as input image")
        try:
            wanted = Digest.parse(digest)
        except (Fault, AttributeError, TypeError):
            raise Failed(f"invalid digest: {digest!r}") from None
        if given.get("checksum") != str(wanted):
            self.pins.add(wanted)
        return [True]

    def _read(self, path: Any, limit: int) -> bytes:
        if not isinstance(path, str):
            raise Failed("expected string path")
        try:
            raw = self._files.read(path, limit)
        except PolicyFault as error:
            raise Failed(error.message) from None
        if raw is None:
            raise Failed(f'failed opening file "{path}"')
        return raw
