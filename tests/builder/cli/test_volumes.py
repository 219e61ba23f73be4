from __future__ import annotations

import pytest

from builder.cli.volumes import bind, tmpfs
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
