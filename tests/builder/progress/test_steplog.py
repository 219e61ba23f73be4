from __future__ import annotations

from builder.progress.steplog import CLIPPED, LIMIT, StepLog, failure_block, seconds


def test_lines_have_the_time_since_the_step_began():
    log = StepLog(10.0)
    assert log.feed(b"one\ntwo\npar", 10.5) == ["0.500 one", "0.500 two"]
    assert log.feed(b"tial\nend", 22.0) == ["0.500 partial"]
    assert log.flush() == ["12.00 end"]
    assert log.flush() == []


def test_precision_falls_as_time_goes_on():
    assert [seconds(t) for t in (-1, 0.3124, 9.9994, 10, 99.99, 100.04)] == [
        "0.000", "0.312", "9.999", "10.00", "99.99", "100.0",
    ]  # fmt: skip


def test_empty_lines_and_progress_bars():
    log = StepLog(0.0)
    assert log.feed(b"\n\r\n 1%\r 2%\r\n", 0.0) == ["0.000 ", "0.000 ", "0.000  2%"]


def test_a_flood_is_clipped_once_and_its_end_is_kept():
    log = StepLog(0.0)
    lines = []
    line = b"x" * 1023 + b"\n"
    for _ in range(3 * LIMIT // 1024):
        lines += log.feed(line, 1.0)
    lines += log.feed(b"the end\n", 2.0)
    assert len(lines) == LIMIT // 1024 + 1
    assert lines[-1] == f"1.000 {CLIPPED}"
    assert log.tail()[-1] == "2.000 the end"
    assert sum(len(t) for t in log.tail()) <= 8 << 10


def test_a_line_without_end_is_cut_in_pieces():
    log = StepLog(0.0)
    lines = []
    for _ in range(64):
        lines += log.feed(b"y" * 10_000, 0.0)
    assert lines
    assert all(len(line) < 33_000 for line in lines)
    assert sum(line.count("y") for line in [*lines, *log.flush()]) == 640_000


def test_a_bar_that_only_ever_returns_stays_small():
    log = StepLog(0.0)
    for n in range(20_000):
        assert log.feed(b"\r%5d" % n, 0.0) == []
    assert log.flush() == ["0.000 19999"]


def test_the_tail_has_at_most_fifty_lines():
    log = StepLog(0.0)
    log.feed(b"".join(b"%d\n" % n for n in range(100)), 0.0)
    assert log.tail() == [f"0.000 {n}" for n in range(50, 100)]


def test_the_block_of_a_failed_step():
    text = failure_block("[stage 2/3] RUN false\x1b[2J", ["0.123 text"])
    assert text == "------\n > [stage 2/3] RUN false:\n0.123 text\n------\n"
