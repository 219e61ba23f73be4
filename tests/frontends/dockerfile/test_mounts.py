from __future__ import annotations

import msgspec
import pytest

from builder.graph.operation import Mount
from tests.frontends.dockerfile.programs import Build, fault, last


@pytest.mark.parametrize(
    ("mount", "value"),
    [
        ("target=/m", Mount(kind="bind", target="/m", input=1)),
        ("type=bind,src=a/../b,dst=m,rw", Mount(kind="bind", target="/w/m", input=1, source="/b", readonly=False)),
        ("target=/m,ro=false", Mount(kind="bind", target="/m", input=1, readonly=False)),
        ("from=img,target=/m", Mount(kind="bind", target="/m", input=1)),
        ("from=scratch,target=/m", Mount(kind="bind", target="/m")),
        (
            "type=cache,target=/c",
            Mount(kind="cache", target="/c", readonly=False, id="/c", sharing="shared", mode=0o755),
        ),
        (
            "type=cache,id=i,target=/c,sharing=locked,mode=0700,uid=19,gid=20,ro",
            Mount(kind="cache", target="/c", id="i", sharing="locked", mode=0o700, uid=19, gid=20),
        ),
        (
            "type=cache,from=img,source=/s,target=/c",  # mode and owner are those of the folder that it begins with
            Mount(
                kind="cache",
                target="/c",
                input=1,
                source="/s",
                readonly=False,
                id="/c",
                sharing="shared",
                mode=-1,
                uid=-1,
                gid=-1,
            ),
        ),
        ("type=tmpfs,target=/t,size=64m", Mount(kind="tmpfs", target="/t", readonly=False, size=64 << 20)),
        ("type=secret,id=k", Mount(kind="secret", target="/run/secrets/k", id="k", mode=0o400)),
        (
            "type=secret,id=d/k,required",
            Mount(kind="secret", target="/run/secrets/k", id="d/k", mode=0o400, required=True),
        ),
        ("type=secret,id=k,env=K", Mount(kind="secret", target="", id="k", mode=0o400, env="K")),
        ("type=secret,target=/x/y", Mount(kind="secret", target="/x/y", id="y", mode=0o400)),
        ("type=ssh", Mount(kind="ssh", target="/run/buildkit/ssh_agent.0", id="default", mode=0o600)),
        ('"target=/a,b"', Mount(kind="bind", target="/a", input=1)),
        ("type=$T,target=/t", Mount(kind="tmpfs", target="/t", readonly=False)),
    ],
)
def test_mount(build: Build, mount: str, value: Mount) -> None:
    if mount.startswith('"'):
        mount, value = "'" + mount + "'", msgspec.structs.replace(value, target="/a,b")
    program = build(f"FROM a\nENV T=tmpfs\nWORKDIR /w\nRUN --mount={mount} x")
    assert last(program).mounts == (value,)


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        ("type=tmp,target=/x", 'unsupported mount type "tmp"'),
        ("type=tmpsf,target=/x", 'unsupported mount type "tmpsf" (did you mean tmpfs?)'),
        ("typ=tmpfs", "unexpected key 'typ' in 'typ=tmpfs' (did you mean type?)"),
        ("x", "invalid field 'x' must be a key=value pair"),
        ("target=/x,size=1", "unexpected key 'size' for mount type 'bind'"),
        ("target=/x,required", "unexpected key 'required' for mount type 'bind'"),
        ("target=/x,mode=755", 'mode not allowed for "bind" type mounts'),
        ("type=tmpfs,target=/x,uid=1", 'uid not allowed for "tmpfs" type mounts'),
        ("target=/x,sharing=locked", "invalid cache sharing set for bind mount"),
        ("type=cache,target=/x,sharing=lock", 'unsupported sharing value "lock"'),
        ("type=secret", "invalid secret mount. one of source, target required"),
        ("type=secret,id=a,from=b", "secret mount should not have a from"),
        ("type=secret,id=a,source=b", "both source and id can't be set"),
        ("type=ssh,source=/x", "ssh does not support source"),
        ("target=/", 'invalid mount target "/"'),
        ("type=tmpfs,target=/x,size=big", "invalid value for size: big"),
        ("type=cache,target=/x,mode=9", "invalid value 9 for mode"),
        ("target=/x,ro=perhaps", "invalid value for ro: perhaps"),
    ],
)
def test_mount_fault(build: Build, mount: str, message: str) -> None:
    assert fault(build, f"FROM a\nRUN --mount={mount} x").message.startswith(message)
