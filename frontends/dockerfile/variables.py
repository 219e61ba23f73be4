"""Which instruction of a Dockerfile a variable comes from."""

from __future__ import annotations

from collections.abc import Mapping

from frontends.dockerfile.instructions import Arg, Env
from frontends.dockerfile.parse import Dockerfile
from frontends.dockerfile.words import written


def set_by(document: Dockerfile, name: str, build_args: Mapping[str, str]) -> str:
    """ARG, ENV, or "" where no instruction names the variable: it is of the base image then.

    An argument of the command line is an ARG, also where an ENV repeats it (`ENV V=$V`).
    """
    found = set()
    for instruction in document.tree.instructions:
        if isinstance(instruction, Arg) and any(argument.name == name for argument in instruction.arguments):
            found.add("ARG")
        elif isinstance(instruction, Env) and any(written(pair.key) == name for pair in instruction.pairs):
            found.add("ENV")
    if "ARG" in found and ("ENV" not in found or name in build_args):
        return "ARG"
    return "ENV" if found else ""
