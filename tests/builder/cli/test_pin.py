from __future__ import annotations

import pytest

from builder.cli import main
from builder.images.store import ImageStore
from builder.oci.reference import Reference


@pytest.fixture
def pinned(store, make_image):
    """The Dockerfile's FROM line as it should become."""
    image = make_image()
    ImageStore(store.root, store.blobs).tag(Reference.parse("app:1"), image.descriptor, "")
    return f"FROM app:1@{image.descriptor.digest} AS x"


TEXT = "# a comment\nFROM app:1 AS x\nRUN true\nFROM scratch\nCOPY --from=x / /\n"


def test_it_prints_the_digest(tmp_path, store, pinned, capfdbinary):
    file = tmp_path / "Dockerfile"
    file.write_text(TEXT)
    assert main.run(["--root", store.root, "pin", str(file)]) == 0
    assert capfdbinary.readouterr().out.decode() == TEXT.replace("FROM app:1 AS x", pinned)
    assert file.read_text() == TEXT


def test_it_writes_the_file_and_keeps_its_mode(tmp_path, store, pinned):
    file = tmp_path / "Dockerfile"
    file.write_text(TEXT)
    file.chmod(0o640)
    assert main.run(["--root", store.root, "pin", "-w", str(file)]) == 0
    assert file.read_text() == TEXT.replace("FROM app:1 AS x", pinned)
    assert file.stat().st_mode & 0o777 == 0o640


def test_what_cannot_be_pinned(tmp_path, store, capsys):
    file = tmp_path / "Dockerfile"
    file.write_text(TEXT)
    assert main.run(["--root", store.root, "pin", "-w", str(file)]) == 1
    assert "ERROR: cannot pin app:1: it is not in the local image store" in capsys.readouterr().err
    assert main.run(["--root", store.root, "pin", str(tmp_path / "absent")]) == 1
    assert "No such file" in capsys.readouterr().err
    assert file.read_text() == TEXT
