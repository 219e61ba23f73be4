from __future__ import annotations

import pytest

from builder.cli import image, main


def test_every_name_is_a_command(capsys):
    assert main.run(["image", "--help"]) == 0
    said = capsys.readouterr().out
    for name in image._NAMES:
        assert f"  {name} " in said


@pytest.mark.parametrize("name", sorted(image._NAMES))
def test_a_name_is_that_command(name, capsys):
    assert main.run(["image", name, "--help"]) == 0
    assert f"Usage: lapstrake image {name} " in capsys.readouterr().out


def test_a_wrong_name(capsys):
    assert main.run(["image", "lst"]) == 2
    assert "unknown command 'lst' (did you mean ls?)" in capsys.readouterr().err
