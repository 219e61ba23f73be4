"""Platform: what an image runs on (OCI image-index.md), written `os[(version+feature)]/architecture[/variant]`.

Names, aliases and messages are those of containerd's platforms package.
"""

import platform as _host
import re

import msgspec

from builder.errors import ImageFault

_ALIASES = {
    "i386": ("386", ""),
    "x86_64": ("amd64", None),
    "x86-64": ("amd64", None),
    "aarch64": ("arm64", None),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
}  # the variant is overridden where one is given here
# What uname says, where it is not a name of the above.
_MACHINES = {"i686": "386", "armv7l": "armhf", "armv6l": "armel"}
_VARIANTS = {
    "amd64": {"v1": ""},
    "arm64": {"8": "", "v8": "", "v8.0": "", "9": "v9", "9.0": "v9", "v9.0": "v9"},
    "arm": {"": "v7", "5": "v5", "6": "v6", "7": "v7", "8": "v8"},
}
_KNOWN_OS = frozenset({
    "aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "linux", "nacl", "netbsd",
    "openbsd", "plan9", "solaris", "windows", "zos",
})  # fmt: skip
_KNOWN_ARCHITECTURES = frozenset({
    "386", "amd64", "amd64p32", "arm", "armbe", "arm64", "arm64be", "ppc64", "ppc64le", "loong64", "mips", "mipsle",
    "mips64", "mips64le", "mips64p32", "mips64p32le", "ppc", "riscv", "riscv64", "s390", "s390x", "sparc", "sparc64",
    "wasm",
})  # fmt: skip
_PART = re.compile(r"[A-Za-z0-9_.-]+\Z")
_OS = re.compile(r"([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.%-]*)((?:\+[A-Za-z0-9_.%-]+)*)\))?\Z")
_OS_SHOWN = r"^([A-Za-z0-9_-]+)(?:\\(([A-Za-z0-9_.%-]*)((?:\\+[A-Za-z0-9_.%-]+)*)\\))?$"


class Platform(msgspec.Struct, frozen=True, omit_defaults=True):
    """os and architecture by Go's names (linux, amd64); variant as in arm/v7, "" where there is none."""

    architecture: str
    os: str
    variant: str = ""
    os_version: str = msgspec.field(default="", name="os.version")
    os_features: tuple[str, ...] = msgspec.field(default=(), name="os.features")

    @classmethod
    def parse(cls, text: str) -> "Platform":
        """Read a platform, or an operating system or architecture alone, which this machine completes.

        The variant stays as it is written, but for aliases; see normalise. Raises ImageFault.
        """
        try:
            return _parse(text)
        except ValueError as error:
            raise ImageFault(
                f"failed to parse platform {text}: {error}: invalid argument", "want OS/ARCH[/VARIANT]"
            ) from None

    def __str__(self) -> str:
        return "/".join(p for p in (self.os or "unknown", self.architecture, self.variant) if p)

    @property
    def full(self) -> str:
        """As `str`, with version and features of the operating system: `windows(10.0.20348)/amd64`."""
        features = sorted(set(self.os_features) - {""})
        options = "".join([_encoded(self.os_version), *(f"+{_encoded(f)}" for f in features)])
        system = f"{self.os}({options})" if options else self.os
        return "/".join(p for p in (system or "unknown", self.architecture, self.variant) if p)


def normalise(platform: Platform) -> Platform:
    """The one form of equal platforms: Go's names, and no variant where it is the usual one (arm: v7)."""
    architecture, variant = _machine(platform.architecture, platform.variant)
    system = platform.os.lower() or "linux"
    features = tuple(sorted(set(platform.os_features)))
    return Platform(
        architecture=architecture,
        os="darwin" if system == "macos" else system,
        variant=variant,
        os_version=platform.os_version,
        os_features=features,
    )


def host() -> Platform:
    """The platform of this machine."""
    machine = _host.machine()
    architecture, variant = _machine(_MACHINES.get(machine, machine), "")
    return Platform(architecture=architecture, os="linux", variant=variant)


def parse_platforms(values: tuple[str, ...]) -> tuple[Platform, ...]:
    """--platform: lists with commas, `local` for this machine. Normalised, in the order given; raises ImageFault."""
    words = [word for value in values for word in value.split(",")]
    return tuple(normalise(host() if word.lower() == "local" else Platform.parse(word)) for word in words)


def _parse(text: str) -> Platform:
    if "*" in text:
        raise ValueError(f'"{text}": wildcards not yet supported')
    parts = text.split("/", 3)
    options = _OS.match(parts[0])
    if options is None:
        raise ValueError(
            f'"{parts[0]}" is an invalid OS component of "{text}": OSAndVersion specifier component must match '
            f'"{_OS_SHOWN}"'
        )
    for part in parts[1:]:
        if not _PART.match(part):
            raise ValueError(
                f'"{part}" is an invalid component of "{text}": platform specifier component must match '
                '"^[A-Za-z0-9_.-]+$"'
            )
    if len(parts) > 3:
        raise ValueError(f'"{text}": cannot parse platform specifier')
    system = options[1].lower()
    system = "darwin" if system == "macos" else system
    if len(parts) == 1:
        return _completed(text, system, options)
    architecture, variant = _machine(parts[1], parts[2] if len(parts) == 3 else "")
    if len(parts) == 2 and (architecture, variant) == ("arm", "v7"):
        variant = ""
    elif len(parts) == 3 and (architecture, variant) == ("arm64", ""):
        variant = "v8"
    version, features = _decoded(options[2] or ""), tuple(_decoded(f) for f in (options[3] or "").split("+") if f)
    return Platform(architecture, system, variant, version, features)


def _completed(text: str, system: str, options: re.Match[str]) -> Platform:
    """A single word."""
    if system in _KNOWN_OS:
        here = host()
        variant = "" if here.variant == "v7" else here.variant
        features = tuple(_decoded(f) for f in (options[3] or "").split("+") if f)
        return Platform(here.architecture, system, variant, _decoded(options[2] or ""), features)
    architecture, variant = _machine(text, "")
    if architecture not in _KNOWN_ARCHITECTURES:
        raise ValueError(f'"{text}": unknown operating system or architecture')
    return Platform(architecture, "linux", "" if (architecture, variant) == ("arm", "v7") else variant)


def _machine(architecture: str, variant: str) -> tuple[str, str]:
    architecture, variant = architecture.lower(), variant.lower()
    named, fixed = _ALIASES.get(architecture, (architecture, None))
    if fixed is not None:
        return named, fixed
    return named, _VARIANTS.get(named, {}).get(variant, variant)


def _encoded(option: str) -> str:
    if not option or option.isalnum():
        return option
    from urllib.parse import quote

    return quote(option, safe="-_.~!*'; :@&=$,?#[]")


def _decoded(option: str) -> str:
    if "%" not in option:
        return option
    from urllib.parse import unquote

    return unquote(option)
