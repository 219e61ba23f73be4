"""SourcePolicy: which sources a build may use, and which others stand in for them (BuildKit's sourcepolicy).

A policy is JSON: `{"rules": [{"action": "CONVERT", "selector": {"identifier": "docker-image://docker.io/library/a:*"},
"updates": {"identifier": "docker-image://docker.io/library/a:${1}@sha256:…"}}]}`. Sources are named
`docker-image://docker.io/library/a:1`, `https://host/file`, `git://host/path#ref:folder`, `local://context`, and
`oci-layout://base` or `docker-archive://base` for the image of --build-context base=.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from builder.errors import SourceFault
from builder.graph.operation import GitSource, HttpSource, RemoteSource
from builder.oci.reference import Reference

_VERSION = 1
_MOST_CONVERSIONS = 20  # of one source: rules may lead in a circle
_ACTIONS = ("ALLOW", "DENY", "CONVERT")
_MATCHES = ("WILDCARD", "EXACT", "REGEX")
_CONDITIONS = ("EQUAL", "NOTEQUAL", "MATCHES")
_IMAGE = "docker-image://"
_CHECKSUM, _FULL_URL, _GIT_CHECKSUM = "http.checksum", "git.fullurl", "git.checksum"
_GROUP = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")


class Constraint(msgspec.Struct, frozen=True):
    """An attribute of a source, "" if it has none of this key."""

    key: str
    value: str = ""
    condition: str | int = 0


class Selector(msgspec.Struct, frozen=True, rename="camel"):
    """Which sources a rule is for. identifier: of the source, as match_type (name or number) reads it."""

    identifier: str = ""
    match_type: str | int = 0
    constraints: tuple[Constraint, ...] = ()


class Update(msgspec.Struct, frozen=True):
    """What CONVERT makes of a source; "" for the identifier that it has."""

    identifier: str = ""
    attrs: dict[str, str] = {}


class Rule(msgspec.Struct, frozen=True):
    """action: of _ACTIONS, by name or number, as protobuf's JSON has it."""

    selector: Selector
    action: str | int = 0
    updates: Update | None = None


class _Policy(msgspec.Struct, frozen=True):
    rules: tuple[Rule, ...] = ()
    version: int = _VERSION


class SourcePolicy:
    """Rules in order: of those that allow or deny, the last that fits a source decides; one that converts at once."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self._rules = tuple(_Compiled(rule) for rule in rules)

    @classmethod
    def parse(cls, raw: bytes, where: str) -> SourcePolicy:
        """Read a policy file. Raises SourceFault."""
        try:
            policy = msgspec.json.decode(raw, type=_Policy)
        except msgspec.DecodeError as error:
            raise SourceFault(f"failed to parse policy {where}: {error}") from None
        if policy.version > _VERSION:
            raise SourceFault(f"policy {where}: unsupported policy version: {policy.version}")
        return cls(policy.rules)

    def image(self, name: str) -> str:
        """The name of the image that is used for this one. Raises SourceFault where that is denied."""
        if not self._rules:
            return name
        given = _IMAGE + str(Reference.parse(name))
        used, _ = self._decide(given, {})
        if used == given:
            return name
        return _of_kind(given, used, (_IMAGE,)).removeprefix(_IMAGE)

    def remote(self, source: RemoteSource) -> RemoteSource:
        """The source that is used for this one. Raises SourceFault where that is denied."""
        if not self._rules:
            return source
        return self._http(source) if isinstance(source, HttpSource) else self._git(source)

    def local(self, name: str) -> None:
        """Whether a folder of the client may be read. Raises SourceFault."""
        self._fixed(f"local://{name}")

    def archive(self, kind: str, name: str) -> None:
        """Whether a named context that is an image in a file, `oci-layout://name`, may be read. Raises SourceFault."""
        self._fixed(f"{kind}://{name}")

    def _fixed(self, identifier: str) -> None:
        """Of a source that nothing can stand in for."""
        if self._rules and self._decide(identifier, {})[0] != identifier:
            raise SourceFault(f'source policy: "{identifier}" cannot be converted')

    def _http(self, source: HttpSource) -> HttpSource:
        given = {_CHECKSUM: source.checksum} if source.checksum else {}
        url, attrs = self._decide(source.url, given)
        _of_kind(source.url, url, ("http://", "https://"))
        return msgspec.structs.replace(source, url=url, checksum=attrs.get(_CHECKSUM, ""))

    def _git(self, source: GitSource) -> GitSource:
        from builder.graph.gitref import parse_git_ref

        given = git_identifier(source)
        before = {_FULL_URL: source.remote} | ({_GIT_CHECKSUM: source.checksum} if source.checksum else {})
        used, attrs = self._decide(given, before)
        source = msgspec.structs.replace(source, checksum=attrs.get(_GIT_CHECKSUM, ""))
        if used != given:
            _of_kind(given, used, ("git://",))
            found = parse_git_ref(used)
            if found is None:
                raise SourceFault(f'source policy converts "{given}" to "{used}", which names no repository')
            remote = attrs[_FULL_URL] if attrs[_FULL_URL] != source.remote else _like(source.remote, found.remote)
            return msgspec.structs.replace(source, remote=remote, ref=found.ref, subdir=found.subdir)
        return msgspec.structs.replace(source, remote=attrs[_FULL_URL])

    def _decide(self, identifier: str, attrs: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        now = identifier, dict(attrs)
        for _ in range(_MOST_CONVERSIONS + 1):
            following = self._pass(*now)
            if following == now:
                return now
            now = following
        raise SourceFault(f'too many mutations on a single source: "{identifier}": too many operations')

    def _pass(self, identifier: str, attrs: dict[str, str]) -> tuple[str, dict[str, str]]:
        """The source after the first rule that changes it. Raises SourceFault where it is denied."""
        denied = False
        for rule in self._rules:
            if not rule.fits(identifier, attrs):
                continue
            if rule.action == "CONVERT":
                changed = rule.converted(identifier), {**attrs, **rule.attrs}
                if changed != (identifier, attrs):
                    return changed
            else:
                denied = rule.action == "DENY"
        if denied:
            raise SourceFault(f'source "{identifier}" denied by policy: source denied by policy')
        return identifier, attrs


class _Compiled:
    """A rule, checked when it is read."""

    def __init__(self, rule: Rule) -> None:
        self.action = _word(rule.action, _ACTIONS, "PolicyAction")
        self._identifier = rule.selector.identifier
        self._match = _word(rule.selector.match_type, _MATCHES, "MatchType")
        self._pattern = _pattern(self._match, self._identifier)
        self._constraints = tuple(_constraint(one) for one in rule.selector.constraints)
        if self.action == "CONVERT" and rule.updates is None:
            raise SourceFault("missing destination for convert rule")
        self.attrs = dict(rule.updates.attrs) if rule.updates is not None else {}
        self._dest = (rule.updates.identifier if rule.updates is not None else "") or self._identifier

    def fits(self, identifier: str, attrs: Mapping[str, str]) -> bool:
        for key, condition, wanted in self._constraints:
            value = attrs.get(key, "")
            fitting = wanted.search(value) is not None if isinstance(wanted, re.Pattern) else value == wanted
            if fitting == (condition == "NOTEQUAL"):
                return False
        return identifier == self._identifier or self._found(identifier) is not None

    def converted(self, identifier: str) -> str:
        if self._pattern is None:
            return self._dest
        if self._match == "REGEX":
            return self._pattern.sub(self._expanded, identifier)
        found = self._found(identifier)
        return self._expanded(found) if found is not None else identifier

    def _found(self, identifier: str) -> re.Match[str] | None:
        if self._pattern is None:
            return None
        return self._pattern.search(identifier) if self._match == "REGEX" else self._pattern.fullmatch(identifier)

    def _expanded(self, found: re.Match[str]) -> str:
        """`${1}`, `$1`, `${name}`: what the pattern's groups matched, "" for one that there is not; `$$` is `$`."""

        def group(mark: re.Match[str]) -> str:
            name = mark[1] or mark[2]
            if name is None:
                return "$"
            try:
                return found[int(name) if name.isdecimal() else name] or ""
            except IndexError:
                return ""

        return _GROUP.sub(group, self._dest)


def git_identifier(source: GitSource) -> str:
    """`git://host/path#ref:folder`, the same for every protocol."""
    rest = source.remote.partition("://")[2]
    if not rest:  # user@host:path
        rest = source.remote.replace(":", "/", 1)
    host, _, path = rest.partition("/")
    identifier = f"git://{host.rpartition('@')[2]}/{path.lstrip('/')}"
    if source.ref or source.subdir:
        identifier += f"#{source.ref}" + (f":{source.subdir}" if source.subdir else "")
    return identifier


def _like(remote: str, git_url: str) -> str:
    """A git:// URL with the protocol, and the user, of the remote that it stands in for."""
    scheme, separator, rest = remote.partition("://")
    if not separator:
        user = remote.partition(":")[0].rpartition("@")[0]
        return f"ssh://{user + '@' if user else ''}{git_url.removeprefix('git://')}"
    user = rest.partition("/")[0].rpartition("@")[0]
    return f"{scheme}://{user + '@' if user else ''}{git_url.removeprefix('git://')}"


def _of_kind(given: str, used: str, schemes: tuple[str, ...]) -> str:
    if not used.startswith(schemes):
        raise SourceFault(f'source policy converts "{given}" to "{used}", a source of another kind')
    return used


def _word(value: Any, known: tuple[str, ...], kind: str) -> str:
    """Names or numbers, as protobuf's JSON has them."""
    if isinstance(value, int) and 0 <= value < len(known):
        return known[value]
    if value not in known:
        raise SourceFault(f"invalid {kind} value: {value}", f"known: {', '.join(known)}")
    return str(value)


def _pattern(match: str, identifier: str) -> re.Pattern[str] | None:
    if match == "EXACT":
        return None
    if match == "WILDCARD":
        if "**" in identifier:
            raise SourceFault(f'source policy: "{identifier}": invalid wildcard: "**"')
        return re.compile("(.*)".join(map(re.escape, identifier.split("*"))), re.DOTALL)
    return _compiled(identifier)


def _constraint(constraint: Constraint) -> tuple[str, str, str | re.Pattern[str]]:
    condition = _word(constraint.condition, _CONDITIONS, "AttrMatch")
    value = _compiled(constraint.value) if condition == "MATCHES" else constraint.value
    return constraint.key, condition, value


def _compiled(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise SourceFault(f'source policy: invalid regex "{text}": {error}') from None
