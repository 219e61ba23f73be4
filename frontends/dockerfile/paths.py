"""Paths of an image, by Go's path package: `/`-separated text, never looked up."""

from __future__ import annotations

import posixpath


def clean(path: str) -> str:
    """Go's path.Clean of "/" + path: absolute, and unable to leave the root."""
    return "/" + posixpath.normpath("/" + path).lstrip("/")


def join(folder: str, path: str) -> str:
    """path itself if absolute, else below folder; cleaned."""
    return clean(path if path.startswith("/") else f"{folder}/{path}")


def workdir(folder: str, path: str) -> str:
    """WORKDIR's folder: an absolute path as written, a relative one joined and cleaned (BuildKit: NormalizePath)."""
    return path if path.startswith("/") else join(folder, path)


def destination(folder: str, path: str) -> str:
    """Like join, but a path that names a directory by its form (`x/`, `.`, ``, `x/.`) keeps a slash at its end."""
    joined = join(folder, path)
    is_folder = path in ("", ".") or path.endswith(("/", "/."))
    return joined + "/" if is_folder and joined != "/" else joined


def has_wildcard(path: str) -> bool:
    """Whether an unescaped `*`, `?` or `[` is in it."""
    characters = iter(path)
    for ch in characters:
        if ch == "\\":
            next(characters, "")
        elif ch in "*?[":
            return True
    return False
