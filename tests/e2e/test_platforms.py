"""--platform: one graph for several platforms, an index over their images, and where it goes."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import tarfile
from pathlib import Path

import pytest

from builder.oci.platform import host
from tests.e2e.lapstrake import Lapstrake, folder

pytestmark = pytest.mark.e2e

HERE = str(host())
OTHER = "linux/s390x" if HERE != "linux/s390x" else "linux/amd64"
CROSS = """\
FROM --platform=$BUILDPLATFORM base AS build
RUN echo once > /common
ARG TARGETPLATFORM
RUN echo $TARGETPLATFORM > /for

FROM scratch
ARG TARGETARCH
ENV ARCH=$TARGETARCH
COPY --from=build /common /for /
"""


def layout(path: Path) -> tuple[dict, list[dict]]:
    """The one entry of index.json, and the configs of the images of the index that it names."""
    (entry,) = json.loads((path / "index.json").read_text())["manifests"]
    index = blob(path, entry)
    return entry, [blob(path, blob(path, manifest)["config"]) for manifest in index["manifests"]]


def blob(path: Path, descriptor: dict) -> dict:
    algorithm, _, digest = descriptor["digest"].partition(":")
    raw = (path / "blobs" / algorithm / digest).read_bytes()
    assert len(raw) == descriptor["size"]
    return json.loads(raw)


@pytest.fixture
def both(tmp_path: Path) -> Path:
    return folder(tmp_path / "cross", {"Dockerfile": CROSS})


def test_an_index_of_two_platforms(lapstrake: Lapstrake, both: Path, tmp_path: Path) -> None:
    out, facts, iid = tmp_path / "out", tmp_path / "facts", tmp_path / "iid"
    done = lapstrake.built(
        both, "-t", "app:1", f"--platform={HERE},{OTHER}", "-o", f"type=oci,dest={out},tar=false",
        f"--iidfile={iid}", f"--metadata-file={facts}",
    )  # fmt: skip
    entry, configs = layout(out)
    assert entry["mediaType"] == "application/vnd.oci.image.index.v1+json"
    assert "platform" not in entry
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == "1"
    manifests = blob(out, entry)["manifests"]
    assert ["/".join((m["platform"]["os"], m["platform"]["architecture"])) for m in manifests] == [HERE, OTHER]
    assert [(c["os"] + "/" + c["architecture"]) for c in configs] == [HERE, OTHER]
    for name, config in zip((HERE, OTHER), configs, strict=True):
        assert f"ARCH={name.partition('/')[2]}" in config["config"]["Env"]
    assert iid.read_text() == entry["digest"]
    metadata = json.loads(facts.read_text())
    assert metadata["containerimage.digest"] == entry["digest"]
    assert metadata["containerimage.descriptor"]["mediaType"] == entry["mediaType"]
    assert "containerimage.config.digest" not in metadata
    assert done.err.count("RUN echo once") == 1  # one vertex for both
    build, target = HERE, OTHER.partition("/")[2]
    assert f"[{build} build 2/3] RUN echo once" in done.err
    assert f"[{build} build 3/3] RUN echo {HERE} > /for" in done.err
    assert f"[{build}->{target} build 3/3] RUN echo {OTHER} > /for" in done.err
    assert f"[{OTHER} stage-1 1/1] COPY" in done.err


def test_one_platform_is_no_index_and_named_as_ever(lapstrake: Lapstrake, both: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = lapstrake.built(both, f"--platform={OTHER}", "-o", f"type=oci,dest={out},tar=false")
    (entry,) = json.loads((out / "index.json").read_text())["manifests"]
    assert blob(out, blob(out, entry)["config"])["architecture"] == OTHER.partition("/")[2]
    assert "[build 2/3] RUN echo once" in done.err
    same = tmp_path / "same"
    lapstrake.built(both, f"--platform={HERE}", "-o", f"type=oci,dest={same},tar=false")
    plain = tmp_path / "plain"
    lapstrake.built(both, "-o", f"type=oci,dest={plain},tar=false")
    assert (same / "index.json").read_bytes() == (plain / "index.json").read_bytes()


def test_an_index_of_one_platform_on_request(lapstrake: Lapstrake, both: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    lapstrake.built(both, "--build-arg=BUILDKIT_MULTI_PLATFORM=1", "-o", f"type=oci,dest={out},tar=false")
    _, configs = layout(out)
    assert [c["architecture"] for c in configs] == [HERE.partition("/")[2]]


def test_platforms_are_each_built_once(lapstrake: Lapstrake, both: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    lapstrake.built(both, "--platform", f"{HERE},local", "--platform", OTHER, "-o", f"type=oci,dest={out},tar=false")
    _, configs = layout(out)
    assert len(configs) == 2


def test_the_second_build_is_cached_and_gives_the_same_bytes(lapstrake: Lapstrake, both: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "1.tar", tmp_path / "2.tar"
    for path in (first, second):
        done = lapstrake.built(both, f"--platform={HERE},{OTHER}", "-o", f"type=oci,dest={path}")
    assert first.read_bytes() == second.read_bytes()
    assert done.steps("DONE") == [step for step in done.steps("DONE") if step.startswith("FROM")]


def test_files_of_each_platform_in_a_folder(lapstrake: Lapstrake, both: Path, tmp_path: Path) -> None:
    out, archive = tmp_path / "files", tmp_path / "files.tar"
    names = [name.replace("/", "_") for name in (HERE, OTHER)]
    lapstrake.built(both, f"--platform={HERE},{OTHER}", "-o", str(out), "-o", f"type=tar,dest={archive}")
    assert sorted(os.listdir(out)) == sorted(names)
    assert [(out / name / "for").read_text().strip() for name in names] == [HERE, OTHER]
    with tarfile.open(archive) as tar:
        assert {f"{name}/for" for name in names} <= set(tar.getnames())
    lapstrake.built(both, "-o", f"type=local,dest={tmp_path / 'one'},platform-split=true")
    assert os.listdir(tmp_path / "one") == [names[0]]


def test_files_of_all_platforms_in_one_folder(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(
        tmp_path / "c",
        {"Dockerfile": "FROM scratch\nARG TARGETARCH\nCOPY a /d/a-$TARGETARCH\n", "a": "a"},
    )
    many = f"--platform={HERE},{OTHER}"
    out = tmp_path / "out"
    lapstrake.built(context, many, "-o", f"type=local,dest={out},platform-split=false")
    assert sorted(os.listdir(out / "d")) == sorted(f"a-{n.partition('/')[2]}" for n in (HERE, OTHER))
    folder(context, {"Dockerfile": "FROM scratch\nCOPY a /a\n"})
    done = lapstrake.refused(context, many, "-o", f"type=local,dest={out},platform-split=false")
    assert f"cannot overwrite a from {HERE} with {OTHER} when split option is disabled" in done.err


def test_an_index_in_the_store_is_a_base_for_each_platform(lapstrake: Lapstrake, both: Path, tmp_path: Path) -> None:
    lapstrake.built(both, "-t", "many", f"--platform={HERE},{OTHER}")
    listed = lapstrake.run("images", "--format=json").out.splitlines()
    assert [json.loads(line)["Repository"] for line in listed] == ["many"]
    context = folder(tmp_path / "on", {"Dockerfile": "FROM many\nCOPY Dockerfile /\n"})
    out = tmp_path / "out"
    lapstrake.built(context, f"--platform={OTHER}", "-o", str(out))
    assert (out / "for").read_text().strip() == OTHER
    refused = lapstrake.refused(context, "--platform=linux/mips64le")
    assert "no match for platform linux/mips64le in manifest: not found" in refused.err
    assert "Base image" not in lapstrake.built(context, f"--platform={HERE},{OTHER}").err
    lapstrake.run("prune", "--all", "--force")
    lapstrake.built(context, f"--platform={HERE},{OTHER}")
    assert lapstrake.run("rmi", "many").status == 0


def test_a_base_for_another_platform_is_warned_of(lapstrake: Lapstrake, tmp_path: Path) -> None:
    arch = OTHER.partition("/")[2]
    lapstrake.built(folder(tmp_path / "b", {"Dockerfile": "FROM base"}), "-t", "stored")
    text = f"FROM --platform={OTHER} stored AS x\nFROM --platform=$TARGETPLATFORM stored\nCOPY --from=x /tmp /x/\n"
    context = folder(tmp_path / "c", {"Dockerfile": text})
    done = lapstrake.build(context, "--check", f"--platform={HERE},{OTHER}")
    assert done.out.count("WARNING: FromPlatformFlagConstDisallowed") == 1
    assert done.out.count("WARNING: RedundantTargetPlatform") == 1
    assert f'was pulled with platform "{HERE}", expected "linux/{arch}" for current build' in done.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--platform=linux/amd64,linux/arm64", "-o", "type=docker,dest=x.tar"),
         "docker exporter does not support exporting manifest lists, use the oci exporter instead"),
        (("--platform=linux/*",), "wildcards not yet supported"),
        (("--platform=plan10",), '"plan10": unknown operating system or architecture: invalid argument'),
        (("--build-arg=BUILDKIT_MULTI_PLATFORM=maybe",), "invalid boolean value for multi-platform: maybe"),
        (("--platform=linux/amd64,linux/arm64", "--build-arg=BUILDKIT_MULTI_PLATFORM=0"),
         "conflicting config: returning multiple target platforms is not allowed"),
    ],
)  # fmt: skip
def test_what_is_refused(lapstrake: Lapstrake, both: Path, arguments: tuple[str, ...], words: str) -> None:
    assert words in lapstrake.refused(both, *arguments).err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ARG P\nFROM --platform=$P base", "empty platform value from expression $P"),
        ("ARG P=a/b/c/d\nFROM --platform=$P base",
         'failed to parse platform $P: "a/b/c/d": cannot parse platform specifier: invalid argument'),
    ],
)  # fmt: skip
def test_platforms_of_from_that_are_none(lapstrake: Lapstrake, tmp_path: Path, line: str, words: str) -> None:
    context = folder(tmp_path / "c", {"Dockerfile": f"{line}\n"})
    assert words in lapstrake.refused(context).err


def test_a_context_for_one_platform_alone(lapstrake: Lapstrake, tmp_path: Path) -> None:
    for name in ("one", "rest"):
        folder(tmp_path / name, {"file": name})
    context = folder(tmp_path / "c", {"Dockerfile": "FROM scratch\nCOPY --from=files file /\n"})
    out = tmp_path / "out"
    lapstrake.built(
        context, f"--platform={HERE},{OTHER}", f"--build-context=files::{OTHER}={tmp_path / 'one'}",
        f"--build-context=files={tmp_path / 'rest'}", "-o", str(out),
    )  # fmt: skip
    assert (out / OTHER.replace("/", "_") / "file").read_text() == "one"
    assert (out / HERE.replace("/", "_") / "file").read_text() == "rest"


def foreign() -> bytes:
    """The head of a program for a processor that no kernel here runs (EM_ALPHA)."""
    return struct.pack("<4sBBBBB7xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 0, 2, 0x9026, 1, 0x1000, 64, 0, 0, 64, 56, 1,
                       0, 0, 0) + bytes(4096)  # fmt: skip


def test_a_program_for_another_processor(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(
        tmp_path / "c", {"Dockerfile": 'FROM scratch\nCOPY --chmod=755 prog /prog\nRUN ["/prog"]\n', "prog": foreign()}
    )
    done = lapstrake.refused(context, f"--platform={OTHER}")
    assert 'exec: "/prog": exec format error' in done.err
    assert "binfmt_misc" in done.err
    assert ">>> RUN" in done.err


@pytest.mark.oracle
@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")
def test_skopeo_reads_the_index(lapstrake: Lapstrake, both: Path, tmp_path: Path) -> None:
    out, copied = tmp_path / "out", tmp_path / "copied"
    lapstrake.built(both, "-t", "app:1", f"--platform={HERE},{OTHER}", "-o", f"type=oci,dest={out},tar=false")
    entry, _ = layout(out)

    def skopeo(*args: str) -> bytes:
        return subprocess.run(["skopeo", *args], check=True, capture_output=True).stdout

    raw = skopeo("inspect", "--raw", f"oci:{out}:1")
    assert raw == (out / "blobs" / "sha256" / entry["digest"].partition(":")[2]).read_bytes()
    skopeo("copy", "--all", f"oci:{out}:1", f"oci:{copied}:1")
    assert json.loads((copied / "index.json").read_text())["manifests"][0]["digest"] == entry["digest"]
    architecture = OTHER.partition("/")[2]
    seen = json.loads(skopeo("--override-arch", architecture, "inspect", f"oci:{out}:1"))
    assert seen["Architecture"] == architecture
    lapstrake.built(both, "-t", "app:1", f"--platform={HERE},{OTHER}")
    assert skopeo("inspect", "--raw", f"oci:{lapstrake.store}:app:1") == raw
