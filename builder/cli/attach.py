"""Between a running command and the streams of whoever called us: bytes, signals, and the size of the terminal."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from builder.sandbox.launch import Attached, ExitStatus

_CHUNK = 1 << 16
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)

Start = Callable[[tuple[int, ...]], Attached]


def with_pipes(start: Start, interactive: bool) -> ExitStatus:
    """Standard output and error stay apart. interactive: our standard input is the command's."""
    read_in, write_in = os.pipe() if interactive else (os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), -1)
    read_out, write_out = os.pipe()
    read_error, write_error = os.pipe()
    attached = start((read_in, write_out, write_error))
    if interactive:
        threading.Thread(target=_feed, args=(0, write_in, True), daemon=True).start()
    with _signals(attached):
        _relay({read_out: 1, read_error: 2})
        return attached.wait()


def with_terminal(start: Start, interactive: bool) -> ExitStatus:
    """A terminal of the command's own. Ours, if there is one, hands on every key as it is and tells its size."""
    import tty

    attached = start(())
    if attached.terminal < 0:
        return attached.wait()
    ours = attached.terminal
    raw = interactive and os.isatty(0)
    before = None
    if raw:
        import termios

        before = termios.tcgetattr(0)
        tty.setraw(0, termios.TCSADRAIN)  # the default throws away what was typed already
    try:
        if interactive:
            threading.Thread(target=_feed, args=(0, ours, False), daemon=True).start()
        with _signals(attached), _resizing(ours):
            _relay({ours: 1})
            return attached.wait()
    finally:
        if before is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, before)


def window() -> tuple[int, int]:
    """Rows and columns of our terminal, (0, 0) where there is none."""
    try:
        size = os.get_terminal_size(1)
    except OSError:
        return 0, 0
    return size.lines, size.columns


def _feed(source: int, sink: int, close: bool) -> None:
    """To the end of the input, or until nobody reads it any more."""
    try:
        while data := os.read(source, _CHUNK):
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(sink, rest) :]
    except OSError:
        pass
    if close:
        os.close(sink)


def _relay(pairs: dict[int, int]) -> None:
    """Copy until every source has ended. Whoever reads our output may go away: the command is not held up by that."""
    poll = select.poll()
    for source in pairs:
        poll.register(source, select.POLLIN | select.POLLHUP)
    left = dict(pairs)
    while left:
        for source, _ in poll.poll():
            try:
                data = os.read(source, _CHUNK)
            except OSError:  # a terminal that nobody has open any more
                data = b""
            if not data:
                poll.unregister(source)
                del left[source]
                os.close(source)
                continue
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(pairs[source], rest) :]
            except BrokenPipeError:
                continue


@contextmanager
def _signals(attached: Attached) -> Iterator[None]:
    """Signals that reach us go on to the command."""
    before = {n: signal.signal(n, lambda number, _: attached.signal(number)) for n in _FORWARDED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _resizing(terminal: int) -> Iterator[None]:
    before = signal.signal(signal.SIGWINCH, lambda *_: _resize(terminal))
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)


def _resize(terminal: int) -> None:
    import fcntl
    import termios

    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, fcntl.ioctl(1, termios.TIOCGWINSZ, b"\0" * 8))
    except OSError:
        pass  # our output is no terminal, or the command's is closed already
