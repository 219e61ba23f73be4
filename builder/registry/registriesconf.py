"""registries.conf, version 2 (containers-registries.conf(5)): mirrors, other places, insecure and blocked registries.

Read as far as a builder may: a name without a registry is Docker Hub's here, so unqualified-search-registries and
short-name aliases do not count.
"""

from __future__ import annotations

import os
import tomllib
from typing import Any

import msgspec

from builder.errors import RegistryFault

_LIMIT = 1 << 20


class Mirror(msgspec.Struct, frozen=True):
    """location: `host[:port][/path]`. pulls: all, digest-only or tag-only."""

    location: str
    insecure: bool = False
    pulls: str = "all"


class Rule(msgspec.Struct, frozen=True):
    """prefix: of `registry/repository`, or `*.domain`. location: what replaces it, "" for itself."""

    prefix: str
    location: str = ""
    insecure: bool = False
    blocked: bool = False
    mirrors: tuple[Mirror, ...] = ()

    def rest(self, name: str) -> str | None:
        """What of `registry/repository` follows the prefix; None where the rule is not about it."""
        if self.prefix.startswith("*."):
            host, slash, path = name.partition("/")
            return slash + path if host.partition(":")[0].endswith(self.prefix[1:]) else None
        if name.startswith(self.prefix) and name[len(self.prefix) : len(self.prefix) + 1] in ("", "/", ":", "@"):
            return name[len(self.prefix) :]
        return None


class RegistriesConf(msgspec.Struct, frozen=True):
    """What containers-registries.conf(5) says, of all files."""

    rules: tuple[Rule, ...] = ()

    def rule(self, name: str) -> Rule | None:
        """The rule with the longest prefix of `registry/repository`."""
        fitting = [rule for rule in self.rules if rule.rest(name) is not None]
        return max(fitting, key=lambda rule: len(rule.prefix)) if fitting else None


def load(paths: tuple[str, ...], folders: tuple[str, ...] = ()) -> RegistriesConf:
    """The first file that is there, then all `*.conf` of the folders; a later rule takes its prefix over.

    Raises RegistryFault where one cannot be read.
    """
    found = [next((path for path in paths if os.path.exists(path)), "")]
    for folder in folders:
        if os.path.isdir(folder):
            found += sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".conf"))
    rules: dict[str, Rule] = {}
    for path in filter(None, found):
        rules |= {rule.prefix: rule for rule in _rules(path)}
    return RegistriesConf(tuple(rules.values()))


def _rules(path: str) -> list[Rule]:
    try:
        with open(path, "rb") as file:
            data = tomllib.loads(file.read(_LIMIT).decode())
        return [_rule(entry) for entry in data.get("registry", [])]
    except OSError as error:
        raise RegistryFault(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise RegistryFault(f"{path} is malformed: {error}", "see containers-registries.conf(5)") from error


def _rule(entry: dict[str, Any]) -> Rule:
    location = _location(entry, "location")
    prefix = _location(entry, "prefix") or location
    if not prefix:
        raise ValueError("a [[registry]] has neither prefix nor location")
    mirrors = tuple(
        Mirror(_location(m, "location"), bool(m.get("insecure")), str(m.get("pull-from-mirror") or "all"))
        for m in entry.get("mirror", [])
    )
    return Rule(prefix, location, bool(entry.get("insecure")), bool(entry.get("blocked")), mirrors)


def _location(entry: dict[str, Any], name: str) -> str:
    text = entry.get(name) or ""
    if not isinstance(text, str) or not text.isprintable() or "://" in text or " " in text:
        raise ValueError(f"{name} is no HOST[:PORT][/PATH]: {text!r:.100}")
    return text.rstrip("/")
