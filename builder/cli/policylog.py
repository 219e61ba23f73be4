"""PolicyLog: what policies say while they are asked, shown as the output of one piece of work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from builder.cli.reporter import Reporter
from builder.graph.event import Failed, Finished, Log, Started
from cache.digest import Digest


class PolicyLog:
    """names: of the files. Nothing is shown of a talk in which nothing is said."""

    def __init__(self, names: list[str], report: Reporter) -> None:
        self._name = f"loading policies {', '.join(names)}"
        self._vertex = Digest.of(self._name.encode("utf-8", "surrogateescape"))
        self._report = report
        self._begun = False

    def at(self, level: int) -> PolicyLevel:
        """level: the most that is shown."""
        return PolicyLevel(self, level)

    @contextmanager
    def talking(self) -> Iterator[None]:
        """Around all that is said of one source."""
        try:
            yield
        except BaseException as error:
            if self._begun:
                text = str(error)
                self._report.emit(Failed(self._vertex, text, not isinstance(error, Exception), self._report.clock()))
            raise
        else:
            if self._begun:
                self._report.emit(Finished(self._vertex, self._report.clock()))
        finally:
            self._begun = False

    def say(self, text: str) -> None:
        if not self._begun:
            self._begun = True
            self._report.emit(Started(self._vertex, self._name, self._report.clock()))
        data = text.encode("utf-8", "surrogateescape") + b"\n"
        self._report.emit(Log(self._vertex, data, self._report.clock()))


class PolicyLevel:
    """Told of lines, passes on those of a level."""

    def __init__(self, log: PolicyLog, most: int) -> None:
        self._log, self._most = log, most

    def __call__(self, level: int, text: str) -> None:
        if level <= self._most:
            self._log.say(text)
