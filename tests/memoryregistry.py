"""A registry in memory, as honest as the distribution spec; tests change what it answers by overriding a method."""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import json
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.webserver import Exchange, WebServer, serving

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_PATH = re.compile(r"/v2/(?P<name>.+?)/(?P<kind>manifests|blobs|tags)/(?P<what>.*)\Z")


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def tar_of(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


class MemoryRegistry:
    """blobs and manifests by (repository, digest), tags by (repository, tag). server: while it runs.

    page: how many tags are listed at once.
    """

    server: WebServer
    page = 1000

    def __init__(self) -> None:
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.tags: dict[tuple[str, str], str] = {}
        self.uploads: dict[str, bytes] = {}
        self.sessions = itertools.count()

    def add_blob(self, name: str, data: bytes) -> dict[str, Any]:
        self.blobs[name, digest_of(data)] = data
        return {"digest": digest_of(data), "size": len(data)}

    def add_manifest(self, name: str, tag: str, document: dict[str, Any]) -> dict[str, Any]:
        raw = json.dumps(document).encode()
        self.manifests[name, digest_of(raw)] = (document["mediaType"], raw)
        if tag:
            self.tags[name, tag] = digest_of(raw)
        return {"mediaType": document["mediaType"], "digest": digest_of(raw), "size": len(raw)}

    def add_image(
        self, name: str, tag: str, layers: list[dict[str, bytes] | bytes], architecture: str = "amd64"
    ) -> dict[str, Any]:
        """layers: files, or the plain bytes of a tar."""
        tars = [layer if isinstance(layer, bytes) else tar_of(layer) for layer in layers]
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["/bin/sh"]},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(tar) for tar in tars]},
            "history": [],
        }
        blobs = [{"mediaType": LAYER, **self.add_blob(name, gzip.compress(tar, 1, mtime=0))} for tar in tars]
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, **self.add_blob(name, json.dumps(config).encode())},
            "layers": blobs,
        }
        return {
            **self.add_manifest(name, tag, document),
            "platform": {"architecture": architecture, "os": "linux"},
        }

    def add_index(self, name: str, tag: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
        return self.add_manifest(name, tag, {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})

    def answer(self, exchange: Exchange) -> None:
        path = urlsplit(exchange.path)
        match = _PATH.match(path.path)
        if path.path == "/v2/":
            exchange.send(200, b"{}")
        elif match is None:
            exchange.send(404)
        elif match["kind"] == "manifests":
            self.manifest(exchange, match["name"], match["what"])
        elif match["kind"] == "tags":
            self.list(exchange, match["name"], parse_qs(path.query).get("last", [""])[0])
        elif match["what"].startswith("uploads/"):
            self.upload(exchange, match["name"], match["what"].removeprefix("uploads/"), parse_qs(path.query))
        else:
            self.blob(exchange, match["name"], match["what"])

    def list(self, exchange: Exchange, name: str, last: str) -> None:
        names = sorted(tag for owner, tag in self.tags if owner == name and tag > last)
        page = names[: self.page]
        more = {"Link": f'</v2/{name}/tags/list?last={page[-1]}>; rel="next"'} if names != page else {}
        exchange.send(200, json.dumps({"name": name, "tags": page}).encode(), **more)

    def manifest(self, exchange: Exchange, name: str, what: str) -> None:
        if exchange.command == "PUT":
            raw = exchange.seen.body
            self.manifests[name, digest_of(raw)] = (exchange.seen.headers["content-type"], raw)
            if ":" not in what:
                self.tags[name, what] = digest_of(raw)
            exchange.send(201, Docker_Content_Digest=digest_of(raw))
            return
        digest = self.tags.get((name, what), what)
        found = self.manifests.get((name, digest))
        if found is None:
            error = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}
            exchange.send(404, json.dumps(error).encode())
            return
        exchange.send(200, found[1], Content_Type=found[0], Docker_Content_Digest=digest)

    def blob(self, exchange: Exchange, name: str, digest: str) -> None:
        data = self.blobs.get((name, digest))
        if data is None:
            exchange.send(404)
            return
        start = re.match(r"bytes=(\d+)-", exchange.seen.headers.get("range", ""))
        if start is None:
            self.body(exchange, 200, data, 0)
        else:
            self.body(exchange, 206, data[int(start[1]) :], int(start[1]))

    def body(self, exchange: Exchange, status: int, data: bytes, start: int) -> None:
        if status == 206:
            exchange.send(206, data, Content_Range=f"bytes {start}-{start + len(data) - 1}/{start + len(data)}")
        else:
            exchange.send(200, data)

    def upload(self, exchange: Exchange, name: str, session: str, query: dict[str, list[str]]) -> None:
        place = f"/v2/{name}/blobs/uploads/"
        if exchange.command == "POST":
            mounted = self.blobs.get((query.get("from", [""])[0], query.get("mount", [""])[0]))
            if mounted is not None:
                self.add_blob(name, mounted)
                exchange.send(201, Location=f"/v2/{name}/blobs/{digest_of(mounted)}")
                return
            session = str(next(self.sessions))
            self.uploads[session] = b""
            exchange.send(202, Location=f"{place}{session}?state=x", Range="0-0")
        elif exchange.command == "PATCH":
            self.uploads[session] += exchange.seen.body
            exchange.send(202, Location=f"{place}{session}?state=y", Range=f"0-{len(self.uploads[session]) - 1}")
        elif exchange.command == "DELETE":
            self.uploads.pop(session, None)
            exchange.send(204)
        elif exchange.command == "GET":
            exchange.send(204, Location=f"{place}{session}", Range=f"0-{len(self.uploads[session]) - 1}")
        else:
            data = self.uploads.pop(session) + exchange.seen.body
            if digest_of(data) != query["digest"][0]:
                exchange.send(400, b'{"errors":[{"code":"DIGEST_INVALID","message":"wrong digest"}]}')
                return
            self.add_blob(name, data)
            exchange.send(201, Location=f"/v2/{name}/blobs/{digest_of(data)}")


@contextmanager
def running(registry: MemoryRegistry) -> Iterator[str]:
    """`host:port` of the registry while it runs, over plain http."""
    with serving(registry.answer) as server:
        registry.server = server
        yield server.host
