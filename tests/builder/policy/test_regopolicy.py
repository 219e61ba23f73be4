from __future__ import annotations

from typing import Any

import pytest

from builder.errors import PolicyFault, SourceFault
from builder.graph.operation import GitSource, HttpSource
from builder.oci.platform import Platform
from builder.oci.reference import Reference
from builder.policy.facts import GitFacts, ImageFacts
from builder.policy.input import Env, Image, Input, Provenance
from builder.policy.regopolicies import RegoPolicies
from builder.policy.signatures.provenance import ConfigSource
from builder.policy.subjects import GitSubject, HttpSubject, ImageSubject, LocalSubject
from builder.source.policy import git_identifier
from tests.builder.policy.conftest import Asked

HEAD = "package docker\ndefault allow := false\n"
DECISION = '\ndecision := {"allow": allow}\n'
SHA = "sha256:" + "ab" * 32
COMMIT, TAG = "c" * 40, "d" * 40
CONFIG = (
    b'{"created":"2024-05-06T07:08:09.123Z","config":{"Labels":{"a":"b"},"Env":["X=y"],"User":"me",'
    b'"Volumes":{"/v":{},"/a":{}},"WorkingDir":"/w"}}'
)


class Looks:
    """What can be found out; asked: what was."""

    def __init__(self, ref: str = "refs/tags/v1") -> None:
        self.asked: list[str] = []
        self._ref = ref

    def image(self) -> ImageFacts:
        self.asked.append("image")
        return ImageFacts(SHA, CONFIG)

    def checksum(self, source: HttpSource) -> str:
        self.asked.append("checksum")
        return SHA

    def facts(self, source: GitSource, objects: bool) -> GitFacts:
        self.asked.append("objects" if objects else "ref")
        return GitFacts(self._ref, TAG, COMMIT)


def image(looks: Looks, name: str = "ghcr.io/x/y:1") -> ImageSubject:
    return ImageSubject(Reference.parse(name), Platform.parse("linux/arm/v7"), looks.image)


@pytest.mark.parametrize(
    ("rule", "allowed", "found"),
    [
        ('input.image.ref == "ghcr.io/x/y:1"', True, []),
        ('input.image.host == "ghcr.io"', True, []),
        ('input.image.repo == "ghcr.io/x/y"', True, []),
        ('input.image.fullRepo == "ghcr.io/x/y"', True, []),
        ('input.image.tag == "1"', True, []),
        ('input.image.platform == "linux/arm/v7"', True, []),
        ('concat("-", [input.image.os, input.image.arch, input.image.variant]) == "linux-arm-v7"', True, []),
        ("input.image.isCanonical", False, []),
        ("input.http", False, []),
        (f'input.image.checksum == "{SHA}"', True, ["image"]),
        ('input.image.labels.a == "b"', True, ["image"]),
        ('input.image.env == ["X=y"]', True, ["image"]),
        ('input.image.user == "me"', True, ["image"]),
        ('input.image.volumes == ["/a", "/v"]', True, ["image"]),
        ('input.image.workingDir == "/w"', True, ["image"]),
        ('input.image.createdTime == "2024-05-06T07:08:09Z"', True, ["image"]),
        ('input.env.args.A == "1"', True, []),
        ('input.env.labels.l == "x"', True, []),
        ('input.env.filename == "Dockerfile.x"', True, []),
        ('input.env.target == "t"', True, []),
        ("input.env.depth == 0", True, []),
        ("not input.env.capsRequest", True, []),
    ],
)
def test_images(asked: Asked, rule: str, allowed: bool, found: list[str]) -> None:
    env, looks = Env(depth=0, args={"A": "1"}, labels={"l": "x"}, filename="Dockerfile.x", target="t"), Looks()
    decision = asked.policy(f"{HEAD}allow if {rule}{DECISION}", env=env).decide(image(looks))
    assert decision.allow is allowed
    assert looks.asked == found


def test_a_pinned_name_has_its_checksum(asked: Asked) -> None:
    looks = Looks()
    policy = asked.policy(f'{HEAD}allow if {{ input.image.isCanonical; input.image.checksum == "{SHA}" }}{DECISION}')
    assert policy.decide(image(looks, f"busybox@{SHA}")).allow
    assert looks.asked == []


@pytest.mark.parametrize(
    ("rule", "allowed", "found"),
    [
        ('input.http.url == "https://h:8443/a%20b?x=1&x=2"', True, []),
        ('input.http.schema == "https"', True, []),
        ('input.http.host == "h:8443"', True, []),
        ('input.http.path == "/a b"', True, []),
        ('input.http.query.x[_] == "2"', True, []),
        ("input.http.hasAuth", False, []),
        (f'input.http.checksum == "{SHA}"', True, ["checksum"]),
        ('input.image.checksum == "x"', False, []),
    ],
)
def test_urls(asked: Asked, rule: str, allowed: bool, found: list[str]) -> None:
    looks = Looks()
    source = HttpSource(url="https://h:8443/a%20b?x=1&x=2", name="f")
    assert asked.policy(f"{HEAD}allow if {rule}{DECISION}").decide(HttpSubject(source, looks)).allow is allowed
    assert looks.asked == found


@pytest.mark.parametrize(
    ("ref", "rule", "allowed", "found"),
    [
        ("v1", 'input.git.remote == "https://h/r.git"', True, []),
        ("v1", 'input.git.host == "h"', True, []),
        ("v1", 'input.git.schema == "https"', True, []),
        ("v1", 'input.git.fullURL == "https://h/r.git"', True, []),
        ("v1", 'input.git.subDir == "d"', True, []),
        ("v1", 'input.git.ref == "refs/tags/v1"', True, ["ref"]),
        ("v1", 'input.git.tagName == "v1"', True, ["ref"]),
        ("v1", "input.git.branch", False, ["ref"]),
        ("v1", f'input.git.checksum == "{TAG}"', True, ["ref"]),
        ("v1", f'input.git.commitChecksum == "{COMMIT}"', True, ["ref"]),
        ("v1", "input.git.isAnnotatedTag", True, ["ref"]),
        ("v1", "input.git.isSHA256", False, ["ref"]),
        (COMMIT, "input.git.isCommitRef", True, []),
        (COMMIT, f'input.git.checksum == "{COMMIT}"', True, []),
        (COMMIT + "c" * 24, "input.git.isSHA256", True, []),
    ],
)
def test_repositories(asked: Asked, ref: str, rule: str, allowed: bool, found: list[str]) -> None:
    looks = Looks()
    source = GitSource(remote="https://h/r.git", ref=ref, subdir="d")
    subject = GitSubject(source, git_identifier(source), looks)
    assert asked.policy(f"{HEAD}allow if {rule}{DECISION}").decide(subject).allow is allowed
    assert looks.asked == found


def test_folders(asked: Asked) -> None:
    policy = asked.policy(f'{HEAD}allow if input.local.name == "context"{DECISION}')
    assert policy.decide(LocalSubject("context")).allow
    assert not policy.decide(LocalSubject("other")).allow


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x := 1", "policy returned zero result"),
        ('decision := "no"', "unexpected policy return type"),
        ('decision := {"allow": "yes"}', 'invalid allowed property "yes", expecting bool'),
        ('decision := {"allow": true, "caps": []}', "invalid caps property"),
        ('decision := {"allow": true, "caps": {"x": true}}', 'unknown policy cap "x"'),
        (
            'decision := {"allow": true, "caps": {"exec.proxy": 1}}',
            "invalid caps.exec.proxy property 1, expecting bool",
        ),
        ("decision := 1\ndecision := 2", "complete rules must not produce multiple outputs"),
        ("f(x) := f(x)\ndecision := f(1)", r"p\.rego:2: rego_recursion_error: rule data.docker.f is recursive"),
        ("a if b\nb if a\ndecision := a", r"p\.rego:2: rego_recursion_error: rule data.docker.a is recursive"),
        ("decision := {\n\tx := 1\n}", r"p\.rego:3: "),
        ("decision := (1", r"p\.rego:2: "),
        ("decision := count(numbers.range(1, 300000000))", "a range has more than 4194304 numbers"),
        (f"decision := {'[' * 20000}1{']' * 20000}", "could not be evaluated|failed to evaluate"),
        (
            'decision := {"allow": x}\nx := count([1 | some i in numbers.range(1, 90000); print("0123456789" , i, "'
            + "x" * 90
            + '"); i > 0])',
            "more than 4194304 bytes are printed",
        ),
    ],
)
def test_policies_that_give_no_decision(asked: Asked, text: str, message: str) -> None:
    with pytest.raises(PolicyFault, match=message):
        asked.policy(f"package docker\n{text}\n").decide(LocalSubject("context"))
    assert asked.value('package docker\ndecision := "well"') == "well"  # whatever became of the process


def test_functions_of_ours(asked: Asked) -> None:
    text = (
        'package docker\nc := load_json("a.json")\nd := load_json(c.next)\ndecision := [c.x, d, load_json("a.json").x]'
    )
    files = {"a.json": '{"x": "é\\n\\"", "next": "b.json"}', "b.json": "[1, null]", "bad.json": "{"}
    assert asked.value(text, files=files) == ['é\n"', [1, None], 'é\n"']
    missing = 'package docker\ndefault decision := "undefined"\ndecision := load_json("none.json")'
    assert asked.value(missing) == "undefined"
    assert asked.said == ['load_json: failed opening file "none.json"']
    asked.said.clear()
    assert asked.value(missing.replace("none", "bad"), files=files) == "undefined"
    assert "invalid JSON" in asked.said[0]
    library = 'package lib\nv := load_json("b.json")\n'
    imported = "package docker\nimport data.lib\ndecision := lib.v"
    assert asked.value(imported, files={**files, "lib.rego": library}) == [1, None]
    own = 'package docker\nload_json(x) := concat("", [x, "!"])\ndecision := load_json("a")'
    assert asked.value(own) == "a!"


def test_calls_without_end(asked: Asked) -> None:
    chain = "\n".join(f"f{n + 1} := load_json(f{n})" for n in range(30))
    files = {f"{n}": f'"{n + 1}"' for n in range(40)}
    with pytest.raises(PolicyFault, match="maximum attempts"):
        asked.value(f'package docker\nf0 := "0"\n{chain}\ndecision := f30', files=files)
    with pytest.raises(PolicyFault, match="more than 200 calls"):
        asked.value(
            "package docker\ndecision := [x | some i in numbers.range(1, 300); x := load_json(format_int(i, 10))]"
        )


def test_pins(asked: Asked) -> None:
    text = f'{HEAD}allow if pin_image(input.image, "{SHA}"){DECISION}'
    decision = asked.policy(text).decide(image(Looks()))
    assert decision.allow
    assert [str(pin) for pin in decision.pins] == [SHA]
    assert not asked.policy(text).decide(LocalSubject("context")).allow
    assert asked.policy(text).decide(image(Looks(), f"x@{SHA}")).pins == frozenset()
    denied = asked.policy(f'{HEAD}x := pin_image(input.image, "{SHA}"){DECISION}').decide(image(Looks()))
    assert denied.pins == frozenset()
    other = asked.policy(f'{HEAD}allow if pin_image({{"ref": "x"}}, "{SHA}"){DECISION}').decide(image(Looks()))
    assert not other.allow
    assert "pin_image: first argument is not the same as input image" in asked.said
    two = text.replace("allow if", f'allow if pin_image(input.image, "sha256:{"0" * 64}")\nallow if')
    with pytest.raises(PolicyFault, match=r"multiple image pins set to docker-image://ghcr.io/x/y:1"):
        asked.policy(two).decide(image(Looks()))


def test_what_is_printed(asked: Asked) -> None:
    asked.policy(f'{HEAD}allow if {{ print("repo:", input.image.repo, input.nope); load_json("x") }}{DECISION}').decide(
        image(Looks())
    )
    assert asked.said.count("repo: ghcr.io/x/y <undefined>") == 1
    assert not any("lapstrake_" in line for line in asked.said)


def test_no_password_is_told(asked: Asked) -> None:
    source = HttpSource(url="https://me:secret@h/f", name="f")
    assert asked.policy(f"{HEAD}{DECISION}").decide(HttpSubject(source, Looks())).allow is False
    assert "https://me:xxxxx@h/f" in "\n".join(asked.said)
    assert "secret" not in "\n".join(asked.said)


def test_helper_rules(asked: Asked) -> None:
    signer = {
        "certificateIssuer": "CN=sigstore-intermediate,O=sigstore.dev",
        "issuer": "https://token.actions.githubusercontent.com",
        "sourceRepositoryURI": "https://github.com/o/r",
        "sourceRepositoryRef": "refs/tags/v1",
        "runnerEnvironment": "github-hosted",
    }
    signature: dict[str, Any] = {
        "kind": "docker-github-builder",
        "type": "bundle-v0.3",
        "timestamps": [{}],
        "signer": signer,
    }
    good = {"image": {"hasProvenance": True, "signatures": [{"kind": "untrusted"}, signature]}}
    wanted = 'default decision := false\ndecision := docker_github_builder(input.image, "o/r")'
    tagged = 'default decision := false\ndecision := docker_github_builder_tag(input.image, "o/r", "v1")'
    for text in (wanted, tagged):
        assert asked.value(f"package docker\n{text}", good) is True
        assert asked.value(f"package docker\n{text}", {"image": {**good["image"], "hasProvenance": False}}) is False
        for name in signer:
            if name == "sourceRepositoryRef" and text is wanted:
                continue
            other = {"hasProvenance": True, "signatures": [{**signature, "signer": {**signer, name: "x"}}]}
            assert asked.value(f"package docker\n{text}", {"image": other}) is False, name
        for name, value in (("kind", "self-signed"), ("type", "x"), ("timestamps", [])):
            other = {"hasProvenance": True, "signatures": [{**signature, name: value}]}
            assert asked.value(f"package docker\n{text}", {"image": other}) is False, name


def test_caps(asked: Asked) -> None:
    text = 'package docker\ndefault caps := {}\ncaps := {"exec.proxy": true} if input.env.capsRequest\n'
    policy = asked.policy(f'{text}decision := {{"allow": true, "caps": caps}}')
    assert policy.caps() == {"exec.proxy"}
    assert policy.decide(LocalSubject("x")).caps == frozenset()


def test_all_must_allow_and_each_source_is_asked_about_once(asked: Asked) -> None:
    said: list[str] = []
    allow = f"{HEAD}allow if true{DECISION}"
    deny = f'{HEAD}allow if not input.image\ndecision := {{"allow": allow, "deny_msg": ["no \\"images\\"", 3, "b"]}}'
    pin = f'{HEAD}allow if pin_image(input.image, "{SHA}"){DECISION}'
    policies = {name: (asked.policy(text), lambda level, line: said.append(line)) for name, text in
                {"allow": allow, "deny": deny, "pin": pin}.items()}  # fmt: skip
    platform = Platform.parse("linux/amd64")

    def look(name: str) -> ImageFacts:
        raise SourceFault("not asked")

    both = RegoPolicies([policies["allow"], policies["deny"]])
    for _ in range(2):
        with pytest.raises(PolicyFault, match=r"a:latest\" not allowed by policy") as caught:
            both.image("a", platform, look)
        assert caught.value.messages == ('no "images"', "b")
    both.local("context")
    lines = list(said)
    both.local("context")
    assert said == lines
    assert "policy decision for source docker-image://docker.io/library/a:latest (linux/amd64): DENY" in lines
    assert ' - no "images"' in lines
    assert "policy decision for source local://context: ALLOW" in lines
    pinning = RegoPolicies([policies["pin"], policies["deny"]])
    assert pinning.image("a:1", platform, look) == f"docker.io/library/a:1@{SHA}"
    assert said[-1].endswith(f"convert to docker-image://docker.io/library/a:1@{SHA}")


class _Built:
    """An image whose provenance names another one."""

    identifier = shown = "docker-image://x"

    def input(self, needs: frozenset[str]) -> Input:
        materials = [Input(image=Image(ref="y")), Input()]
        provenance = Provenance(predicate_type="p", config_source=ConfigSource(), materials=materials)
        return Input(image=Image(ref="x", provenance=provenance if "image.provenance" in needs else None))


def test_what_a_material_does_not_say_is_an_error(asked: Asked) -> None:
    named = asked.policy(f'{HEAD}allow if input.image.provenance.materials[_].image.ref == "y"{DECISION}')
    assert named.decide(_Built()).allow
    looked = asked.policy(
        f"{HEAD}allow if not input.image.provenance.materials[_].image.labels.a{DECISION}".replace("_]", "0]")
    )
    with pytest.raises(PolicyFault, match=r"image\.provenance.materials\[0\].image.labels cannot be found out"):
        looked.decide(_Built())


@pytest.mark.parametrize("url", ["https://[x/f", "https://a]b/f", "https://\u2100/f"])
def test_what_is_no_url_is_not_allowed(asked: Asked, url: str) -> None:
    with pytest.raises(PolicyFault, match="failed to build policy input: invalid URL"):
        asked.policy('package docker\ndecision := {"allow": true}').decide(
            HttpSubject(HttpSource(url=url, name="f"), Looks())
        )
