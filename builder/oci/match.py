"""Which image of an index is for a platform: the best of those that run there (containerd's platforms.Only)."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from builder.oci.descriptor import Descriptor
from builder.oci.platform import Platform, normalise

_LTSC = (20348, 26100)  # builds of Windows that run all from the one before them on


def best(entries: Iterable[Descriptor], wanted: Platform) -> tuple[Descriptor, ...]:
    """The entries that fit `wanted` best, in their order: several only where none is better than the others.

    An entry without a platform fits anything, and is the last choice.
    """
    accepted = acceptable(wanted)
    ranked = [(rank, entry) for entry in entries if (rank := _rank(entry.platform, accepted)) is not None]
    top = min((rank for rank, _ in ranked), default=None)
    return tuple(entry for rank, entry in ranked if rank == top)


def same(one: Platform, other: Platform) -> bool:
    """Whether both are the same however they are written: arm64 and arm64/v8 (containerd's platforms.OnlyStrict)."""
    first, second = normalise(one), normalise(other)
    return (first.os, first.architecture, first.variant) == (second.os, second.architecture, second.variant)


def acceptable(wanted: Platform) -> tuple[Platform, ...]:
    """The platforms whose images run on `wanted`, the nearest first: linux/arm/v7, then v6, then v5."""
    wanted = normalise(wanted)
    machines = _machines(wanted.architecture, wanted.variant)
    return tuple(normalise(replace(wanted, architecture=a, variant=v)) for a, v in machines)


def _machines(architecture: str, variant: str) -> list[tuple[str, str]]:
    if architecture == "amd64":
        return [("amd64", v) for v in ((variant, *_below(variant, 1)) if variant else ("",))] + [("386", "")]
    if architecture == "arm":
        return [("arm", v) for v in (variant, *_below(variant, 5))]
    if architecture == "arm64":
        return _arm64(variant or "v8")
    return [(architecture, variant)]


def _below(variant: str, lowest: int) -> list[str]:
    number = variant.removeprefix("v")
    return [f"v{n}" for n in range(int(number) - 1, lowest - 1, -1)] if number.isascii() and number.isdigit() else []


def _arm64(variant: str) -> list[tuple[str, str]]:
    """v9.N runs all up to v8.(N+5); all of them run 32-bit arm."""
    major, _, minor = variant.removeprefix("v").partition(".")
    if major not in ("8", "9") or not (minor or "0").isdecimal() or int(minor or 0) > 9:
        return [("arm64", variant), *_machines("arm", variant)]
    tops = [(8, int(minor or 0))] if major == "8" else [(9, int(minor or 0)), (8, min(int(minor or 0) + 5, 9))]
    found = [("arm64", f"v{m}.{n}" if n else f"v{m}") for m, top in tops for n in range(top, -1, -1)]
    return found + _machines("arm", "v8")


def _rank(platform: Platform | None, accepted: tuple[Platform, ...]) -> tuple[int, int] | None:
    """Less is better; None where it does not run."""
    if platform is None:
        return len(accepted), 0
    have = normalise(platform)
    for rank, one in enumerate(accepted):
        if (have.os, have.architecture, have.variant) == (one.os, one.architecture, one.variant):
            if not _system_fits(have, one):
                return None
            return rank, -len(have.os_features)
    return None


def _system_fits(have: Platform, wanted: Platform) -> bool:
    ignored = {"win32k"} if wanted.os == "windows" else set[str]()
    if not set(have.os_features) - ignored <= set(wanted.os_features):
        return False
    return have.os != "windows" or _windows_fits(have.os_version, wanted.os_version)


def _windows_fits(have: str, wanted: str) -> bool:
    ours, theirs = _version(wanted), _version(have)
    if not ours or not have:
        return True
    if not theirs or ours[:2] != theirs[:2]:
        return False
    if ours[2] < _LTSC[0]:
        return ours == theirs
    oldest = max((build for build in _LTSC if build < ours[2]), default=_LTSC[0])
    return oldest <= theirs[2] <= ours[2]


def _version(text: str) -> tuple[int, ...]:
    """Major, minor and build; () where the text is no such version."""
    parts = text.split(".")[:3]
    return tuple(map(int, parts)) if len(parts) == 3 and all(p.isascii() and p.isdigit() for p in parts) else ()
