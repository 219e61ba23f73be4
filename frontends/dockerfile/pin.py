"""pin: a Dockerfile whose FROM lines name digests, every other byte as it was."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

from frontends.dockerfile.lines import Reader, split_instruction
from frontends.dockerfile.stages import SCRATCH
from frontends.text import Lines, Source


def pin(text: bytes, resolve: Callable[[str], str]) -> bytes:
    """Write `name@digest` for each base image. resolve: name as written -> its digest, `sha256:…`.

    Stages, scratch, names with variables and names that have a digest stay. Raises ParseFault on a text that cannot
    be cut into lines, and what resolve raises.
    """
    from dockerfile_parse import DockerfileParser

    lines = re.findall(rb"[^\n]*\n|[^\n]+\Z", text)
    masked = _from_lines_alone(text, lines)
    parsed = DockerfileParser(fileobj=io.BytesIO(masked), env_replace=False).structure
    stages: set[str] = set()
    for found in parsed:
        if found["instruction"] != "FROM":
            continue
        words = [word for word in found["value"].split() if not word.startswith("--")]
        name = words[0] if words else ""
        if name and "$" not in name and "@" not in name and name != SCRATCH and name not in stages:
            first, last = found["startline"], found["endline"] + 1
            whole = b"".join(lines[first:last])
            lines[first:last] = [_renamed(whole, name, resolve(name)), *[b""] * (last - first - 1)]
        if len(words) == 3:
            stages.add(words[2].lower())
    return b"".join(lines)


def _renamed(instruction: bytes, name: str, digest: str) -> bytes:
    word = re.compile(rb"(?<=\s)" + re.escape(name.encode()) + rb"(?=\s|\Z)")
    return word.sub(lambda match: match[0] + b"@" + digest.encode(), instruction, count=1)


def _from_lines_alone(text: bytes, raw: list[bytes]) -> bytes:
    """The text with all but its FROM instructions made comments.

    dockerfile-parse takes a FROM in the body of a heredoc for a stage, and knows no escape character but the backslash.
    """
    reader = Reader(Source("Dockerfile", text))
    kept = [b"#\n"] * len(raw)
    for line in reader:
        if split_instruction(line.text)[0].upper() == "FROM":
            _keep(kept, raw, line.lines, reader.directives.escape)
    return b"".join(kept)


def _keep(kept: list[bytes], raw: list[bytes], lines: Lines, escape: str) -> None:
    for number in range(lines.first - 1, lines.last):
        line = raw[number].decode("utf-8", "replace").lstrip("\ufeff").rstrip()
        more = number < lines.last - 1 and line.endswith(escape)
        kept[number] = ((line[:-1] + "\\" if more else line) + "\n").encode()
