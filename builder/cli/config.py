"""The configuration file, as TOML: how much the build cache may take ([gc], as in buildkitd.toml), proxy-network."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from builder.cli.request import byte_count
from builder.errors import ConfigFault
from cache.errors import Fault

if TYPE_CHECKING:
    from builder.upkeep.policy import Policy

_NAME = "lapstrake/lapstrake.toml"
_LIMIT = 1 << 20  # bytes
_SPACES = {"reserved-space": "reserved", "max-used-space": "most", "min-free-space": "free"}
_AGE, _PROXY = "keep-duration", "proxy-network"
_COMMON = (*_SPACES, _AGE)
_TABLE = re.compile(r"\s*\[+\s*([\w.-]+)\s*\]+")


def config_file(env: Mapping[str, str]) -> str | None:
    """The first of $LAPSTRAKE_CONFIG, $XDG_CONFIG_HOME/… (else ~/.config/…) and /etc/… that is there.

    The first is taken if it is set, there or not.
    """
    if env.get("LAPSTRAKE_CONFIG"):
        return env["LAPSTRAKE_CONFIG"]
    home = env.get("XDG_CONFIG_HOME") or (f"{env['HOME']}/.config" if env.get("HOME") else "")
    places = [f"{folder}/{_NAME}" for folder in (home, "/etc") if folder.startswith("/")]
    return next((path for path in places if os.path.exists(path)), None)


class Settings(NamedTuple):
    """policies: what [gc] asks for, in the order in which it is done. proxy_network: as if each build had the flag."""

    policies: tuple[Policy, ...] = ()
    proxy_network: bool = False


def settings_of(env: Mapping[str, str], root: str) -> Settings:
    """Those of the file that the environment leads to, if there is one. root: a folder on the store's disk."""
    path = config_file(env)
    if path is None:
        return Settings()
    status = os.statvfs(root)
    return read_settings(path, status.f_blocks * status.f_frsize)


def read_settings(path: str, disk: int) -> Settings:
    """The file's. disk: bytes of the whole disk, for percentages. Raises ConfigFault, which names the line."""
    import tomllib

    try:
        with open(path, "rb") as file:
            text = file.read(_LIMIT).decode("utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        hint = "make it readable, or let LAPSTRAKE_CONFIG name another file"
        raise ConfigFault(f"cannot read {path}: {error.strerror}", hint) from error
    except UnicodeDecodeError as error:
        raise ConfigFault(f"{path}: line {error.object[: error.start].count(10) + 1}: no UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigFault(f"{path}: {error}") from error
    return _Reader(path, text, disk).read(document)


class _Reader:
    def __init__(self, path: str, text: str, disk: int) -> None:
        self._path, self._lines, self._disk = path, text.splitlines(), disk

    def read(self, document: dict[str, Any]) -> Settings:
        for key in document.keys() - {"gc", _PROXY}:
            raise self._fault("", 0, key, f"unknown key {key!r}", f"there are [gc] and {_PROXY}")
        proxy = document.get(_PROXY, False)
        if not isinstance(proxy, bool):
            raise self._fault("", 0, _PROXY, f"{_PROXY} is no boolean", f"write {_PROXY} = true")
        return Settings(self._policies(document), proxy)

    def _policies(self, document: dict[str, Any]) -> tuple[Policy, ...]:
        gc = document.get("gc", {})
        if not isinstance(gc, dict):
            raise self._fault("", 0, "gc", "gc is no table", "write [gc]")
        policies = gc.pop("policy", [])
        if not isinstance(policies, list) or not all(isinstance(policy, dict) for policy in policies):
            raise self._fault("gc", 0, "policy", "policy is no list of tables", "write [[gc.policy]]")
        found = [self._policy(policy, "gc.policy", number, more=True) for number, policy in enumerate(policies)]
        return (*found, *([self._policy(gc, "gc", 0, more=False)] if gc else ()))

    def _policy(self, table: dict[str, Any], name: str, number: int, *, more: bool) -> Policy:
        from builder.upkeep.filters import duration, parse_filter
        from builder.upkeep.policy import Policy

        known = (*_COMMON, "all", "filters") if more else _COMMON
        values: dict[str, Any] = {}
        for key, value in table.items():
            try:
                if key not in known:
                    raise Fault(f"unknown key {key!r}", f"known: {', '.join(known)}")
                if key in _SPACES:
                    values[_SPACES[key]] = self._space(key, value)
                elif key == _AGE:
                    values["keep"] = float(value) if _is_number(value) else duration(_text(key, value), key)
                elif key == "all":
                    values["everything"] = _kind(key, value, bool)
                else:
                    texts = [str(text).replace("==", "=", 1) for text in _kind(key, value, list)]
                    values["filters"] = tuple(parse_filter(text.split(",")) for text in texts)
            except Fault as error:
                raise self._fault(name, number, key, error.message, error.hint) from None
        return Policy(**values)

    def _space(self, key: str, value: object) -> int:
        if _is_number(value):
            return int(value)  # type: ignore[call-overload, no-any-return]
        text = _text(key, value)
        percent = re.fullmatch(r"(\d{1,3})%", text)
        return self._disk * int(percent[1]) // 100 if percent else byte_count(key, text)

    def _fault(self, table: str, number: int, key: str, message: str, hint: str) -> ConfigFault:
        """number: of the table among those of its name."""
        here, seen = "", {"": 0}
        for line, text in enumerate(self._lines, 1):
            header = _TABLE.match(text)
            if header:
                here = header[1]
                seen[here] = seen.get(here, -1) + 1
            is_key = re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", text) or (not table and here == key)
            if is_key and (not table or (here, seen[here]) == (table, number)):
                return ConfigFault(f"{self._path}: line {line}: {message}", hint)
        return ConfigFault(f"{self._path}: {message}", hint)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise Fault(f"{key} is no whole number and no text")
    return value.strip()


def _kind(key: str, value: object, kind: type) -> Any:
    if not isinstance(value, kind):
        raise Fault(f"{key} is no {'list' if kind is list else 'boolean'}")
    return value
