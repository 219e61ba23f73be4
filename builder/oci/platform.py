"""Platform: what an image runs on (OCI image-index.md), written `os/architecture[/variant]`."""

from __future__ import annotations

import platform as _host
import re

import msgspec

from builder.errors import ImageFault

_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "amd64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "arm64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armv7l": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "i386": ("386", ""),
    "i686": ("386", ""),
}
_OS_NAMES = {"macos": "darwin"}
_PART = re.compile(r"[A-Za-z0-9_.-]+\Z")
_KNOWN_OS = frozenset({"linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "solaris", "wasip1", "js"})


class Platform(msgspec.Struct, frozen=True, omit_defaults=True):
    """os and architecture by Go's names (linux, amd64); variant as in arm/v7, "" where there is none."""

    architecture: str
    os: str
    variant: str = ""
    os_version: str = msgspec.field(default="", name="os.version")
    os_features: tuple[str, ...] = msgspec.field(default=(), name="os.features")

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read `os[/arch[/variant]]`, or an architecture alone; raises ImageFault."""
        parts = [_part(text, p) for p in text.split("/")]
        if len(parts) > 3:
            raise ImageFault(f"failed to parse platform {text}: {_malformed(text)}")
        if len(parts) == 1:
            word = _OS_NAMES.get(parts[0], parts[0])
            if word in _KNOWN_OS:
                return normalise(Platform(architecture=host().architecture, os=word))
            if word in _ARCHITECTURES or word in ("arm", "386", "ppc64le", "s390x", "riscv64"):
                return normalise(Platform(architecture=word, os="linux"))
            raise ImageFault(f"failed to parse platform {text}: unknown operating system or architecture")
        variant = parts[2] if len(parts) == 3 else ""
        return normalise(Platform(architecture=parts[1], os=_OS_NAMES.get(parts[0], parts[0]), variant=variant))

    def __str__(self) -> str:
        return "/".join(p for p in (self.os, self.architecture, self.variant) if p)

    def runs_on(self, want: Platform) -> bool:
        """Whether an image for this platform satisfies a wish for `want`."""
        a, b = normalise(self), normalise(want)
        return (a.os, a.architecture) == (b.os, b.architecture) and (not b.variant or a.variant in ("", b.variant))


def _malformed(text: str) -> str:
    return f'"{text}" is an invalid component: platform specifier component must match "^[A-Za-z0-9_.-]+$"'


def _part(text: str, part: str) -> str:
    if not _PART.match(part):
        raise ImageFault(f"failed to parse platform {text}: {_malformed(part)}")
    return part.lower()


def normalise(platform: Platform) -> Platform:
    """Go's names for the architecture, and no variant where it is the usual one (containerd platforms)."""
    architecture, variant = _ARCHITECTURES.get(platform.architecture, (platform.architecture, ""))
    variant = platform.variant or variant
    if (architecture, variant) in (("arm64", "v8"), ("arm64", "8"), ("amd64", "v1")):
        variant = ""
    elif architecture == "arm":
        variant = {"": "v7", "5": "v5", "6": "v6", "7": "v7", "8": "v8"}.get(variant, variant)
    return msgspec.structs.replace(platform, architecture=architecture, variant=variant)


def host() -> Platform:
    """The platform of this machine."""
    machine = _host.machine()
    architecture, variant = _ARCHITECTURES.get(machine, (machine, ""))
    return Platform(architecture=architecture, os="linux", variant=variant)
