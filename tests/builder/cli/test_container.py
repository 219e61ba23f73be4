"""The environment and hosts of `run`, as Docker makes them of its options."""

from __future__ import annotations

import pytest

from builder.cli import main
from builder.cli.container import Wish, environment, given_env, hosts_file
from builder.oci.config import RuntimeConfig
from cache.errors import Fault

IMAGE = RuntimeConfig(env=("A=1", "B=2", "PATH=/bin"))


def made(*pairs: str) -> dict[str, str]:
    found = environment(IMAGE, Wish(env=pairs, hostname="h"))
    return dict(pair.partition("=")[::2] for pair in found)


def test_variables():
    assert made() == {"A": "1", "B": "2", "PATH": "/bin", "HOSTNAME": "h"}
    assert made("A=3", "C=", "B") == {"A": "3", "C": "", "PATH": "/bin", "HOSTNAME": "h"}
    assert made("A", "A=4")["A"] == "4"


def test_names_alone(tmp_path):
    (tmp_path / "env").write_text("HERE\nGONE\n  X = y z  \n".replace("X ", "X"))
    given = given_env(("HERE", "GONE", "A B=c"), (str(tmp_path / "env"),), {"HERE": "1"})
    assert given == ("HERE=1", "X= y z  ", "HERE=1", "GONE", "A B=c")


def test_a_file(tmp_path):
    (tmp_path / "env").write_bytes(b"\xef\xbb\xbfA=1\r\n\n \t# no\n#B=2\nC=a\x0cb\xe2\x80\xa8c#d")
    assert given_env((), (str(tmp_path / "env"),), {}) == ("A=1", "C=a\x0cb\u2028c#d")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"=x", "invalid env file (PATH): no variable name on line '=x'"),
        (b"a b=c", "invalid env file (PATH): variable 'a b' contains whitespaces"),
        (b"A=\xff", "invalid env file (PATH): invalid utf8 bytes at line 1"),
        (b"A=1\n=", "invalid env file (PATH): no variable name on line '='"),
        (b"x" * (2 << 20), "PATH is larger than 1048576 bytes"),
    ],
)
def test_no_env_file(tmp_path, data, message):
    path = tmp_path / "env"
    path.write_bytes(data)
    with pytest.raises(Fault) as caught:
        given_env((), (str(path),), {})
    assert caught.value.message == message.replace("PATH", str(path))


def test_what_is_no_variable(tmp_path):
    with pytest.raises(Fault, match="invalid environment variable: =x"):
        given_env(("=x",), (), {})
    with pytest.raises(Fault, match="no such file"):
        given_env((), (str(tmp_path / "none"),), {})


def test_hosts():
    wish = Wish(hostname="h", hosts=(("a", "1.2.3.4"),))
    assert hosts_file(wish).splitlines()[-1] == "1.2.3.4\ta"


def test_a_wrong_command_line_has_docker_s_status(capsys):
    assert main.run(["run", "--no-such-option", "app"]) == 125
    assert main.run(["run"]) == 125
    assert main.run(["images", "--no-such-option"]) == 2
