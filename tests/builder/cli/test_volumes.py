from __future__ import annotations

import pytest

from builder.cli.volumes import bind, mount, tmpfs
from builder.sandbox.spec import BindMount, TmpfsMount
from cache.errors import Fault


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("/run", TmpfsMount("/run", noexec=True)),
        ("/run:", TmpfsMount("/run", noexec=True)),
        ("/a:exec,size=1m,mode=0700,uid=1,gid=2", TmpfsMount("/a", size=1 << 20, mode=0o700, uid=1, gid=2)),
        ("/a:ro,noexec,nosuid,nodev", TmpfsMount("/a", readonly=True, noexec=True)),
        ("/a:ro,rw,exec,noexec", TmpfsMount("/a", noexec=True)),
    ],
)
def test_tmpfs(text, mount):
    assert tmpfs(text) == mount


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run", 'invalid mount path: "run"'),
        ("/", 'invalid mount path: "/"'),
        ("//", 'invalid mount path: "//"'),
        ("/a:x", 'invalid tmpfs option "x"'),
        ("/a:size", 'invalid tmpfs option "size"'),
        ("/a:size=-1", "invalid --tmpfs size '-1'"),
        ("/a:mode=8", "invalid tmpfs option mode=8 in /a:mode=8"),
        ("/a:uid=", "invalid tmpfs option uid= in /a:uid="),
        ("/a:suid", 'invalid tmpfs option "suid"'),
    ],
)
def test_no_tmpfs(text, message):
    with pytest.raises(Fault) as caught:
        tmpfs(text)
    assert caught.value.message == message


def test_bind(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    assert bind(f"{tmp_path}/link:/a:ro") == BindMount(str(tmp_path), "/a", readonly=True)
    assert bind(f"{tmp_path}:/a") == bind(f"{tmp_path}:/a:rw") == BindMount(str(tmp_path), "/a", readonly=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'invalid volume specification: ""'),
        ("name:/a", "name is the name of a volume, and there are only folders here"),
        ("/:a", 'invalid volume specification: "/:a"'),
        ("/nonexistent/x:/a", "bind source path does not exist: /nonexistent/x"),
        ("/:/a:x", 'invalid volume specification: "/:/a:x"'),
        ("/", 'invalid volume specification: "/"'),
    ],
)
def test_no_bind(text, message):
    with pytest.raises(Fault) as caught:
        bind(text)
    assert caught.value.message == message


def test_mount(tmp_path):
    assert mount(f"type=bind,src={tmp_path},dst=/a,ro") == BindMount(str(tmp_path), "/a", readonly=True)
    assert mount(f'type=bind,"source={tmp_path}",target=/a,readonly=false') == bind(f"{tmp_path}:/a")
    assert mount("type=tmpfs,destination=/t,tmpfs-size=1k,tmpfs-mode=700") == tmpfs("/t:size=1k,mode=700")
    assert mount("type=tmpfs,dst=/t") == tmpfs("/t")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid mount '': EOF"),
        ("type=bind", "invalid mount 'type=bind': target is required"),
        ("type=bind,src=/,dst=a", "invalid mount 'type=bind,src=/,dst=a': target is required"),
        (
            "type=volume,src=x,dst=/a",
            "invalid mount 'type=volume,src=x,dst=/a': volume takes no such fields, or is not supported",
        ),
        ("dst=/a", "invalid mount 'dst=/a': volume takes no such fields, or is not supported"),
        (
            "type=tmpfs,src=/x,dst=/a",
            "invalid mount 'type=tmpfs,src=/x,dst=/a': tmpfs takes no such fields, or is not supported",
        ),
        ("type=bind,dst=/a", "invalid mount 'type=bind,dst=/a': bind takes no such fields, or is not supported"),
        ("type=bind,src=/nonexistent,dst=/a", "bind source path does not exist: /nonexistent"),
        (
            "type=bind,src=/,dst=/a,tmpfs-size=1",
            "invalid mount 'type=bind,src=/,dst=/a,tmpfs-size=1': bind takes no such fields, or is not supported",
        ),
        ("type=bind,src=/,dst=/a,ro=x", "invalid value for 'readonly': x"),
        ("type=tmpfs,dst=/a,tmpfs-mode=9", "invalid tmpfs option mode=9 in type=tmpfs,dst=/a,tmpfs-mode=9"),
        ("type=tmpfs,dst=/a,tmpfs-size=x", "invalid tmpfs-size 'x'"),
        ("type=tmpfs,dst=/a,other=1", "unknown option 'other' in 'other=1'"),
        ("type=tmpfs,dst", "invalid field 'dst' must be a key=value pair"),
        ('"x', """invalid mount '"x': parse error on line 1, column 2: extraneous or missing " in quoted-field"""),
    ],
)
def test_no_mount(text, message):
    with pytest.raises(Fault) as caught:
        mount(text)
    assert caught.value.message == message
