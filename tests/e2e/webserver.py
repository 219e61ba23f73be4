"""A server on loopback for what builds fetch: files with headers and mishaps, git repositories (git http-backend)."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BACKEND = Path(
    subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=False).stdout.strip()
    if any(os.access(f"{folder}/git", os.X_OK) for folder in os.environ.get("PATH", "").split(":"))
    else "/nonexistent",
    "git-http-backend",
)


class Page:
    """One answer. length: of the Content-Length header where it is not that of the body, -1 for endless bytes."""

    def __init__(
        self, body: bytes = b"", status: int = 200, headers: dict[str, str] | None = None, length: int | None = None
    ) -> None:
        self.body, self.status, self.headers, self.length = body, status, headers or {}, length


class Web:
    """pages: by path. requests: (method, path, headers by lower-case name).

    repositories: folder of bare ones, under /git/. old_git: whether they are served by version 0 of git's protocol.
    """

    def __init__(self, repositories: Path) -> None:
        self.pages: dict[str, Page] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.repositories = repositories
        self.token = ""
        self.old_git = False
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def asked(self, path: str) -> int:
        return sum(asked.partition("?")[0] == path for _, asked, _ in self.requests)


@contextmanager
def serving(repositories: Path) -> Iterator[Web]:
    web = Web(repositories)
    thread = threading.Thread(target=web.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        web.server.shutdown()
        web.server.server_close()
        thread.join()


def _handler(web: Web) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            web.requests.append((self.command, self.path, {name.lower(): text for name, text in self.headers.items()}))
            if self.path.startswith("/git/"):
                self._git()
            else:
                self._page(web.pages.get(self.path.partition("?")[0], Page(b"none", 404)))

        do_POST = do_GET

        def _page(self, page: Page) -> None:
            etag = page.headers.get("ETag", "")
            if etag and etag == self.headers.get("If-None-Match"):
                self.send_response(304)
                self.end_headers()
                return
            self.send_response(page.status)
            for name, value in page.headers.items():
                self.send_header(name, value)
            if page.length != -1:
                self.send_header("Content-Length", str(len(page.body) if page.length is None else page.length))
            self.end_headers()
            try:
                self.wfile.write(page.body)
                while page.length == -1:
                    self.wfile.write(bytes(1 << 16))
            except OSError:
                pass

        def _git(self) -> None:
            if web.token and self.headers.get("Authorization") != web.token:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            path, _, query = self.path.removeprefix("/git").partition("?")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            environment = {
                "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(web.repositories), "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type") or "", "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding") or "",
                "GIT_PROTOCOL": "" if web.old_git else self.headers.get("Git-Protocol") or "",
                "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
            }  # fmt: skip
            out = subprocess.run([BACKEND], input=body, env=environment, capture_output=True, check=False).stdout
            head, _, rest = out.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
            self.send_response(int(fields.pop("Status", "200").split()[0]))
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
