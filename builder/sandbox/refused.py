"""Refused: why a step cannot start."""

from __future__ import annotations


class Refused(Exception):
    """The step cannot start. args: text, hint."""
