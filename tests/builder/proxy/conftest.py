from __future__ import annotations

import socket
import threading
from contextlib import contextmanager

import pytest

from builder.errors import SourceFault
from builder.proxy.recordingproxy import RecordingProxy
from builder.proxy.waits import Waits
from tests.certificates import Authority


class Behind:
    """A proxy on a port of loopback, as a step has one. said: what it wrote to the log."""

    def __init__(self, proxy, host, mask):
        self.said = []
        self.pem = proxy.pem
        self.step = proxy.step(host=host, say=self.said.append, mask=mask)
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.step.serve(listener)

    def connection(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def raw(self, data, end=False):
        """What comes back for some bytes, to the end."""
        with self.connection() as stream:
            stream.sendall(data)
            if end:
                stream.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: stream.recv(65536), b""))

    def records(self):
        self.step.close()
        return [(one.method, one.url, one.status) for one in self.step.requests]


@pytest.fixture
def behind(monkeypatch):
    """behind(host=…, judge=…, waits=…) as a context manager gives a Behind."""

    @contextmanager
    def make(host=True, judge=lambda method, url: url, waits=Waits(), mask=lambda text: text, **options):  # noqa: B008
        before, crashes = threading.enumerate(), []
        monkeypatch.setattr(threading, "excepthook", crashes.append)
        one = Behind(RecordingProxy(judge, waits=waits, **options), host, mask)
        try:
            yield one
        finally:
            one.step.close()
            ours = [thread for thread in threading.enumerate() if thread.name.startswith("proxy")]
            assert crashes == []
            assert not [line for line in one.said if "internal error" in line]
            assert not [thread for thread in ours if thread not in before]

    return make


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def denied(method, url):
    raise SourceFault(f'source "{url}" denied by policy: source denied by policy')
