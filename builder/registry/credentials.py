"""Credentials: Docker's config.json with its helper programs, and containers' auth.json (containers-auth.json(5)).

What cannot be read counts as not there for reading, with a warning, and is a Fault for writing: nobody's file is
overwritten blindly.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

from builder.errors import RegistryFault
from builder.registry.auth import Login
from builder.registry.names import credential_key
from cache.wholefile import replace_file

_LIMIT = 4 << 20
_HELPER_TIME = 60
_NO_CREDENTIALS = "credentials not found in native keychain"  # docker-credential-helpers


class Credentials:
    """docker: path of config.json. others: paths of auth.json files, the first that has a login counts."""

    def __init__(
        self,
        docker: str,
        others: tuple[str, ...] = (),
        helpers: dict[str, str] | None = None,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        """helpers: environment that helper programs are given, None for ours. warn: told once of each damaged file."""
        self._docker, self._others, self._environment = docker, others, helpers
        self._warn, self._told = warn, set[str]()

    def find(self, registry: str, repository: str = "") -> Login | None:
        """The login for a registry; in an auth.json one for the longest beginning of the repository goes first."""
        data = self._usable(self._docker)
        helper = self._helper(data, registry)
        if helper:
            return self._ask(helper, registry)
        found = _entry(data, [credential_key(registry), *_spellings(registry)])
        for path in self._others:
            found = found or _entry(self._usable(path), [*_places(registry, repository), *_spellings(registry)])
        return found

    def save(self, registry: str, login: Login) -> str:
        """Keep a login; returns where. It is in a helper's hands if config.json names one. RegistryFault, OSError."""
        data = _read(self._docker)
        helper = self._helper(data, registry)
        key = credential_key(registry)
        if helper:
            secret = login.identity or login.password
            name = "<token>" if login.identity else login.username
            self._run(helper, "store", json.dumps({"ServerURL": key, "Username": name, "Secret": secret}))
            return f"credential helper {helper}"
        entry = {"auth": base64.b64encode(f"{login.username}:{login.password}".encode()).decode()}
        if login.identity:
            entry = {"auth": base64.b64encode(f"{login.username}:".encode()).decode(), "identitytoken": login.identity}
        auths = data.get("auths")
        data["auths"] = {**(auths if isinstance(auths, dict) else {}), key: entry}
        self._write(data)
        return self._docker

    def forget(self, registry: str) -> bool:
        """Remove a login; whether there was one."""
        data = _read(self._docker)
        helper = self._helper(data, registry)
        known = self.find(registry) is not None
        if helper:
            self._run(helper, "erase", credential_key(registry))
        auths = data.get("auths")
        keys = {credential_key(registry), *_spellings(registry)}
        if isinstance(auths, dict) and keys & auths.keys():
            data["auths"] = {k: v for k, v in auths.items() if k not in keys}
            self._write(data)
        return known

    def _usable(self, path: str) -> dict[str, Any]:
        try:
            return _read(path)
        except RegistryFault as fault:
            if path not in self._told:
                self._told.add(path)
                self._warn(f"{fault.message}: no login is taken from it")
            return {}

    def _write(self, data: dict[str, Any]) -> None:
        folder = os.path.dirname(self._docker)
        if not os.path.isdir(folder):
            os.makedirs(folder, mode=0o700)
        replace_file(self._docker, (json.dumps(data, indent="\t") + "\n").encode(), 0o600)

    def _helper(self, data: dict[str, Any], registry: str) -> str:
        each, every = data.get("credHelpers"), data.get("credsStore")
        name = None
        if isinstance(each, dict):
            name = next((each[k] for k in (registry, credential_key(registry)) if k in each), None)
        name = name or every
        if not isinstance(name, str) or not name:
            return ""
        if "/" in name or not name.isprintable():
            raise RegistryFault(f"{self._docker}: {name!r:.80} is no name of a credential helper")
        return name

    def _ask(self, helper: str, registry: str) -> Login | None:
        out = self._run(helper, "get", credential_key(registry), missing_is_fine=True)
        if out is None:
            return None
        try:
            data = json.loads(out)
            name, secret = str(data["Username"]), str(data["Secret"])
        except (ValueError, KeyError, TypeError):
            raise RegistryFault(f"credential helper {helper} gave no credentials that can be read") from None
        return Login(identity=secret) if name == "<token>" else Login(name, secret)

    def _run(self, helper: str, verb: str, given: str, missing_is_fine: bool = False) -> bytes | None:
        """What a helper prints; None if it knows nothing and that is fine. Secrets go by its standard input."""
        program = f"docker-credential-{helper}"
        try:
            done = subprocess.run(
                [program, verb], input=given.encode(), capture_output=True, timeout=_HELPER_TIME, env=self._environment
            )
        except OSError as error:
            raise RegistryFault(f"{program} cannot be run: {error.strerror}", f"see {self._docker}") from error
        except subprocess.TimeoutExpired:
            raise RegistryFault(f"{program} {verb} took more than {_HELPER_TIME} seconds") from None
        if done.returncode == 0:
            return done.stdout[:_LIMIT]
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        if missing_is_fine and _NO_CREDENTIALS in said:
            return None
        raise RegistryFault(f"{program} {verb} failed with status {done.returncode}")


def _read(path: str) -> dict[str, Any]:
    """Empty if there is none. Raises RegistryFault."""
    hint = "set it right, or remove it"
    try:
        with open(path, "rb") as file:
            data = json.loads(file.read(_LIMIT))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise RegistryFault(f"{path} cannot be read: {error.strerror}", hint) from None
    except (ValueError, RecursionError):
        raise RegistryFault(f"{path} cannot be read: it is no JSON", hint) from None
    if not isinstance(data, dict) or not isinstance(data.get("auths", {}), dict):
        raise RegistryFault(f"{path} holds no logins as Docker and Podman write them", hint)
    return data


def _spellings(registry: str) -> Iterator[str]:
    """How older programs wrote the same registry."""
    for name in (registry, credential_key(registry)):
        yield from (name, f"https://{name}", f"http://{name}", f"https://{name}/v1/", f"https://{name}/v2/")


def _places(registry: str, repository: str) -> Iterator[str]:
    parts = repository.split("/") if repository else []
    for count in range(len(parts), 0, -1):
        yield "/".join([registry, *parts[:count]])
    yield registry


def _entry(data: dict[str, Any], keys: list[str]) -> Login | None:
    auths = data.get("auths")
    if not isinstance(auths, dict):
        return None
    for key in keys:
        entry = auths.get(key)
        login = _login(entry) if isinstance(entry, dict) else None
        if login is not None:
            return login
    return None


def _login(entry: dict[str, Any]) -> Login | None:
    def text(name: str) -> str:
        value = entry.get(name)
        return value if isinstance(value, str) else ""

    name, word = text("username"), text("password")
    if text("auth"):
        try:
            name, _, word = base64.b64decode(text("auth"), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return None
    login = Login(name, word.rstrip("\0"), text("identitytoken"), text("registrytoken"))
    return login if login.username or login.identity or login.token else None
