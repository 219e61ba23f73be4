"""Material: what a provenance says that a build read, as a source that could be read again (buildx's materials.go)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import msgspec

from builder.errors import ImageFault
from builder.oci.platform import Platform
from builder.oci.reference import Reference
from cache.digest import Digest
from cache.errors import Fault

_SCHEME = re.compile(r"([a-zA-Z0-9]+)://")
_SCP = re.compile(r"[a-zA-Z0-9_-]+@([a-zA-Z0-9.-]+):([^?#\n]*)(?:\?[^#\n]*)?(?:#(.*))?\Z")
_GIT_SCHEMES = frozenset({"http", "https", "ssh", "git"})
_DOCKER = "pkg:docker/"


class ResourceDescriptor(msgspec.Struct, frozen=True):
    """What in-toto names something by (ResourceDescriptor v1; a material of SLSA v0.2 has the same fields)."""

    uri: str | None = None
    digest: dict[str, str] | None = None


class Material(msgspec.Struct, frozen=True, omit_defaults=True):
    """source: as BuildKit identifies one: docker-image://NAME, git://HOST/PATH#REF:FOLDER, http://… or https://….

    url: of a git repository, as it was written. platform: of an image, None where it is not said.
    """

    source: str
    url: str = ""
    platform: Platform | None = None

    @property
    def kind(self) -> str:
        """image, git or http."""
        scheme = self.source.partition("://")[0]
        return {"docker-image": "image", "git": "git"}.get(scheme, "http")


def parse_material(named: ResourceDescriptor) -> Material | None:
    """None where it is no image, git repository or URL, or where its name and its digest contradict each other."""
    uri, digests = named.uri or "", named.digest or {}
    if uri.startswith(_DOCKER):
        try:
            return _image(uri, digests)
        except (Fault, ValueError):
            return None
    if "://" in uri and not _is_url(uri):
        return None
    git = _git(uri)
    if git is not None:
        return git
    return Material(uri) if uri.startswith(("http://", "https://")) else None


def parse_docker_purl(purl: str) -> tuple[Reference, Platform | None]:
    """An image of a package URL, `pkg:docker/NAME@TAG?platform=…&digest=…` (purl-spec). Raises ImageFault.

    One without tag and digest is the latest.
    """
    if not purl.startswith(_DOCKER):
        raise ImageFault(f"not a package URL of a docker image: {purl!r:.200}")
    rest, _, query = purl.removeprefix(_DOCKER).partition("#")[0].partition("?")
    path, version = rest.rsplit("@", 1) if "@" in rest.rpartition("/")[2] else (rest, "")
    name = "/".join(unquote(part) for part in path.split("/") if part)
    version = unquote(version)
    pairs = [field.partition("=")[::2] for field in query.split("&") if field]
    fields = {key.lower(): unquote(value) for key, value in pairs}
    digest = version if version.startswith("sha256:") else fields.get("digest", "")
    tag = version if version and not version.startswith("sha256:") else ""
    if version.startswith("sha256:") and fields.get("digest", version) != version:
        raise ImageFault(f"digest {fields['digest']!r:.100} does not match version {version:.100}")
    text = name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
    platform = Platform.parse(fields["platform"]) if fields.get("platform") else None
    if platform is not None:
        platform = msgspec.structs.replace(platform, os_version="", os_features=())
    return Reference.parse(text), platform


def _image(purl: str, digests: Mapping[str, str]) -> Material:
    reference, platform = parse_docker_purl(purl)
    checksum = digests.get("sha256", "").strip()
    if checksum:
        digest = Digest.parse(checksum if ":" in checksum else f"sha256:{checksum}")
        if reference.digest not in (None, digest):
            raise ImageFault(f"material digest mismatch for {purl!r:.200}: {reference.digest} and {digest}")
        reference = msgspec.structs.replace(reference, digest=digest)
    return Material(f"docker-image://{reference}", platform=platform)


def _git(uri: str) -> Material | None:
    scheme = _SCHEME.match(uri)
    if scheme is None:
        scp = _SCP.match(uri)
        return None if scp is None else _repository(uri, scp[1], scp[2], scp[3] or "")
    if scheme[1].lower() not in _GIT_SCHEMES:
        return None
    parts = urlsplit(uri)
    path = unquote(parts.path)
    if scheme[1].lower() in ("http", "https") and not path.lower().endswith(".git"):
        return None
    return _repository(uri, parts.netloc.rpartition("@")[2], path, unquote(parts.fragment))


def _is_url(text: str) -> bool:
    try:
        urlsplit(text).port  # noqa: B018  (checked when asked for)
    except ValueError:
        return False
    return True


def _repository(uri: str, host: str, path: str, fragment: str) -> Material:
    ref, _, folder = fragment.partition(":")
    folder = posixpath.normpath("/" + folder).lstrip("/")
    options = f"#{ref}" + (f":{folder}" if folder else "") if ref or folder else ""
    return Material(f"git://{host}{posixpath.normpath('/' + path.lstrip('/'))}{options}", url=uri)
