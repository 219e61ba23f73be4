from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.cli.secret import SecretSource, parse_secret, reader
from builder.errors import SourceFault
from cache.errors import Fault


def test_sources(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"\0value")
    there = {"TOKEN": "t", "x": "env"}
    assert parse_secret(f"id=a,src={file}", there) == SecretSource(id="a", path=str(file))
    assert parse_secret(f"type=file,id=a,source={file}", there) == SecretSource(id="a", path=str(file))
    assert parse_secret("id=a,env=TOKEN", there) == SecretSource(id="a", env="TOKEN")
    assert parse_secret("id=a,type=env,src=TOKEN", there) == SecretSource(id="a", env="TOKEN")
    assert parse_secret("id=x", there) == SecretSource(id="x", env="x")
    (tmp_path / "f,g").write_bytes(b"")
    assert parse_secret(f'id=a,"src={file},g"', there) == SecretSource(id="a", path=f"{file},g")
    read = reader([parse_secret(f"id=a,src={file}", {}), parse_secret("id=b,env=TOKEN", {})], there)
    assert (read("a"), read("b"), read("c")) == (b"\0value", b"t", None)


def test_a_name_alone_is_a_file_where_no_variable_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").write_text("file")
    assert parse_secret("id=x", {}) == SecretSource(id="x", path=os.path.join(os.getcwd(), "x"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "failed to parse csv secret: EOF"),
        ("id", "invalid field 'id' must be a key=value pair"),
        ("id=", "secret without id: 'id='"),
        ("src=/etc/hostname", "secret without id: 'src=/etc/hostname'"),
        ("id=a,what=1", "unexpected key 'what' in 'what=1'"),
        ("id=a,type=vault", 'unsupported secret type "vault"'),
    ],
)
def test_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(Fault) as caught:
        parse_secret(text, {})
    assert caught.value.message == message


def test_a_quote_that_is_left_open() -> None:
    with pytest.raises(Fault, match="failed to parse csv secret: parse error on line 1, column 7: extraneous"):
        parse_secret('id=a,"src=x', {})


def test_files_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(SourceFault, match="cannot read"):
        parse_secret(f"id=a,src={tmp_path}/none", {})
    with pytest.raises(SourceFault, match="cannot read"):
        parse_secret(f"id=a,src={tmp_path}", {})
    (tmp_path / "big").write_bytes(bytes(600 << 10))
    with pytest.raises(SourceFault, match="more than"):
        parse_secret(f"id=a,src={tmp_path}/big", {})
