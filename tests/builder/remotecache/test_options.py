from __future__ import annotations

import re
from pathlib import Path

import pytest

from builder.remotecache.options import _KEYS, S3Options, parse_cache_from, parse_cache_to
from cache.digest import Digest
from cache.errors import Fault


def test_a_bare_name_is_a_registry() -> None:
    (spec,) = parse_cache_from(("user/app:cache",))
    assert (spec.kind, str(spec.reference)) == ("registry", "docker.io/user/app:cache")
    assert [str(one.reference) for one in parse_cache_from(("a/b,c/d:1", "e/f"))] == [
        "docker.io/a/b:latest",
        "docker.io/c/d:1",
        "docker.io/e/f:latest",
    ]
    assert parse_cache_to(("localhost:5000/cache",))[0].kind == "registry"
    assert parse_cache_from(("",)) == ()


def test_all_of_a_registry() -> None:
    options = "mode=max,compression=zstd,compression-level=3,force-compression=true,ignore-error=true"
    (spec,) = parse_cache_to((f"type=registry,ref=h:1/a,{options}",))
    assert spec.everything and spec.ignore_error and spec.manifest and not spec.docker_types
    assert (spec.compression, spec.level) == ("zstd", 3)
    (spec,) = parse_cache_to(("type=registry,ref=h:1/a,oci-mediatypes=false",))
    assert not spec.manifest and spec.docker_types and not spec.everything


def test_a_folder() -> None:
    digest = Digest.of(b"x")
    (spec,) = parse_cache_from((f"type=local,src=/c,tag=t,digest={digest}",))
    assert (spec.path, spec.tag, spec.digest) == ("/c", "t", digest)
    assert parse_cache_to(("type=local,dest=c,reset=true",))[0].reset
    assert parse_cache_to(('type=local,"dest=a,b"',))[0].path == "a,b"


def test_an_importer_that_there_is_not_is_no_error() -> None:
    """As for any import that fails."""
    tape, inline = parse_cache_from(("type=tape,x=y", "type=inline"))
    assert tape.problem == "unknown cache importer: tape"
    assert inline.problem.startswith("unknown cache importer: inline: what it wrote is read by type=registry")


def test_cache_mounts() -> None:
    (spec,) = parse_cache_to(("type=local,dest=c,mounts=true,mounts-max-size=3m",))
    assert spec.mounts and spec.mounts_limit == 3 << 20
    (spec,) = parse_cache_from(("type=local,src=c",))
    assert not spec.mounts and spec.mounts_limit == 2 << 30


def test_s3() -> None:
    text = "type=s3,bucket=b,region=r,name=a;b,prefix=p/,touch_refresh=1h30m,upload_parallelism=2,use_path_style=true"
    (spec,) = parse_cache_to((text + ",access_key_id=AKIA,secret_access_key=hidden,session_token=too",))
    assert spec.s3 == S3Options(
        bucket="b",
        region="r",
        names=("a", "b"),
        prefix="p/",
        touch_refresh=5400,
        parallelism=2,
        path_style=True,
        credentials=("AKIA", "hidden", "too"),
    )
    assert "hidden" not in repr(spec) and "AKIA" not in repr(spec)


@pytest.mark.parametrize(
    ("text", "export", "words"),
    [
        ("type=registry", True, "registry cache exporter requires ref"),
        ("type=registry", False, "registry cache importer requires ref"),
        ("type=registry,ref=UPPER", True, "must be lowercase"),
        ("type=local", True, "local cache exporter requires dest"),
        ("type=local,dest=x", False, "local cache importer requires src"),
        ("type=local,src=x,tag=", False, "requires either explicit digest"),
        ("type=local,src=x,digest=sha256:1", False, "invalid digest"),
        ("ref=x", True, 'type required for "ref=x"'),
        ("type=,ref=x", True, "type required for"),
        ("type=registry,ref", True, "invalid value ref"),
        ("type=tape", True, 'unknown cache exporter: "tape"'),
        ("type=gha,scope=x", True, "cache exporter gha is not supported"),
        ("type=azblob", False, "cache importer azblob is not supported"),
        ("type=registry,ref=a,mdoe=max", True, 'unknown attribute "mdoe"'),
        ("type=registry,ref=a,mode=all", True, "invalid cache export mode 'all'"),
        ("type=registry,ref=a,image-manifest=true,oci-mediatypes=false", True, "OCI mediatypes are required"),
        ("type=registry,ref=a,image-manifest=maybe", True, "non-bool value"),
        ("type=registry,ref=a,compression=lzma", True, "unsupported layer compression type"),
        ("type=registry,ref=a,compression-level=x", True, "non-integer value"),
        ("type=s3,upload_parallelism=0", True, "upload_parallelism must be a positive integer"),
        ("type=s3,retry_mode=legacy", True, 'retry_mode must be "standard" or "adaptive"'),
        ("type=s3,retry_max_attempts=-1", True, "retry_max_attempts must be a positive integer"),
        ("type=s3,endpoint_url=http://me:hidden@host", True, "invalid endpoint_url for s3 cache"),
        ("type=s3,endpoint_url=ftp://hidden", False, "invalid endpoint_url for s3 cache"),
        ("type=s3,access_key_id=x", True, "belong together"),
        ("type=s3,touch_refresh=soon", True, "invalid touch_refresh"),
        ("type=local,dest=x,mounts-max-size=-1", True, "invalid mounts-max-size"),
        ('type=local,"dest=x', True, "invalid value"),
    ],
)
def test_what_is_refused(text: str, export: bool, words: str) -> None:
    with pytest.raises(Fault) as caught:
        (parse_cache_to if export else parse_cache_from)((text,))
    assert words in caught.value.message and "hidden" not in caught.value.message + caught.value.hint


def test_the_document_names_every_attribute() -> None:
    text = (Path(__file__).parents[3] / "docs" / "shared-cache.md").read_text()
    named = set(re.findall(r"`([a-z0-9_.-]+)`", text))
    assert set().union(*_KEYS.values()) <= named
