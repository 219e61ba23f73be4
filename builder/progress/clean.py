"""Text from a build made fit for a terminal: nothing in it can move the cursor, recolour, or forge a line of ours."""

from __future__ import annotations

import re

# ECMA-48: control sequences (CSI … final) and the strings OSC, DCS, SOS, PM, APC up to their end. They say nothing
# that a log needs; what is left of control characters is shown.
_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)|\x1b[()][0-9A-Za-z]")
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


def clean(text: str) -> str:
    """One line of text without control sequences; other control characters as `^X` or `\\u202e`. Tabs stay."""
    if text.isprintable():
        return text
    return _CONTROL.sub(_visible, _SEQUENCE.sub("", text))


def clean_lines(text: str) -> str:
    """The same for each line of a text."""
    return "\n".join(clean(line) for line in text.split("\n"))


def clean_bytes(data: bytes) -> str:
    """The same for one raw line; what was overwritten after a carriage return is left out, as a terminal would."""
    line = data.rstrip(b"\r")
    line = line[line.rfind(b"\r") + 1 :]
    return clean(line.decode("utf-8", "backslashreplace"))


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code == 0x0A:
        return "\\n"
    if code < 0x20:
        return "^" + chr(code + 0x40)
    if code == 0x7F:
        return "^?"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
