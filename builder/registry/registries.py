"""Registries: clients by place, as registries.conf, certs.d and the credentials have it; which image a name means."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import msgspec

from builder.errors import BuildFault, Canceled, ImageFault, NotThere, RegistryFault, Unreachable
from builder.oci.descriptor import INDEXES, MANIFESTS, Descriptor
from builder.oci.manifest import read_index
from builder.oci.match import best
from builder.oci.platform import Platform
from builder.oci.reference import DEFAULT_TAG, Reference
from builder.registry.auth import Login
from builder.registry.client import MANIFEST_LIMIT, Client, Fetched
from builder.registry.credentials import Credentials
from builder.registry.download import Download
from builder.registry.places import Place, pulled_from, pushed_to
from builder.registry.registriesconf import RegistriesConf
from builder.transport.transport import Transport
from cache.digest import Digest

T = TypeVar("T")

_DEPTH = 4  # indexes within indexes
_CONFIG_LIMIT = 4 << 20
_WARNINGS = 20  # different ones that are told


class Located(msgspec.Struct, frozen=True):
    """A manifest for one platform. top: what the name itself stands for, which may be an index above it."""

    top: Fetched
    manifest: Fetched


class Registries:
    """Safe for many threads. now: seconds of any clock."""

    def __init__(
        self,
        transport: Transport,
        conf: RegistriesConf,
        credentials: Credentials,
        now: Callable[[], float],
        insecure: bool = False,
        lax: Transport | None = None,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        """insecure: no place needs TLS. lax: for places that need none, believes any certificate; else as transport.

        warn: told once what a registry warns of.
        """
        self._warn_of = warn
        self._warned: set[str] = set()
        self._warn_lock = threading.Lock()
        self._transport, self._conf, self._credentials, self._now = transport, conf, credentials, now
        self._lax = lax or transport
        self._insecure = insecure
        self._lock = threading.Lock()
        self._clients: dict[Place, Client] = {}
        self._down: set[Place] = set()

    def destination(self, reference: Reference) -> Client:
        """Where the image is pushed to."""
        return self.client(pushed_to(reference, self._conf, self._insecure))

    def client(self, place: Place) -> Client:
        def login() -> Login | None:
            return self._credentials.find(place.registry, place.repository)

        with self._lock:
            if place not in self._clients:
                self._clients[place] = Client(self._to(place), place, login, self._now, self._warn)
            return self._clients[place]

    def check(self, registry: str, login: Login) -> str:
        """Whether a registry takes a login; an identity token, if it gives one. Raises Denied."""
        place = pushed_to(Reference(registry, ""), self._conf, self._insecure)
        return Client(self._to(place), place, lambda: login, self._now).check()

    def top(self, reference: Reference) -> Fetched:
        """The manifest or index that a name stands for."""
        wanted = str(reference.digest) if reference.digest else reference.tag or DEFAULT_TAG
        try:
            return self._first(reference, lambda client: client.manifest(wanted))
        except NotThere as error:
            raise NotThere(f"{reference}: not found", error.hint) from error

    def locate(self, reference: Reference, platform: Platform) -> Located:
        """The manifest for a platform. Raises NotThere, Denied, ImageFault where no platform fits."""
        top = found = self.top(reference)
        for _ in range(_DEPTH):
            if found.descriptor.media_type in MANIFESTS:
                return Located(top, found)
            entry = choose(read_index(found.raw).manifests, platform, str(reference))
            found = self.document(reference, entry)
        raise ImageFault(f"{reference}: indexes are nested more than {_DEPTH} deep")

    def document(self, reference: Reference, entry: Descriptor) -> Fetched:
        """A manifest or index that an index names, checked."""
        if entry.size > MANIFEST_LIMIT:
            raise RegistryFault(f"{reference}: manifest {entry.digest} is said to have {entry.size} bytes, too many")
        found = self._first(reference, lambda client: client.manifest(str(entry.digest)))
        if len(found.raw) != entry.size:
            raise RegistryFault(f"{reference}: manifest {entry.digest} has {len(found.raw)} bytes, not {entry.size}")
        return found

    def config(self, reference: Reference, blob: Descriptor) -> bytes:
        """A config's bytes, checked."""
        return self.small(reference, blob, _CONFIG_LIMIT, "config")

    def small(self, reference: Reference, blob: Descriptor, limit: int, what: str) -> bytes:
        """The bytes of a blob that is held in memory, checked. limit: of them. what: it is, for the error."""
        if blob.size > limit:
            raise RegistryFault(f"{reference}: {what} {blob.digest} is said to have {blob.size} bytes, too many")

        def take(client: Client) -> bytes:
            with Download(client, blob, lambda moved: None) as stream:
                raw = b"".join(iter(lambda: stream.read(1 << 16), b""))
            if Digest.of(raw) != blob.digest:
                raise RegistryFault(f"{reference}: {what} {blob.digest} is wrong: its bytes are {Digest.of(raw)}")
            return raw

        return self._first(reference, take)

    def referrers(self, reference: Reference, digest: Digest) -> tuple[bytes, ...]:
        """As Client.referrers; none where no place has any."""
        try:
            return self._first(reference, lambda client: client.referrers(digest))
        except NotThere:
            return ()

    def tags(self, reference: Reference) -> list[str]:
        return self._first(reference, lambda client: client.tags())

    def cancel(self) -> None:
        """Whatever is under way fails with Canceled."""
        self._transport.cancel()
        self._lax.cancel()

    def _warn(self, text: str) -> None:
        with self._warn_lock:
            known = text in self._warned or len(self._warned) >= _WARNINGS
            self._warned.add(text)
        if not known:
            self._warn_of(text)

    def _to(self, place: Place) -> Transport:
        return self._lax if place.insecure else self._transport

    def blob(self, reference: Reference, take: Callable[[Client], T]) -> T:
        """What `take` gives of the first place that has what it asks for."""
        return self._first(reference, take)

    def _first(self, reference: Reference, ask: Callable[[Client], T]) -> T:
        """From mirrors, then the registry itself, whose error is raised. A mirror out of reach is asked once."""
        places = pulled_from(reference, self._conf, self._insecure)
        for place in places[:-1]:
            if place in self._down:
                continue
            try:
                return ask(self.client(place))
            except Canceled:
                raise
            except BuildFault as error:
                if isinstance(error, Unreachable):
                    self._down.add(place)
        return ask(self.client(places[-1]))


def choose(entries: tuple[Descriptor, ...], platform: Platform, name: str) -> Descriptor:
    """The entry of an index for a platform, the first of equals."""
    known = [d for d in entries if d.media_type in MANIFESTS | INDEXES]
    fitting = best(known, platform)
    if not fitting:
        had = ", ".join(sorted({str(d.platform) for d in known})) or "none"
        raise ImageFault(f"{name}: no match for platform in manifest: not found", f"platforms in it: {had:.500}")
    return fitting[0]
