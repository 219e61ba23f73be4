"""RecordingProxy: what the proxies of all steps of a build share: the authority and the trust in servers."""

from __future__ import annotations

import functools
import ssl
import threading
from collections.abc import Callable, Mapping

from builder.proxy.authority import Authority
from builder.proxy.connection import Judge
from builder.proxy.dial import Dialer
from builder.proxy.stepproxy import StepProxy
from builder.proxy.upstream import Upstream
from builder.proxy.waits import Waits
from builder.transport import trust
from builder.transport.proxies import Proxies
from builder.transport.settings import Tls


class RecordingProxy:
    """proxies: those that this machine uses itself. judge: see Connection. names: addresses of --add-host.

    Safe for many threads; makes its keys when made.
    """

    def __init__(
        self,
        judge: Judge,
        proxies: Proxies = Proxies(),  # noqa: B008 (frozen)
        names: Mapping[str, str] | None = None,
        waits: Waits = Waits(),  # noqa: B008
    ) -> None:
        self._judge, self._proxies, self._waits = judge, proxies, waits
        self._names = {name.lower(): address for name, address in (names or {}).items()}
        self._authority = Authority()
        self._lock = threading.Lock()

    @property
    def pem(self) -> bytes:
        """The certificate that steps are to trust."""
        return self._authority.pem

    def step(self, *, host: bool, say: Callable[[str], None], mask: Callable[[str], str]) -> StepProxy:
        """The proxy of one step. host: whether all of this machine's network may be reached (RUN --network=host)."""
        dialer = Dialer(checked=not host, names=self._names)
        upstream = Upstream(dialer, self._trusted, self._proxies, self._waits)
        return StepProxy(self._authority, upstream, self._judge, say, mask, self._waits)

    def _trusted(self) -> ssl.SSLContext:
        with self._lock:
            return self._context

    @functools.cached_property
    def _context(self) -> ssl.SSLContext:
        return trust.context(Tls())
