"""A registry whose every repository is hostile in a way of its own: answers, documents, and what is in layers."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from typing import Any

from tests.memoryregistry import INDEX, LAYER, MANIFEST, MemoryRegistry, digest_of, tar_of
from tests.webserver import Exchange

Trick = Callable[[Exchange, bytes], None]
"""Answers instead of the honest bytes."""

_SPENT = 2 << 20  # bytes of an answer that has no end, in one piece


def _endless(exchange: Exchange, data: bytes) -> None:
    exchange.send_response(200)
    exchange.send_header("Content-Type", MANIFEST)
    exchange.send_header("Transfer-Encoding", "chunked")
    exchange.end_headers()
    piece = bytes(_SPENT)
    while True:
        exchange.wfile.write(f"{_SPENT:x}\r\n".encode() + piece + b"\r\n")


def _cut(exchange: Exchange, data: bytes) -> None:
    """Always in the first bytes, whatever is asked for."""
    exchange.send(200, data[:100], content_length=str(len(data)))
    exchange.cut()


def _no_http(exchange: Exchange, data: bytes) -> None:
    exchange.wfile.write(b"\0\0\n\n")
    exchange.cut()


ANSWERS: dict[str, Trick] = {
    "wrong-bit": lambda e, data: e.send(200, data[:50] + bytes([data[50] ^ 1]) + data[51:], Content_Type=MANIFEST),
    "short": lambda e, data: e.send(200, data[:-1], Content_Type=MANIFEST),
    "long": lambda e, data: e.send(200, data + b" ", Content_Type=MANIFEST),
    "empty": lambda e, data: e.send(200, Content_Type=MANIFEST),
    "endless": _endless,
    "cut": _cut,
    "gone": lambda e, data: e.send(404),
    "refused": lambda e, data: e.send(403, b'{"errors":[{"code":"DENIED","message":"no\\u001b[2J"}]}'),
    "busy": lambda e, data: e.send(429, Retry_After="9999"),
    "asks-for-ever": lambda e, data: e.send(401, WWW_Authenticate='Basic realm="x"'),
    "asks-oddly": lambda e, data: e.send(401, WWW_Authenticate='Bearer realm="file:///etc/passwd"'),
    "circle": lambda e, data: e.send(307, Location=e.path),
    "to-a-file": lambda e, data: e.send(307, Location="file:///etc/passwd"),
    "no-http": _no_http,
}

_OF_CONFIGS = ("wrong-bit", "endless", "cut")  # which come the same way as layers


def _members(*members: tuple[str, bytes, str]) -> bytes:
    """A tar of (name, type, link or content)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, text in members:
            member = tarfile.TarInfo(name)
            member.type, member.mode = kind, 0o755
            if kind == tarfile.REGTYPE:
                member.size = len(text)
            else:
                member.linkname = text
            member.devmajor = member.devminor = 1
            tar.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


_FILE, _LINK, _HARD, _DEVICE = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.BLKTYPE


def layers(outside: str) -> dict[str, bytes]:
    """Layers that reach for `outside`, an absolute path of a folder, and have a file `end`."""
    up = "../" * 40 + outside.strip("/")
    tricks = {
        "absolute": [(f"{outside}/new", _FILE, "x")],
        "dotdot": [(f"{up}/new", _FILE, "x"), (f"a/../{up}/new", _FILE, "x")],
        "through-a-link": [("d", _LINK, outside), ("d/new", _FILE, "x")],
        "through-a-relative-link": [("d", _LINK, up), ("d/new", _FILE, "x")],
        "link-to-a-link": [("d", _LINK, "e"), ("e", _LINK, outside), ("d/new", _FILE, "x")],
        "over-a-link": [("d", _LINK, f"{outside}/new"), ("d", _FILE, "x")],
        "hard-link-out": [("h", _HARD, f"{up}/secret"), ("h", _FILE, "x")],
        "hard-link-through-a-link": [("d", _LINK, outside), ("h", _HARD, "d/secret"), ("h", _FILE, "x")],
        "device": [("disk", _DEVICE, "")],
        "whiteout-up": [(f"{up}/.wh.secret", _FILE, ""), (".wh...", _FILE, ""), (".wh..", _FILE, "")],
        "whiteout-through-a-link": [("d", _LINK, outside), ("d/.wh.secret", _FILE, ""), ("d/.wh..wh..opq", _FILE, "")],
    }
    return {name: _members(*members, ("end", _FILE, "x")) for name, members in tricks.items()}


class HostileRegistry(MemoryRegistry):
    """Repositories: `<part>-<answer>` for manifest, config and layer; `layer/<trick>`; `document/<what>`."""

    def __init__(self, outside: str) -> None:
        super().__init__()
        self._tricks: dict[str, Trick] = {}
        for name, trick in ANSWERS.items():
            for part in ("manifest", "layer") if name not in _OF_CONFIGS else ("manifest", "config", "layer"):
                self._add(f"{part}-{name}")
                self._tricks[self._digest(f"{part}-{name}", part)] = trick
        for name, tar in layers(outside).items():
            self.add_image(f"layer/{name}", "1", [tar])
        self._documents()

    @property
    def broken(self) -> list[str]:
        """Names of images that can never be had; a manifest that is wrong is asked for by its digest."""
        names = [(name, digest) for (name, _), digest in self.tags.items() if "layer/" not in name]
        return [f"{name}@{digest}" if name.startswith("manifest-") else f"{name}:1" for name, digest in names]

    @property
    def reaching(self) -> list[str]:
        """Names of images that are whole, with a layer that reaches outside."""
        return [f"{name}:1" for name, _ in self.tags if "layer/" in name]

    def _add(self, name: str) -> None:
        self.add_image(name, "1", [{"f": name.encode() * 99}], architecture=_machine())

    def _digest(self, name: str, part: str) -> str:
        digest = self.tags[name, "1"]
        document = json.loads(self.manifests[name, digest][1])
        found = {"manifest": digest, "config": document["config"]["digest"], "layer": document["layers"][0]["digest"]}
        return found[part]

    def manifest(self, exchange: Exchange, name: str, what: str) -> None:
        digest = self.tags.get((name, what), what)
        trick = self._tricks.get(digest)
        if trick is None or name not in {owner for owner, _ in self.tags}:
            super().manifest(exchange, name, what)
        else:
            trick(exchange, self.manifests[name, digest][1])

    def blob(self, exchange: Exchange, name: str, digest: str) -> None:
        trick = self._tricks.get(digest)
        if trick is None:
            super().blob(exchange, name, digest)
        else:
            trick(exchange, self.blobs[name, digest])

    def _documents(self) -> None:
        """Manifests and configs that are what their digests say, and wrong."""
        changes: dict[str, Callable[[dict[str, Any], dict[str, Any]], None]] = {
            "layer-count": lambda m, layer: m["layers"].append(layer),
            "no-layers": lambda m, layer: m["layers"].clear(),
            "negative-size": lambda m, layer: layer.update(size=-1),
            "fractional-size": lambda m, layer: layer.update(size=1.5),
            "larger-size": lambda m, layer: layer.update(size=layer["size"] + 1),
            "smaller-size": lambda m, layer: layer.update(size=1),
            "endless-size": lambda m, layer: layer.update(size=1 << 62),
            "digest-path": lambda m, layer: layer.update(digest="sha256:../../../../etc/passwd"),
            "digest-kind": lambda m, layer: layer.update(digest="md5:" + "0" * 32),
            "urls": lambda m, layer: layer.update(urls=["http://127.0.0.1:1/x"]),
            "config-is-a-layer": lambda m, layer: m.update(config=layer),
            "config-size": lambda m, layer: m["config"].update(size=1 << 40),
            "both-kinds": lambda m, layer: m.update(manifests=[]),
            "other-type": lambda m, layer: m.update(mediaType=INDEX),
            "nested": lambda m, layer: m.update(annotations=_nested(600)),
        }
        for what, change in changes.items():
            name = f"document/{what}"
            self._add(name)
            document = json.loads(self.manifests[name, self.tags[name, "1"]][1])
            change(document, document["layers"][0])
            self._put(name, json.dumps(document).encode())
        self._put("document/huge", b'{"x":"' + b"x" * (5 << 20) + b'"}')
        self._put("document/no-json", b"<html>")
        self._put("document/deep", b"[" * 100_000)
        entry = {"mediaType": INDEX, "digest": digest_of(b"me"), "size": 300, "platform": _platform()}
        own = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).encode()
        self._put("document/own-index", own, INDEX)
        self.manifests["document/own-index", digest_of(b"me")] = (INDEX, own)
        entry = self.add_image("document/indexes", "", [{"f": b"1"}], _machine())
        for _ in range(9):
            entry = {**self.add_index("document/indexes", "1", [entry]), "platform": _platform()}
        self._diff_ids()

    def _diff_ids(self) -> None:
        """A layer, right by its own digest, that unpacks to something else than the config says."""
        name = "document/diff-id"
        self._add(name)
        document = json.loads(self.manifests[name, self.tags[name, "1"]][1])
        other = gzip.compress(tar_of({"evil": b"x"}), mtime=0)
        document["layers"] = [{"mediaType": LAYER, **self.add_blob(name, other)}]
        self._put(name, json.dumps(document).encode())

    def _put(self, name: str, raw: bytes, kind: str = MANIFEST) -> None:
        self.manifests[name, digest_of(raw)] = (kind, raw)
        self.tags[name, "1"] = digest_of(raw)


def _machine() -> str:
    import platform

    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _platform() -> dict[str, str]:
    return {"architecture": _machine(), "os": "linux"}


def _nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value
