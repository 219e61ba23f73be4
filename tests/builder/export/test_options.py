from __future__ import annotations

import pytest

from builder.errors import OutputFault
from builder.export.options import OutputSpec, parse_output, with_shorthands


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("out", OutputSpec(kind="local", dest="out")),
        ("./out.tar", OutputSpec(kind="local", dest="./out.tar")),
        ("-", OutputSpec(kind="tar", dest="-")),
        ("type=tar", OutputSpec(kind="tar", dest="-")),
        ("type=tar,dest=f.tar", OutputSpec(kind="tar", dest="f.tar")),
        ("type=docker,dest=a.tar", OutputSpec(kind="docker", dest="a.tar")),
        ("TYPE=oci, dest =-", OutputSpec(kind="oci", dest="-")),
        ("type=oci,dest=d,tar=false", OutputSpec(kind="oci", dest="d", tar=False)),
        ("type=local,dest=d", OutputSpec(kind="local", dest="d")),
        ("type=local,dest=d,mode=copy,platform-split=false", OutputSpec(kind="local", dest="d", split=False)),
        (
            "type=oci,dest=d,oci-mediatypes=false,rewrite-timestamp=true,source-date-epoch=7",
            OutputSpec(kind="oci", dest="d", docker_types=True, rewrite=True, epoch=7),
        ),
        ("type=image", OutputSpec(kind="image")),
        ("type=image,oci-artifact=true", OutputSpec(kind="image")),
        ("type=cacheonly", OutputSpec(kind="cacheonly")),
        ('type=docker,"dest=a,b.tar"', OutputSpec(kind="docker", dest="a,b.tar")),
        ('type=image,"name=a:1,b:2"', OutputSpec(kind="image", names=("a:1", "b:2"))),
        (
            "type=oci,dest=x,compression=zstd,compression-level=19,force-compression=true",
            OutputSpec(kind="oci", dest="x", compression="zstd", level=19, force=True),
        ),
    ],
)
def test_outputs(text, spec):
    assert parse_output(text) == spec


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "type is required for output"),
        ("dest=x,tar=true", "type is required for output"),
        ("type=docker,x", "invalid value x"),
        ("type=local", "dest is required for local exporter"),
        ("type=local,dest=-", "dest cannot be stdout for local exporter"),
        ("type=oci,tar=false,dest=-", "dest cannot be stdout for oci exporter"),
        ("type=docker,tar=false,dest=x", "not supported for docker exporter"),
        ("type=nope", 'exporter "nope" could not be found'),
        ("type=image,dest=x", "dest is not supported for image exporter"),
        ("type=tar,compression=gzip", 'unknown attribute "compression" for tar output'),
        ("type=docker,destination=x", 'unknown attribute "destination"'),
        ("type=docker,compression=lz4", "unsupported layer compression type"),
        ("type=docker,compression-level=high", "non-integer value 'high'"),
        ("type=docker,tar=maybe", "non-bool value 'maybe'"),
        ("type=docker,oci-mediatypes=false,oci-artifact=true", "conflicts with"),
        ("type=docker,compression=estargz", "unsupported layer compression type 'estargz'"),
        ("type=docker,source-date-epoch=now", "invalid source-date-epoch: now"),
        ("type=docker,prefer-nondist-layers=true", "prefer-nondist-layers=true is not supported"),
        ("type=image,name-canonical=true", "name-canonical=true is not supported"),
        ("type=image,annotation-layer.a=b", "unrecognized annotation type layer"),
        ("type=local,dest=x,mode=mirror", 'invalid local exporter mode "mirror"'),
        ("type=local,dest=x,mode=move", 'invalid local exporter mode "move"'),
        ("type=local,dest=x,annotation.a=b", 'unknown attribute "annotation.a"'),
        (
            'type=docker,"dest=a',
            'invalid value type=docker,"dest=a: parse error on line 1, column 14: extraneous or missing "',
        ),
    ],
)
def test_bad_outputs(text, words):
    with pytest.raises(OutputFault, match=words):
        parse_output(text)


@pytest.mark.parametrize(
    ("given", "push", "load", "found"),
    [
        ((), False, False, ()),
        ((), True, False, ("type=registry",)),
        ((), False, True, ("type=docker",)),
        ((), True, True, ("type=registry", "type=docker")),
        (("type=local,dest=x",), True, False, ("type=local,dest=x", "type=registry")),
        (("type=image,name=a,push=false", "x"), True, False, ("type=image,name=a,push=false,push=true", "x")),
        (("type=registry",), True, False, ("type=registry",)),
        (("type=docker",), False, True, ("type=docker",)),
        (("type=docker,dest=x",), False, True, ("type=docker,dest=x", "type=docker")),
    ],
)
def test_push_and_load(given, push, load, found):
    assert with_shorthands(given, push, load) == found
    assert all(parse_output(text) for text in found)
    assert not push or any(parse_output(text).push for text in found)
