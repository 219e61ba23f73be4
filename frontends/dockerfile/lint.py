"""Lint: BuildKit's rules as a table, and the findings of one build (frontend/dockerfile/linter)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from builder.graph.graph import Span
from builder.graph.program import Warning
from builder.oci.boolean import parse_bool
from frontends.dockerfile.gotext import quote
from frontends.errors import LowerFault
from frontends.text import Lines

_ALL = "all"
_URL = "https://docs.docker.com/go/dockerfile/rule/{}/"


class Rule(msgspec.Struct, frozen=True):
    """message: a format string for the finding; page: the last part of its URL."""

    description: str
    message: str
    page: str
    experimental: bool = False


RULES = {
    "StageNameCasing": Rule(
        "Stage names should be lowercase", "Stage name '{}' should be lowercase", "stage-name-casing"
    ),
    "FromAsCasing": Rule(
        "The 'as' keyword should match the case of the 'from' keyword",
        "'{}' and '{}' keywords' casing do not match",
        "from-as-casing",
    ),
    "NoEmptyContinuation": Rule(
        "Empty continuation lines will become errors in a future release",
        "Empty continuation line",
        "no-empty-continuation",
    ),
    "ConsistentInstructionCasing": Rule(
        "All commands within the Dockerfile should use the same casing (either upper or lower)",
        "Command '{}' should match the case of the command majority ({})",
        "consistent-instruction-casing",
    ),
    "DuplicateStageName": Rule(
        "Stage names should be unique",
        "Duplicate stage name {}, stage names should be unique",
        "duplicate-stage-name",
    ),
    "ReservedStageName": Rule(
        "Reserved words should not be used as stage names",
        "Stage name should not use the same name as reserved stage {}",
        "reserved-stage-name",
    ),
    "JSONArgsRecommended": Rule(
        "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
        "JSON arguments recommended for {} to prevent unintended behavior related to OS signals",
        "json-args-recommended",
    ),
    "MaintainerDeprecated": Rule(
        "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
        "Maintainer instruction is deprecated in favor of using label",
        "maintainer-deprecated",
    ),
    "UndefinedArgInFrom": Rule(
        "FROM command must use declared ARGs", "FROM argument '{}' is not declared{}", "undefined-arg-in-from"
    ),
    "WorkdirRelativePath": Rule(
        "Relative workdir without an absolute workdir declared within the build can have unexpected results if the "
        "base image changes",
        "Relative workdir {} can have unexpected results if the base image changes",
        "workdir-relative-path",
    ),
    "UndefinedVar": Rule(
        "Variables should be defined before their use", "Usage of undefined variable '${}'{}", "undefined-var"
    ),
    "MultipleInstructionsDisallowed": Rule(
        "Multiple instructions of the same type should not be used in the same stage",
        "Multiple {} instructions should not be used in the same stage because only the last one will be used",
        "multiple-instructions-disallowed",
    ),
    "LegacyKeyValueFormat": Rule(
        "Legacy key/value format with whitespace separator should not be used",
        '"{0} key=value" should be used instead of legacy "{0} key value" format',
        "legacy-key-value-format",
    ),
    "InvalidBaseImagePlatform": Rule(
        "Base image platform does not match expected target platform",
        'Base image {} was pulled with platform "{}", expected "{}" for current build',
        "",
    ),
    "RedundantTargetPlatform": Rule(
        "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
        "Setting platform to predefined {} in FROM is redundant as this is the default behavior",
        "redundant-target-platform",
    ),
    "SecretsUsedInArgOrEnv": Rule(
        "Sensitive data should not be used in the ARG or ENV commands",
        "Do not use ARG or ENV instructions for sensitive data ({} {})",
        "secrets-used-in-arg-or-env",
    ),
    "InvalidDefaultArgInFrom": Rule(
        "Default value for global ARG results in an empty or invalid base image name",
        "Default value for ARG {} results in empty or invalid base image name",
        "invalid-default-arg-in-from",
    ),
    "FromPlatformFlagConstDisallowed": Rule(
        "FROM --platform flag should not use a constant value",
        "FROM --platform flag should not use constant value {}",
        "from-platform-flag-const-disallowed",
    ),
    "CopyIgnoredFile": Rule(
        "Attempting to Copy file that is excluded by .dockerignore",
        "Attempting to {} file {} that is excluded by .dockerignore",
        "copy-ignored-file",
    ),
    "InvalidDefinitionDescription": Rule(
        "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is "
        "not intended to be a description comment, add an empty line or comment between the instruction and the "
        "comment.",
        "Comment for {} should follow the format: `# {} <description>`",
        "invalid-definition-description",
        experimental=True,
    ),
    "ExposeProtoCasing": Rule(
        "Protocol in EXPOSE instruction should be lowercase",
        "Defined protocol '{}' in EXPOSE instruction should be lowercase",
        "expose-proto-casing",
    ),
    "ExposeInvalidFormat": Rule(
        "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a "
        "future release",
        "EXPOSE instruction should not define an IP address or host-port mapping, found '{}'",
        "expose-invalid-format",
    ),
}


class Check(msgspec.Struct, frozen=True):
    """A `check=` setting. skip and experimental: rule names; all: every rule."""

    skip: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()
    error: bool = False


def parse_check(text: str, what: str = "check options") -> Check:
    """Read `skip=A,B;error=true;experimental=all`. Raises LowerFault in BuildKit's words."""
    values: dict[str, str] = {}
    for part in text.strip().split(";", 2) if text.strip() else ():
        key, equals, value = part.partition("=")
        if not equals or key.strip() not in ("skip", "experimental", "error"):
            bad = key.strip() if equals else part
            raise LowerFault(f"failed to parse {what}: invalid check option {quote(bad)}")
        values[key.strip()] = value.strip()
        if key.strip() == "error" and parse_bool(value.strip()) is None:
            why = f"strconv.ParseBool: parsing {quote(value.strip())}: invalid syntax"
            raise LowerFault(f"failed to parse {what}: failed to parse check option {quote(part)}: {why}")
    skip, experimental = values.get("skip", ""), values.get("experimental", "")
    return Check(_names(skip), _names(experimental), parse_bool(values.get("error", "")) is True)


def _names(text: str) -> frozenset[str]:
    if text == "all":
        return frozenset({_ALL})
    return frozenset(name.strip() for name in text.split(",")) - {_ALL, ""}


class Lint:
    """Gathers findings, each once, as `check` and the comments above instructions allow."""

    def __init__(self, check: Check, file: str) -> None:
        self._check = check
        self._file = file
        self._found: dict[Warning, None] = {}

    def report(self, rule: str, lines: Lines, comments: Iterable[str], *values: str) -> None:
        """comments: those above the instruction, one of which may say `check=skip=…`; () for rules of the whole file.

        To the latter BuildKit's comments mean nothing: blank lines, casing, names of stages, defaults and platforms of
        base images.
        """
        known = RULES[rule]
        local = _local(comments)
        if known.experimental:
            wanted = self._check.experimental | local.experimental
            if rule not in wanted and _ALL not in wanted:
                return
        elif {rule, _ALL} & (self._check.skip | local.skip):
            return
        span = Span(self._file, lines.first, lines.last)
        url = _URL.format(known.page) if known.page else ""
        self._found[Warning(rule, known.message.format(*values), span, known.description, url)] = None

    def add(self, message: str) -> None:
        """A warning that is no rule."""
        self._found[Warning("", message)] = None

    def finish(self) -> tuple[Warning, ...]:
        """The findings by line. Raises LowerFault where `check` asks for it."""
        rules = dict.fromkeys(warning.rule for warning in self._found if warning.rule)
        if self._check.error and rules:
            raise LowerFault(f"lint violation found for rules: {', '.join(rules)}")
        return self.findings()

    def findings(self) -> tuple[Warning, ...]:
        """Those that there are so far, by line."""
        return tuple(sorted(self._found, key=lambda warning: warning.span.first if warning.span else 0))


def _local(comments: Iterable[str]) -> Check:
    for comment in comments:
        key, equals, value = comment.partition("=")
        if equals and key.strip().lower() == "check":
            try:
                return parse_check(value.strip().split(" ")[0])
            except LowerFault:
                return Check()
    return Check()
