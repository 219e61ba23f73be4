from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import OutputFault
from builder.export.podmanload import Podman


def podman(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Podman:
    """One that does what `script` says, in place of the real one."""
    program = folder / "podman"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return Podman()


def test_it_gets_all_bytes_and_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = podman(tmp_path, monkeypatch, f'echo "$@" > {tmp_path}/words; cat > {tmp_path}/got')
    with one.open(3) as sink:
        sink.write(b"abc")
    assert (tmp_path / "got").read_bytes() == b"abc"
    assert (tmp_path / "words").read_text() == "load --quiet\n"


@pytest.mark.parametrize("script", ["cat >/dev/null; exec >&-", "exec <&-"])
def test_what_it_fails_of_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    one = podman(tmp_path, monkeypatch, f"printf 'no\\n\\033room' >&2; {script}; exit 125")
    with pytest.raises(OutputFault) as caught, one.open(1 << 20) as sink:
        sink.write(bytes(1 << 20))
    assert caught.value.message == "podman load failed: no ?room"
