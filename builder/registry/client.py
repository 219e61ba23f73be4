"""Client: one registry's API (OCI distribution-spec 1.1, Docker registry v2), and who we are to it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import quote, urljoin

import msgspec

from builder.errors import Denied, NotThere, RateLimited, RegistryFault, TransportFault, Unreachable, Untrusted
from builder.oci.descriptor import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    INDEXES,
    MANIFESTS,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
)
from builder.registry.auth import TOKEN_LIMIT, Grant, Login, Reply, granted
from builder.registry.places import Place
from builder.transport.address import origin
from builder.transport.response import Response
from builder.transport.transport import Content, Transport
from cache.digest import Digest
from cache.errors import Fault

ACCEPT = ", ".join((OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST))
MANIFEST_LIMIT = 4 << 20  # bytes; the distribution spec asks registries to take as much
_PAGE_LIMIT = 8 << 20
_PAGES = 1000
_PAGE = 1000  # names to ask for at once
_ERROR_LIMIT = 64 << 10
_NEXT = re.compile(r'<([^>]*)>\s*;\s*rel="?next"?')
_WARNING = re.compile(r'299 - "((?:[^"\\]|\\.)*)"')
_WARNINGS = 4096  # bytes of warnings in one answer (distribution spec, warnings)
_EARLY = 10  # seconds before its end that a token is not used any more


class Fetched(msgspec.Struct, frozen=True):
    """A manifest or index: its bytes, and what they are."""

    raw: bytes
    descriptor: Descriptor


class Client:
    """The API at one place. Safe for many threads. now: seconds of any clock."""

    def __init__(
        self,
        transport: Transport,
        place: Place,
        login: Callable[[], Login | None],
        now: Callable[[], float],
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        """login: asked once, when the registry wants to know. warn: told what the registry warns of."""
        self._warn = warn
        self._transport, self.place, self._now = transport, place, now
        self._find_login = login
        self._login: Login | None = None
        self._asked_login = False
        self._grants: dict[str, tuple[Grant, float]] = {}
        self._base = ""
        self._lock = threading.Lock()

    def manifest(self, reference: str) -> Fetched:
        """By tag or digest; what a digest names is checked. Raises NotThere, Denied, RegistryFault."""
        path = f"{self.place.repository}/manifests/{_safe(reference)}"
        with self.request("GET", path, {"accept": ACCEPT}) as response:
            self._expect(response, (200,), reference)
            raw = response.read(MANIFEST_LIMIT)
            kind = response.headers.get("content-type", "").partition(";")[0].strip()
            said = response.headers.get("docker-content-digest", "")
        digest = Digest.of(raw)
        wanted = reference if ":" in reference else said if said.startswith("sha256:") else str(digest)
        if wanted != str(digest):
            raise RegistryFault(f"{self._where(reference)}: the manifest is {digest}, not {wanted:.80}")
        try:
            return Fetched(raw, Descriptor(_media_type(raw, kind), digest, len(raw)))
        except RegistryFault as error:
            raise RegistryFault(f"{self._where(reference)}: {error.message}", error.hint) from error

    def head(self, reference: str) -> Descriptor | None:
        """What a manifest is, without its bytes; None if it is not there, or the registry does not say."""
        path = f"{self.place.repository}/manifests/{_safe(reference)}"
        with self.request("HEAD", path, {"accept": ACCEPT}) as response:
            if response.status == 404:
                return None
            self._expect(response, (200,), reference)
            kind = response.headers.get("content-type", "").partition(";")[0].strip()
            try:
                digest = Digest.parse(response.headers.get("docker-content-digest", ""))
            except Fault:
                return None
            if kind not in INDEXES | MANIFESTS or response.length is None:
                return None
            return Descriptor(kind, digest, response.length)

    @contextmanager
    def blob(self, digest: Digest, start: int = 0) -> Iterator[Response]:
        """A blob from byte `start` on; the answer's status is 206, or 200 where it begins at the first byte."""
        headers = {"range": f"bytes={start}-"} if start else {}
        with self.request("GET", f"{self.place.repository}/blobs/{digest}", headers) as response:
            self._expect(response, (200, 206), str(digest))
            if response.status == 206 and not response.headers.get("content-range", "").startswith(f"bytes {start}-"):
                raise RegistryFault(f"{self._where(str(digest))}: the registry sent another range than asked for")
            yield response

    def tags(self) -> list[str]:
        """All tags of the repository, as the registry lists them."""
        return list(self._listed(f"{self.place.repository}/tags/list", "tags"))

    def catalog(self) -> Iterator[str]:
        """All repositories of the registry, where it tells; a page is asked for when it is wanted."""
        return self._listed("_catalog", "repositories", "registry:catalog:*")

    def check(self) -> str:
        """Whether the registry takes our login; returns an identity token if it gave one. Raises Denied."""
        with self._once("GET", f"{self.base()}/v2/", {}, None, "") as response:
            if response.status == 200:
                return ""
            self._refused(response, ("", 401 if self._is_own(response) else 0))
            asked = response.headers.get("www-authenticate", "")
        grant = self._run(asked, "", offline=True)
        headers = {"authorization": grant.header}
        with self._transport.stream("GET", f"{self.base()}/v2/", headers) as response:
            self._expect(response, (200,), "")
        return grant.identity

    @contextmanager
    def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        content: Content = None,
        scope: str = "",
        repeat: bool | None = None,
    ) -> Iterator[Response]:
        """An answer of any status but 401, 403 and 429. path: below /v2/, or a URL that the registry gave.

        repeat: as for Transport.stream.
        """
        url = path if "://" in path else f"{self.base()}/v2/{path}"
        scope = scope or f"repository:{self.place.repository}:pull"
        fields = dict(headers or {})
        with self._once(method, url, fields, content, scope, repeat) as response:
            if response.status != 401 or not self._is_own(response):
                self._refused(response, (path, 0))
                yield response
                return
            asked = response.headers.get("www-authenticate", "")
        self._grant(asked, scope)
        with self._once(method, url, fields, content, scope, repeat) as response:
            self._refused(response, (path, 0))
            yield response

    def wait(self, attempt: int) -> bool:
        """As Transport.wait."""
        return self._transport.wait(attempt)

    def cancel(self) -> None:
        """Whatever is under way, here and elsewhere by the same transport, fails with Canceled."""
        self._transport.cancel()

    def base(self) -> str:
        """`https://host`, or http where the place need not be secure and does not speak TLS."""
        with self._lock:
            if not self._base:
                self._base = self._probe()
            return self._base

    def _probe(self) -> str:
        secure = f"https://{self.place.host}"
        if not self.place.insecure:
            return secure
        try:
            with self._transport.stream("GET", f"{secure}/v2/"):
                return secure
        except (Untrusted, Unreachable, TransportFault):
            return f"http://{self.place.host}"

    @contextmanager
    def _once(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        content: Content,
        scope: str,
        repeat: bool | None = None,
    ) -> Iterator[Response]:
        with self._lock:
            held = self._grants.get(scope)
        if held is not None and held[1] > self._now() and origin(url) == origin(self._base):
            headers = {**headers, "authorization": held[0].header}
        with self._transport.stream(method, url, headers, content, repeat=repeat) as response:
            for text in _WARNING.findall(response.headers.get("warning", "")[:_WARNINGS]):
                self._warn(f"{self.place.registry}: {_printable(text)}")
            yield response

    def _is_own(self, response: Response) -> bool:
        """Where a redirect or an upload leads to is a stranger, who must not say whom we tell our password."""
        return origin(response.url) == origin(self._base)

    def _grant(self, asked: str, scope: str) -> None:
        grant = self._run(asked, scope)
        until = self._now() + (grant.lifetime - _EARLY if grant.lifetime is not None else float("inf"))
        with self._lock:
            self._grants[scope] = (grant, until)

    def _run(self, asked: str, scope: str, offline: bool = False) -> Grant:
        with self._lock:
            if not self._asked_login:
                self._login, self._asked_login = self._find_login(), True
        flow = granted(asked, self._login, scope, self._base.startswith("https:"), offline)
        try:
            ask = next(flow)
            while True:
                method = "GET" if ask.form is None else "POST"
                with self._transport.stream(method, ask.url, ask.headers, ask.form, private=True) as response:
                    reply = Reply(response.status, response.read(TOKEN_LIMIT))
                ask = flow.send(reply)
        except StopIteration as end:
            grant: Grant = end.value
            return grant
        except Denied as error:
            raise Denied(f"{self.place.registry}: {error.message}", error.hint or self._login_hint()) from error
        except RegistryFault as error:
            raise RegistryFault(f"{self.place.registry}: {error.message}", error.hint) from error

    def _refused(self, response: Response, about: tuple[str, int]) -> None:
        """Raise what an answer means that lets nothing be done. about: of what, and a status that is expected."""
        if response.status == about[1] or response.status not in (401, 403, 429):
            return
        said = _said(response)
        where = self._where("")
        if response.status == 429:
            raise RateLimited(
                f"{where}: toomanyrequests: {said or 'you have reached the pull rate limit'}",
                "wait, or log in: lapstrake login, which usually allows more",
            )
        words = said or ("authentication required" if response.status == 401 else "access denied")
        raise Denied(f"{where}: pull or push access denied: {words}", self._login_hint())

    def _expect(self, response: Response, statuses: tuple[int, ...], what: str) -> None:
        self._refused(response, (what, 0))
        if response.status in statuses:
            return
        said = _said(response)
        if response.status == 404:
            raise NotThere(f"{self._where(what)}: not found" + (f": {said}" if said else ""), "check name and tag")
        raise RegistryFault(f"{self._where(what)}: unexpected status {response.status}" + (f": {said}" if said else ""))

    def _listed(self, path: str, field: str, scope: str = "") -> Iterator[str]:
        plain = f"{self.base()}/v2/{path}"
        url = f"{plain}?n={_PAGE}"
        asked: set[str] = set()
        for number in range(_PAGES):
            if url in asked:
                raise RegistryFault(f"{self._where('')}: its list begins again")
            asked.add(url)
            with self.request("GET", url, {"accept": "application/json"}, scope=scope) as response:
                if response.status == 400 and number == 0:
                    url = plain  # some registries refuse pages that are larger than theirs
                    continue
                self._expect(response, (200,), "")
                raw = response.read(_PAGE_LIMIT)
                more = _NEXT.search(response.headers.get("link", ""))
            yield from _names(raw, field)
            if more is None:
                return
            url = urljoin(url, more[1])
            if origin(url) != origin(self.base()):
                raise RegistryFault(f"{self._where('')}: its list goes on at another host")
        raise RegistryFault(f"{self._where('')}: its list has more than {_PAGES} pages")

    def _where(self, what: str) -> str:
        join = "@" if what.startswith("sha256:") else ":"
        name = f"{self.place.registry}/{self.place.repository}".rstrip("/")
        return f"{name}{join}{what}" if what else name

    def _login_hint(self) -> str:
        return f"log in: lapstrake login {self.place.registry}"


def error_of(response: Response) -> str:
    """What a registry says of an error, for messages."""
    return _said(response)


def _said(response: Response) -> str:
    """The messages of an error answer, in one line (distribution spec, error codes)."""
    try:
        data = json.loads(response.read(_ERROR_LIMIT))
        texts = [f"{e.get('code', '')}: {e.get('message', '')}".strip(": ") for e in data["errors"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, TransportFault):
        return ""
    return _printable("; ".join(texts[:5]))


def _printable(text: str) -> str:
    """One line, not too long."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))[:300]


def _names(raw: bytes, field: str) -> list[str]:
    try:
        names = json.loads(raw).get(field) or []
        if not isinstance(names, list):
            raise ValueError(field)
    except (ValueError, AttributeError, RecursionError) as error:
        raise RegistryFault("the registry's list is malformed") from error
    return [name for name in names if isinstance(name, str)]


def _media_type(raw: bytes, said: str) -> str:
    """What a document is; one that the server calls otherwise, or that could be read as either kind, is refused."""
    try:
        data = json.loads(raw)
        kind = data.get("mediaType") or said
        if kind not in INDEXES | MANIFESTS:
            kind = OCI_INDEX if "manifests" in data else OCI_MANIFEST if "layers" in data else kind
    except (ValueError, AttributeError, RecursionError) as error:
        raise RegistryFault("the manifest is no JSON document") from error
    if "manifests" in data and "layers" in data:
        raise RegistryFault("the manifest has both layers and manifests, so that it is neither an image nor an index")
    if said in INDEXES | MANIFESTS and said != kind:
        raise RegistryFault(f"the manifest says that it is {kind!r:.100}, the registry that it is {said}")
    if kind not in INDEXES | MANIFESTS:
        hint = "schema 1 manifests are not supported" if data.get("schemaVersion") == 1 else ""
        raise RegistryFault(f"a manifest of type {kind!r:.100} is not supported", hint)
    return str(kind)


def _safe(reference: str) -> str:
    return quote(reference, safe=":")
