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


@pytest.mark.parametrize("text", ["run", "/", "//", "/a:x", "/a:size", "/a:size=-1", "/a:mode=8", "/a:uid=", "/a:suid"])
def test_no_tmpfs(text):
    with pytest.raises(Fault):
        tmpfs(text)


def test_bind(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    assert bind(f"{tmp_path}/link:/a:ro") == BindMount(str(tmp_path), "/a", readonly=True)
    assert bind(f"{tmp_path}:/a") == bind(f"{tmp_path}:/a:rw") == BindMount(str(tmp_path), "/a", readonly=False)


@pytest.mark.parametrize("text", ["", "name:/a", "/:a", "/nonexistent/x:/a", "/:/a:x", "/"])
def test_no_bind(text):
    with pytest.raises(Fault):
        bind(text)


def test_mount(tmp_path):
    assert mount(f"type=bind,src={tmp_path},dst=/a,ro") == BindMount(str(tmp_path), "/a", readonly=True)
    assert mount(f'type=bind,"source={tmp_path}",target=/a,readonly=false') == bind(f"{tmp_path}:/a")
    assert mount("type=tmpfs,destination=/t,tmpfs-size=1k,tmpfs-mode=700") == tmpfs("/t:size=1k,mode=700")
    assert mount("type=tmpfs,dst=/t") == tmpfs("/t")


@pytest.mark.parametrize(
    "text",
    ["", "type=bind", "type=bind,src=/,dst=a", "type=volume,src=x,dst=/a", "dst=/a", "type=tmpfs,src=/x,dst=/a",
     "type=bind,dst=/a", "type=bind,src=/nonexistent,dst=/a", "type=bind,src=/,dst=/a,tmpfs-size=1",
     "type=bind,src=/,dst=/a,ro=x",
     "type=tmpfs,dst=/a,tmpfs-mode=9", "type=tmpfs,dst=/a,tmpfs-size=x", "type=tmpfs,dst=/a,other=1", "type=tmpfs,dst",
     'type=tmpfs,"dst=/a'],
)  # fmt: skip
def test_no_mount(text):
    with pytest.raises(Fault):
        mount(text)
