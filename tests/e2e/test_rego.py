"""Policies in Rego: --policy and the file beside the Dockerfile, as buildx has them."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gitpeers import Repository
from tests.e2e.lapstrake import PROGRAM, Done, Lapstrake, folder
from tests.e2e.webserver import BACKEND, Page, Web, serving
from tests.memoryregistry import MemoryRegistry, digest_of, running, tar_of

pytestmark = pytest.mark.e2e
needs_git = pytest.mark.skipif(not BACKEND.exists(), reason="git has no http-backend")

DENY = 'package docker\ndefault allow := false\ndecision := {"allow": allow, "deny_msg": ["not here"]}\n'
ALLOW = 'package docker\ndecision := {"allow": true}\n'


def rego(*rules: str, more: str = "") -> str:
    """A policy that allows by these rules; imports come first."""
    imports = [rule for rule in rules if rule.startswith("import")]
    others = [rule for rule in rules if rule not in imports]
    decision = f'decision := {{"allow": allow{more}}}'
    return "\n".join(("package docker", *imports, "default allow := false", *others, decision, ""))


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    (tmp_path / "served").mkdir()
    with serving(tmp_path / "served") as web:
        yield web


def bare(tmp_path: Path) -> Lapstrake:
    """With an empty store and no base, which is in an archive: no policy knows those."""
    return Lapstrake(tmp_path / "store")


@pytest.fixture
def stored(lapstrake: Lapstrake, tmp_path: Path) -> Lapstrake:
    """A store with the image `real:1`, whose label and variable a policy may look at."""
    text = "FROM base\nLABEL com.example.policy=label\nENV POLICY_ENV=envval\n"
    lapstrake.built(folder(tmp_path / "real", {"Dockerfile": text}), "-t", "real:1")
    return Lapstrake(lapstrake.store)


def test_images_by_their_parts(stored: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM real:1\nRUN true\n"})
    digest = stored.run("images", "--digests", "--format", "{{.Digest}}").out.strip()
    for rule, allowed in (
        ('input.image.repo == "real"', True),
        ('input.image.repo == "other"', False),
        ('input.image.fullRepo == "docker.io/library/real"', True),
        ('input.image.ref == "docker.io/library/real:1"', True),
        ('input.image.host == "docker.io"', True),
        ('input.image.host == "ghcr.io"', False),
        ('input.image.tag == "1"', True),
        ('input.image.tag == "latest"', False),
        ("input.image.isCanonical", False),
        (f'input.image.checksum == "{digest}"', True),
        (f'input.image.checksum == "sha256:{64 * "0"}"', False),
        ('input.image.labels["com.example.policy"] == "label"', True),
        ('input.image.env[_] == "POLICY_ENV=envval"', True),
        ('startswith(input.image.platform, "linux/")', True),
        ("input.env.depth == 0", True),
    ):
        (context / "policy.rego").write_text(rego("allow if not input.image", f"allow if {rule}"))
        done = stored.build(context, "--policy", f"filename={context}/policy.rego")
        assert (done.status == 0) is allowed, (rule, done.err)
        assert f"loading policies {context}/policy.rego" in done.err
        word = "ALLOW" if allowed else "DENY"
        assert "policy decision for source docker-image://docker.io/library/real:1 (linux/" in done.err
        assert f"): {word}" in done.err
        if not allowed:
            assert 'source "docker-image://docker.io/library/real:1" not allowed by policy: action DENY' in done.err


def test_a_cached_build_is_asked_about_too(stored: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM real:1\nRUN true\nCOPY a /\n", "a": "1"})
    stored.built(context)
    assert stored.built(context).cached == 2
    (context / "Dockerfile.rego").write_text(DENY)
    done = stored.refused(context)
    assert 'source "local://dockerfile" not allowed by policy: action DENY' in done.err
    assert "Policy: not here\n" in done.err
    assert " - not here" in done.err
    (context / "Dockerfile.rego").write_text(rego('allow if input.local.name == "dockerfile"', "allow if input.image"))
    assert 'source "local://context" not allowed by policy' in stored.refused(context).err
    (context / "Dockerfile.rego").write_text(rego("allow if input.local"))
    assert 'source "docker-image://docker.io/library/real:1" not allowed' in stored.refused(context).err
    (context / "Dockerfile.rego").write_text(ALLOW)
    assert stored.built(context).cached == 2
    (context / "Dockerfile.rego").unlink()
    assert "policies" not in stored.built(context).err


def test_the_registry_is_asked_only_for_what_a_policy_looks_at(tmp_path: Path) -> None:
    registry = MemoryRegistry()
    with running(registry) as host:
        one = registry.add_image("app", "", [{"a": b"1"}])
        top = registry.add_index("app", "1", [one])
        context = folder(tmp_path / "context", {"Dockerfile": f"FROM {host}/app:1\n"})
        lapstrake = bare(tmp_path)
        (context / "Dockerfile.rego").write_text(rego("allow if input.local", 'allow if input.image.repo == "x"'))
        assert "not allowed by policy" in lapstrake.refused(context).err
        assert registry.server is not None
        assert registry.server.seen == []
        for checksum, status in ((top["digest"], 0), (one["digest"], 1), (top["digest"], 0)):
            rule = f'allow if input.image.checksum == "{checksum}"'
            (context / "Dockerfile.rego").write_text(rego("allow if input.local", rule))
            assert lapstrake.build(context).status == status
        pin = f'allow if pin_image(input.image, "{one["digest"]}")'
        (context / "Dockerfile.rego").write_text(rego("allow if input.local", pin))
        done = lapstrake.built(context)
        assert f"convert to docker-image://{host}/app:1@{one['digest']}" in done.err
        assert f"policy decision for source docker-image://{host}/app:1@{one['digest']} (linux/" in done.err


def test_urls(web: Web, tmp_path: Path) -> None:
    web.pages["/file"] = Page(b"policy-http")
    digest = f"sha256:{hashlib.sha256(b'policy-http').hexdigest()}"
    url = f"{web.url}/file?policy=allow&case=http"
    context = folder(tmp_path / "context", {"Dockerfile": f"FROM scratch\nADD {url} /f\n"})
    lapstrake = bare(tmp_path)
    parts = f'input.http.url == "{url}"; input.http.schema == "http"; input.http.host == "127.0.0.1:{web.port}"'
    more = 'input.http.path == "/file"; input.http.query["policy"][_] == "allow"'
    (context / "Dockerfile.rego").write_text(
        rego("allow if not input.http", 'allow if input.http.host == "example.invalid"')
    )
    assert f'source "{url}" not allowed by policy: action DENY' in lapstrake.refused(context).err
    assert web.asked("/file") == 0
    for checksum, status in ((digest, 0), (f"sha256:{64 * '0'}", 1)):
        rule = f'allow if {{ {parts}; {more}; input.http.checksum == "{checksum}" }}'
        (context / "Dockerfile.rego").write_text(rego("allow if not input.http", rule))
        done = lapstrake.build(context)
        assert done.status == status, done.err
    assert done.cached == 0  # what was built with leave is not given without
    assert f"policy decision for source {web.url}/file?…: DENY" in done.err


@needs_git
def test_repositories(web: Web, tmp_path: Path) -> None:
    repository = Repository(web.repositories, tmp_path / "work", base=f"{web.url}/git")
    first = repository.commit({"Dockerfile": "FROM scratch\nCOPY a /\n", "a": "1"}, "initial commit")
    repository.git("tag", "-a", "v1", "-m", "t")
    repository.commit({"a": "2"})
    repository.git("checkout", "-q", "-B", "v2")
    repository.push()
    tag = repository.git("rev-parse", "v1")
    lapstrake = bare(tmp_path)

    def build(form: str, rule: str) -> Done:
        (tmp_path / "p.rego").write_text(rego("allow if not input.git", f"allow if {{ {rule} }}"))
        words = ("build", "--progress=plain", "--policy", "filename=cwd://p.rego", repository.url + form)
        return lapstrake.run(*words, cwd=tmp_path)

    named = (
        f'input.git.host == "127.0.0.1:{web.port}"; endswith(input.git.remote, "/app.git"); input.git.schema == "http"'
    )
    tagged = f'input.git.ref == "refs/tags/v1"; input.git.tagName == "v1"; input.git.checksum == "{tag}"'
    more = f'input.git.commitChecksum == "{first}"; input.git.isAnnotatedTag; not input.git.isSHA256'
    done = build("#v1", f"{named}; {tagged}; {more}")
    assert done.status == 0, done.err
    assert "loading policies cwd://p.rego" in done.err
    assert build("#v1", f"{named}; {tagged}; {more}").cached == 1
    assert build("#v2", 'input.git.branch == "v2"; not input.git.tagName').status == 0
    assert build(f"#{first}", f'input.git.isCommitRef; input.git.checksum == "{first}"').status == 0
    for rule in ('input.git.checksum == "deadbeef"', 'input.git.host == "example.invalid"'):
        done = build("#v1", rule)
        assert done.status == 1
        assert f'source "git://127.0.0.1:{web.port}/git/app.git#v1" not allowed by policy: action DENY' in done.err


@needs_git
def test_policies_of_a_remote_context(web: Web, tmp_path: Path) -> None:
    repository = Repository(web.repositories, tmp_path / "work", base=f"{web.url}/git")
    repository.commit(
        {
            "Dockerfile": "FROM scratch\n",
            "Dockerfile.rego": rego("allow if input.git"),
            "policy/import.rego": rego("import data.hack.allow as lib", "allow if lib.required"),
            "hack/allow.rego": "package whatever\nrequired := true\n",
            "policy/json.rego": rego('cfg := load_json("policy/config.json")', "allow if cfg.allow"),
            "policy/config.json": '{"allow": true}',
            "deny.rego": DENY,
        }
    )
    (tmp_path / "here.rego").write_text(ALLOW)
    (tmp_path / "does-not-exist.rego").write_text(ALLOW)
    lapstrake = bare(tmp_path)

    def build(*options: str) -> Done:
        words = ("build", "--progress=plain", *(f"--policy={option}" for option in options), repository.url)
        return lapstrake.run(*words, cwd=tmp_path)

    assert "loading policies Dockerfile.rego" in build().err
    for name in ("policy/import.rego", "policy/json.rego", "cwd://here.rego"):
        done = build(f"filename={name}")
        assert done.status == 0, done.err
        assert f"loading policies Dockerfile.rego, {name}" in done.err
    assert "not allowed by policy" in build("filename=deny.rego").err
    assert build("filename=deny.rego,reset=true", "disabled=false").status == 1
    done = build("filename=does-not-exist.rego")
    assert done.status == 1
    assert "policy file does-not-exist.rego not found" in done.err
    (repository.folder / "Dockerfile.rego").unlink()
    (repository.folder / "Dockerfile.rego").symlink_to("deny.rego")
    repository.commit({})
    assert "not allowed by policy" in build().err


def test_policies_of_an_archive(web: Web, tmp_path: Path) -> None:
    files = {"Dockerfile": b"FROM scratch\n", "policy/allow.rego": ALLOW.encode()}
    web.pages["/context.tar"] = Page(tar_of(files))
    web.pages["/denied.tar"] = Page(tar_of({**files, "Dockerfile.rego": DENY.encode()}))
    web.pages["/Dockerfile"] = Page(b"FROM scratch\n")
    (tmp_path / "Dockerfile.rego").write_text(DENY)
    lapstrake = bare(tmp_path)

    def build(path: str, *options: str) -> Done:
        return lapstrake.run("build", "--progress=plain", *options, f"{web.url}{path}", cwd=tmp_path)

    done = build("/context.tar", "--policy=filename=policy/allow.rego")
    assert done.status == 0, done.err
    assert "loading policies policy/allow.rego" in done.err
    assert build("/context.tar").status == build("/Dockerfile").status == 0
    assert "not allowed by policy" in build("/denied.tar").err
    assert "policy file policy/allow.rego not found" in build("/Dockerfile", "--policy=filename=policy/allow.rego").err


def test_which_policies_count(tmp_path: Path) -> None:
    default = rego('allow if input.env.args["DEFAULT_OK"] == "1"')
    extra = rego('allow if input.env.labels["com.example.extra"] == "1"')
    texts = {"Dockerfile": "FROM scratch\n", "Dockerfile.rego": default, "extra.rego": extra}
    context, lapstrake = folder(tmp_path / "context", texts), bare(tmp_path)
    more, arg, label = "--policy=filename=extra.rego", "--build-arg=DEFAULT_OK=1", "--label=com.example.extra=1"
    for options, status in (
        ((more, arg, label), 0),
        ((more, label), 1),
        ((more, arg), 1),
        (("--policy=reset=true,filename=extra.rego", label), 0),
        (("--policy=reset=true,filename=extra.rego",), 1),
        (("--policy=disabled=true",), 0),
    ):
        done = lapstrake.build(context, *options)
        assert done.status == status, (options, done.err)
    assert "disabled policy cannot be combined" in lapstrake.refused(context, more, "--policy=disabled=true").err
    assert "invalid value file=x" in lapstrake.refused(context, "--policy=file=x").err
    (context / "Dockerfile.rego").write_text(
        rego('allow if { input.env.target == "b"; input.env.filename == "other" }')
    )
    (context / "other").write_text("FROM scratch AS b\n")
    (context / "other.rego").write_text((context / "Dockerfile.rego").read_text())
    assert lapstrake.build(context, "-f", str(context / "other"), "--target=b").status == 0
    assert lapstrake.build(context, "-f", str(context / "other")).status == 1


def test_files_that_are_no_policy_in_rego(tmp_path: Path) -> None:
    context, lapstrake = folder(tmp_path / "context", {"Dockerfile": "FROM scratch\n"}), bare(tmp_path)
    (tmp_path / "out.rego").write_text(ALLOW)
    (context / "link.rego").symlink_to("../out.rego")
    (context / "folder.rego").mkdir()
    for name, text, message in (
        ("none.rego", None, "policy file none.rego not found"),
        ("../out.rego", None, "failed to stat policy file ../out.rego: path escapes from parent"),
        ("/etc/passwd", None, "path escapes from parent"),
        ("link.rego", None, "policy file link.rego not found"),
        ("folder.rego", None, "failed to read policy file folder.rego: Is a directory"),
        ("a.rego", "package docker\nallow if {", r"a.rego:2: "),
        ("a.rego", "nothing", "a.rego:1: rego_parse_error: package expected"),
        ("a.rego", "package docker\nimport data.b\n", "a.rego:2: import data.b not found for module a.rego"),
        (
            "a.rego",
            'package docker\n\ndecision := {"allow": x(1)}\n',
            "a.rego:3: rego_type_error: undefined function x",
        ),
        ("a.rego", "package docker\nx := 1\n", "policy returned zero result"),
    ):
        if text is not None:
            (context / name).write_text(text)
        assert message in lapstrake.refused(context, f"--policy=filename={name}").err, name
    assert "invalid policy filename" in lapstrake.refused(context, "--policy=filename=cwd://").err
    (context / "Dockerfile.rego").symlink_to("../out.rego")
    assert "its link leads to no file of the folder" in lapstrake.refused(context).err
    (context / "Dockerfile.rego").unlink()
    (context / "Dockerfile.rego").write_bytes(b"package docker\n\xff\n")
    assert "Dockerfile.rego:2: rego_parse_error: no UTF-8" in lapstrake.refused(context).err


def test_images_in_files_have_no_policy(lapstrake: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM base\n", "Dockerfile.rego": ALLOW})
    assert "unsupported source scheme: docker-archive" in lapstrake.refused(context).err
    lapstrake.built(context, "--policy=disabled=true")


def test_json_rules_come_first(stored: Lapstrake, tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM wanted:1\n"})
    (context / "Dockerfile.rego").write_text(rego("allow if input.local", 'allow if input.image.repo == "real"'))
    rules = [
        {
            "action": "CONVERT",
            "selector": {"identifier": "docker-image://docker.io/library/wanted:*"},
            "updates": {"identifier": "docker-image://docker.io/library/real:${1}"},
        }
    ]
    (tmp_path / "policy.json").write_text(json.dumps({"rules": rules}))
    stored.built(context, env={"EXPERIMENTAL_BUILDKIT_SOURCE_POLICY": str(tmp_path / "policy.json")})
    assert 'library/wanted:1" not allowed' in stored.refused(context).err


def test_progress_as_json(tmp_path: Path) -> None:
    context = folder(tmp_path / "context", {"Dockerfile": "FROM scratch\n", "Dockerfile.rego": DENY})
    done = bare(tmp_path).run("build", "--progress=rawjson", str(context))
    assert done.status == 1
    lines = [json.loads(line) for line in done.err.splitlines() if line.startswith("{")]
    vertexes = [vertex for line in lines for vertex in line.get("vertexes", ())]
    mine = [vertex for vertex in vertexes if vertex["name"] == f"loading policies {context}/Dockerfile.rego"]
    assert "not allowed by policy" in mine[-1]["error"]
    assert "completed" in mine[-1]


def test_eval(stored: Lapstrake, web: Web, tmp_path: Path) -> None:
    web.pages["/file"] = Page(b"x")
    (tmp_path / "p.rego").write_text(
        rego("allow if input.image", 'allow if input.http.path == "/file"', more=', "deny_msg": ["a", "b"]')
    )

    def evaluate(*words: str, given: str = "") -> Done:
        done = subprocess.run(
            [*PROGRAM, "--root", str(stored.store), "policy", "eval", *words],
            cwd=tmp_path, input=given, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    assert evaluate("-f", "p", "docker-image://busybox") == Done(0, "", "")
    assert evaluate("--filename", "p", f"{web.url}/file").status == 0
    assert evaluate("-f", "p", str(tmp_path)) == Done(1, "", "ERROR: policy denied: a; b\n")
    assert evaluate("-f", "-", "docker-image://busybox", given=DENY).err == "ERROR: policy denied: not here\n"
    assert evaluate("-f", "-", "docker-image://busybox", given=ALLOW).status == 0
    assert "failed to read policy file Dockerfile.rego" in evaluate("docker-image://busybox").err
    printed = evaluate("--print", "--platform", "linux/arm64", "docker-image://real:1")
    assert json.loads(printed.out)["image"]["platform"] == "linux/arm64"
    assert "unresolved fields: image.checksum, image.env" in printed.err
    labels = evaluate("--print", "--fields", "image.labels,image.x", "docker-image://real:1")
    assert json.loads(labels.out)["image"]["labels"] == {"com.example.policy": "label"}
    assert labels.err == "WARNING: invalid fields: image.x\n"
    checksum = evaluate("--print", "--fields", "http.checksum", f"{web.url}/file")
    assert json.loads(checksum.out)["http"]["checksum"] == digest_of(b"x")
    assert "invalid local path nope" in evaluate("--print", "nope").err


def test_tests_of_a_policy(tmp_path: Path) -> None:
    folder(
        tmp_path / "p",
        {
            "policy.rego": """package docker
default allow = false
allow if input.image.repo == "example/allowlist"
allow if {
	input.image.repo == "example/docs"
	input.image.tag == "doc"
}
deny_msg contains "repository not allowed" if not allow
decision := {"allow": allow, "deny_msg": deny_msg}
""",
            "tests/policy_test.rego": """package docker

test_allowlisted_repo if {
	result := data.docker.decision with input as {"image": {"repo": "example/allowlist"}}
	result.allow
	count(result.deny_msg) == 0
}

test_others if {
	result := data.docker.decision with input as {"image": {"repo": "example/blocked"}}
	not result.allow
	result.deny_msg["repository not allowed"]
}

test_wrong if {
	data.docker.decision.allow with input as {"image": {"tag": "x", "unknown": 1}, "env": {"args": {"a": "b"}}}
}

test_helper if docker_github_builder({"hasProvenance": true, "signatures": []}, "o/r")
""",
        },
    )
    lapstrake = bare(tmp_path)
    done = lapstrake.run("policy", "test", "--filename", "policy", "tests", cwd=tmp_path / "p")
    assert done.status == 1
    assert done.err == ""
    assert (
        done.out
        == """test_allowlisted_repo: PASS (allow=true)
test_helper: FAIL (allow=false, deny_msg=repository not allowed)
input: <nil>
decision:
{
  "allow": false,
  "deny_msg": [
    "repository not allowed"
  ]
}
missing_input: input.image.repo, input.image.tag
test_others: PASS (allow=false, deny_msg=repository not allowed)
test_wrong: FAIL (allow=false, deny_msg=repository not allowed)
input:
{
  "env": {
    "args": {
      "a": "b"
    }
  },
  "image": {
    "tag": "x"
  }
}
decision:
{
  "allow": false,
  "deny_msg": [
    "repository not allowed"
  ]
}
missing_input: input.image.repo
"""
    )
    some = lapstrake.run(
        "policy", "test", "--filename=policy", "--run", "list", "tests/policy_test.rego", cwd=tmp_path / "p"
    )
    assert some == Done(0, "test_allowlisted_repo: PASS (allow=true)\n", "")
    for words, message in (
        (("tests",), "read policy module Dockerfile.rego: no such file"),
        (("--filename=policy", "."), "no policy tests found"),
        (("--filename=policy", "none"), "stat none: no such file or directory"),
        (("--filename=policy", "policy.rego"), "test file must have _test.rego suffix: policy.rego"),
        (("--filename=policy", "--run=zzz", "tests"), "no tests found"),
    ):
        assert message in lapstrake.run("policy", "test", *words, cwd=tmp_path / "p").err


def test_the_schema_of_the_input(tmp_path: Path) -> None:
    schema = json.loads(bare(tmp_path).run("policy", "json-schema").out)
    parts = schema["$defs"]
    assert set(parts["Input"]["properties"]) == {"env", "local", "image", "http", "git"}
    assert {"fullRepo", "isCanonical", "hasProvenance", "workingDir", "arch"} <= set(parts["Image"]["properties"])
    assert {"fullURL", "isSHA256", "subDir", "commitChecksum"} <= set(parts["Git"]["properties"])
