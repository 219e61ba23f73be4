"""What a registry is called: in names of images, in URLs, and in files with credentials."""

from __future__ import annotations

DOCKER = "docker.io"
INDEX_HOST = "index.docker.io"  # where Docker Hub is searched
_DOCKER_KEY = "https://index.docker.io/v1/"
_DOCKER_NAMES = frozenset({DOCKER, INDEX_HOST, "registry-1.docker.io"})


def api_host(registry: str) -> str:
    """Where the API of a registry is."""
    return "registry-1.docker.io" if registry == DOCKER else registry


def credential_key(registry: str) -> str:
    """The name that Docker files a registry's credentials under."""
    return _DOCKER_KEY if is_docker(registry) else registry


def is_docker(registry: str) -> bool:
    """Whether it is Docker Hub, by any of its names."""
    return registry in _DOCKER_NAMES


def canonical(server: str) -> str:
    """A registry as people write it for login: without scheme and path; Docker Hub is docker.io."""
    text = server.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return DOCKER if is_docker(text) or not text else text


def is_local(host: str) -> bool:
    """Whether it is this machine, which need not prove itself (Docker's insecure default)."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name in ("localhost", "::1") or (name.startswith("127.") and not set(name) - set("0123456789."))
