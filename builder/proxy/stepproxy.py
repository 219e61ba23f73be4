"""StepProxy: the only way out that one step has, for as long as it runs."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from builder.proxy.authority import Authority
from builder.proxy.connection import Connection, Judge
from builder.proxy.requests import Request, Requests
from builder.proxy.upstream import Upstream
from builder.proxy.waits import Waits

_LINGER = 1.0  # seconds in all that threads are given to end once their connections are cut; some may look a name up
_PAUSE = 0.1  # seconds before connections are taken again when there is no room for one


class StepProxy:
    """See Connection. Raises nothing for what the step does."""

    def __init__(
        self,
        authority: Authority,
        upstream: Upstream,
        judge: Judge,
        say: Callable[[str], None],
        mask: Callable[[str], str],
        waits: Waits,
    ) -> None:
        self._authority, self._upstream, self._judge = authority, upstream, judge
        self._say, self._mask, self._waits = say, mask, waits
        self._requests = Requests()
        self._slots = threading.Semaphore(waits.connections)
        self._lock = threading.Lock()
        self._running: dict[Connection, threading.Thread] = {}
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._closed = self._over = False  # no new connections; nothing more is said

    @property
    def requests(self) -> tuple[Request, ...]:
        """Those so far."""
        return self._requests.all()

    def serve(self, listener: socket.socket) -> None:
        """Take the step's connections from here on; the socket is closed by close()."""
        self._listener = listener
        self._acceptor = threading.Thread(target=self._accept, args=(listener,), name="proxy", daemon=True)
        self._acceptor.start()

    def close(self) -> None:
        """Cut what there is."""
        with self._lock:
            self._closed = True
            running = dict(self._running)
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        for connection in running:
            connection.cut()
        self._upstream.close()
        deadline = time.monotonic() + _LINGER
        for thread in (*running.values(), *filter(None, [self._acceptor])):
            thread.join(max(deadline - time.monotonic(), 0))
        self._over = True

    def lines(self) -> Iterator[str]:
        """What the step's log says of it at the end."""
        requests = self.requests
        if requests:
            yield "proxy network requests:"
            yield from (request.line for request in requests)
        if self._requests.more:
            yield f"- and {self._requests.more} more"

    def _accept(self, listener: socket.socket) -> None:
        while True:
            self._slots.acquire()
            if not self._take(listener):
                self._slots.release()
                if self._closed:
                    return
                time.sleep(_PAUSE)  # no descriptors or threads left, or a client that has gone

    def _take(self, listener: socket.socket) -> bool:
        """Begin to serve the next connection; False where that cannot be."""
        try:
            stream, _ = listener.accept()
        except OSError:
            return False
        connection = Connection(
            stream, self._authority, self._upstream, self._judge, self._requests, self._tell, self._mask, self._waits
        )
        thread = threading.Thread(target=self._run, args=(connection,), name="proxy-connection", daemon=True)
        with self._lock:
            try:
                if not self._closed:
                    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    thread.start()
                    self._running[connection] = thread
                    return True
            except (OSError, RuntimeError):
                pass
        stream.close()
        return False

    def _run(self, connection: Connection) -> None:
        try:
            connection.serve()
        except Exception as error:
            self._tell(f"proxy: internal error, please report this: {type(error).__name__}: {error}")
        finally:
            with self._lock:
                self._running.pop(connection, None)
            self._slots.release()

    def _tell(self, line: str) -> None:
        if not self._over:
            self._say(line)
