from __future__ import annotations

import pytest

from builder.cli.config import config_file, read_settings
from builder.errors import ConfigFault
from builder.upkeep.policy import Policy
from builder.upkeep.usage import Usage

MB = 1 << 20


@pytest.fixture
def read(tmp_path):
    def call(text):
        path = tmp_path / "lapstrake.toml"
        path.write_text(text)
        return read_settings(str(path), 1000).policies

    return call


def test_one_table(read):
    text = '[gc]\nmax-used-space = "20MB"\nreserved-space = 5\nmin-free-space = "20%"\nkeep-duration = "48h"\n'
    assert read(text) == (Policy(most=20 * MB, reserved=5, free=200, keep=48 * 3600.0),)
    assert read("") == read("[gc]\n") == ()


def test_a_list_comes_before_the_table(read):
    text = """\
[gc]
max-used-space = "9gb"
[[gc.policy]]
filters = ["type==source.local", "type=exec.cachemount,description~=go"]
keep-duration = 172800
max-used-space = 512
[[gc.policy]]
all = true
"""
    first, second, last = read(text)
    assert (first.keep, first.most, first.everything) == (172800.0, 512, False)
    assert [len(one.selectors) for one in first.filters] == [1, 2]
    usage = Usage(id="x", kind="mounts", size=1, description="cached mount /go", type="exec.cachemount")
    assert first.wants(usage, 0.0)
    assert second == Policy(everything=True)
    assert last == Policy(most=9 << 30)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[gc]\nmax-used-space = 5gb\n", "line 2", "lapstrake.toml"),
        ('[gc]\n\nmax-used = "5gb"\n', "line 3", "unknown key 'max-used'"),
        ('# x\n[gc]\nreserved-space = "much"\n', "line 3", "reserved-space"),
        ("[gc]\nreserved-space = -1\n", "line 2", "reserved-space"),
        ("[gc]\nreserved-space = 0.5\n", "line 2", "reserved-space is no whole number"),
        ("[gc]\nkeep-duration = 0.5\n", "line 2", "keep-duration"),
        ("[gc]\nreserved-space = true\n", "line 2", "reserved-space"),
        ('[gc]\nkeep-duration = "2d"\n', "line 2", "duration"),
        ("[gc]\nall = true\n", "line 2", "unknown key 'all'"),
        ("[[gc.policy]]\nall = true\n[[gc.policy]]\nall = 1\n", "line 4", "all is no boolean"),
        ('[[gc.policy]]\nfilters = "type=x"\n', "line 2", "filters is no list"),
        ('[[gc.policy]]\nfilters = ["nothing"]\n', "line 2", "bad format of filter"),
        ("[build]\nx = 1\n", "line 1", "unknown key 'build'"),
        ("gc = 1\n", "line 1", "gc is no table"),
        ("[gc]\npolicy = 1\n", "line 2", "policy is no list"),
    ],
)
def test_errors_name_file_and_line(read, text, line, words):
    with pytest.raises(ConfigFault) as caught:
        read(text)
    assert "lapstrake.toml: " in caught.value.message
    assert line in caught.value.message
    assert words in caught.value.message


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "c").write_bytes(b"[gc]\n\xff\n")
    with pytest.raises(ConfigFault, match="line 2: no UTF-8"):
        read_settings(str(tmp_path / "c"), 1)
    with pytest.raises(ConfigFault, match="cannot read") as caught:
        read_settings(str(tmp_path), 1)
    assert "LAPSTRAKE_CONFIG" in caught.value.hint


def test_where_it_is_looked_for(tmp_path):
    path = tmp_path / "lapstrake" / "lapstrake.toml"
    path.parent.mkdir()
    assert config_file({"LAPSTRAKE_CONFIG": "/x"}) == "/x"
    assert config_file({"XDG_CONFIG_HOME": str(tmp_path)}) in (None, "/etc/lapstrake/lapstrake.toml")
    path.write_text("")
    assert config_file({"XDG_CONFIG_HOME": str(tmp_path), "HOME": "/nowhere"}) == str(path)
    assert config_file({"HOME": str(tmp_path / "home")}) in (None, "/etc/lapstrake/lapstrake.toml")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".config").symlink_to(tmp_path)
    assert config_file({"HOME": str(tmp_path / "home")}) == str(tmp_path / "home" / ".config/lapstrake/lapstrake.toml")


def test_proxy_network(tmp_path):
    path = tmp_path / "lapstrake.toml"
    for text, wanted in (("", False), ("proxy-network = false", False), ("proxy-network = true\n[gc]", True)):
        path.write_text(text)
        assert read_settings(str(path), 1).proxy_network is wanted
    path.write_text('\nproxy-network = "yes"')
    with pytest.raises(ConfigFault, match="line 2: proxy-network is no boolean"):
        read_settings(str(path), 1)
