"""certs.d: what Docker trusts of one registry, and shows to it: FOLDER/HOST[:PORT]/*.crt, *.cert and *.key."""

from __future__ import annotations

import os

from builder.errors import RegistryFault
from builder.transport.settings import Tls


def tls(folders: tuple[str, ...], host: str, insecure: bool = False) -> Tls:
    """Trust for a `host[:port]`: all authorities of the folders, the first certificate with its key."""
    authorities: list[str] = []
    certificate = key = ""
    for folder in folders:
        place = os.path.join(folder, host)
        for name in _names(place):
            path = os.path.join(place, name)
            if name.endswith(".crt"):
                authorities.append(path)
            elif name.endswith(".cert") and not certificate:
                certificate, key = path, path.removesuffix(".cert") + ".key"
                if not os.path.exists(key):
                    raise RegistryFault(f"{path} has no key beside it", f"missing: {key}")
    return Tls(tuple(authorities), certificate, key, insecure)


def _names(place: str) -> list[str]:
    try:
        return sorted(os.listdir(place))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise RegistryFault(f"cannot read {place}: {error.strerror}") from error
