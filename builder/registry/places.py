"""Places: where an image may be fetched from, in the order to try, and where it is pushed to."""

from __future__ import annotations

import msgspec

from builder.errors import RegistryFault
from builder.oci.reference import Reference
from builder.registry.names import api_host, is_local
from builder.registry.registriesconf import Mirror, RegistriesConf


class Place(msgspec.Struct, frozen=True):
    """A repository at a host. registry: whose credentials count. insecure: neither certificate nor TLS is asked for."""

    registry: str
    repository: str
    insecure: bool = False

    @property
    def host(self) -> str:
        return api_host(self.registry)


def pulled_from(reference: Reference, conf: RegistriesConf, insecure: bool = False) -> tuple[Place, ...]:
    """Mirrors first, the registry itself last. Raises RegistryFault where it is blocked."""
    rule = conf.rule(f"{reference.registry}/{reference.repository}")
    if rule is None:
        return (_place(f"{reference.registry}/{reference.repository}", insecure),)
    mirrors = [m for m in rule.mirrors if _serves(m, reference)]
    return (
        *(_at(m.location, reference, rule.prefix, m.insecure) for m in mirrors),
        pushed_to(reference, conf, insecure),
    )


def pushed_to(reference: Reference, conf: RegistriesConf, insecure: bool = False) -> Place:
    """The registry itself, or what registries.conf puts in its place."""
    name = f"{reference.registry}/{reference.repository}"
    rule = conf.rule(name)
    if rule is None:
        return _place(name, insecure)
    if rule.blocked:
        raise RegistryFault(f"registry {reference.registry} is blocked in registries.conf")
    if not rule.location or rule.prefix.startswith("*."):
        return _place(name, insecure or rule.insecure)
    return _at(rule.location, reference, rule.prefix, insecure or rule.insecure)


def _serves(mirror: Mirror, reference: Reference) -> bool:
    return mirror.pulls == "all" or (mirror.pulls == "digest-only") == (reference.digest is not None)


def _at(location: str, reference: Reference, prefix: str, insecure: bool) -> Place:
    name = f"{reference.registry}/{reference.repository}"
    rest = name.partition("/")[1] + name.partition("/")[2] if prefix.startswith("*.") else name[len(prefix) :]
    return _place(location + rest, insecure)


def _place(name: str, insecure: bool) -> Place:
    registry, _, repository = name.partition("/")
    return Place(registry, repository, insecure or is_local(registry))
