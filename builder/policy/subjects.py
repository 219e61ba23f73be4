"""Subjects: what a policy is asked about, each a source with its name, and with its input as far as that is wanted."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import msgspec

from builder.errors import PolicyFault
from builder.graph.gitref import redacted
from builder.graph.operation import GitSource, HttpSource
from builder.oci.platform import Platform
from builder.oci.reference import Reference
from builder.policy.facts import GitFacts, ImageFacts, RemoteLook
from builder.policy.input import Env, Git, Http, Image, Input, Local
from builder.policy.log import Log, quiet
from builder.policy.needs import ATTESTATIONS, CONFIG, DIGEST, OBJECTS, PROVENANCE, REF
from builder.policy.signatures.gitinput import commit_input, proved, tag_input
from builder.policy.signatures.material import Material
from builder.policy.signatures.trustroot import TrustRoot

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")


class Subject(Protocol):
    """identifier: as BuildKit names the source. shown: with the platform, where that counts."""

    @property
    def identifier(self) -> str: ...

    @property
    def shown(self) -> str: ...

    def input(self, needs: frozenset[str]) -> Input:
        """Without the build's part. needs: of builder.policy.needs; nothing else is asked of anyone."""


class LocalSubject(msgspec.Struct, frozen=True):
    name: str

    @property
    def identifier(self) -> str:
        return f"local://{self.name}"

    @property
    def shown(self) -> str:
        return self.identifier

    def input(self, needs: frozenset[str]) -> Input:
        return Input(local=Local(self.name))


class ImageSubject(msgspec.Struct, frozen=True):
    """look: finds the image of this name for the platform. trust: whom signatures of Sigstore are checked by."""

    reference: Reference
    platform: Platform
    look: Callable[[], ImageFacts]
    trust: Callable[[], TrustRoot] = TrustRoot
    log: Log = quiet

    @property
    def identifier(self) -> str:
        return f"docker-image://{self.reference}"

    @property
    def shown(self) -> str:
        return f"{self.identifier} ({self.platform})"

    def input(self, needs: frozenset[str]) -> Input:
        reference, platform = self.reference, self.platform
        image = Image(
            ref=str(reference),
            host=reference.registry,
            repo=reference.familiar_name,
            full_repo=f"{reference.registry}/{reference.repository}",
            tag=reference.tag,
            platform=str(platform),
            os=platform.os,
            arch=platform.architecture,
            variant=platform.variant,
            is_canonical=reference.digest is not None,
            checksum=str(reference.digest or ""),
        )
        attested = needs & {ATTESTATIONS, PROVENANCE}
        if attested or CONFIG in needs or (DIGEST in needs and reference.digest is None):
            facts = self.look()
            image = _with_config(image, facts)
            if attested:
                from builder.policy.attestedimage import with_attestations

                trust = self.trust if ATTESTATIONS in needs else None
                image = with_attestations(image, platform, facts, trust, _material, self.log)
        return Input(image=image)


def _material(material: Material, platform: Platform) -> Input:
    """What the name of a material says of it; nothing is asked of anyone."""
    from builder.policy.attestedimage import source_of

    source = source_of(material)
    subject: Subject
    if isinstance(source, Reference):
        subject = ImageSubject(source, material.platform or platform, _no_facts)
    elif isinstance(source, HttpSource):
        subject = HttpSubject(source, _NoFacts())
    elif isinstance(source, GitSource):
        subject = GitSubject(source, material.source, _NoFacts())
    else:
        return Input()
    return msgspec.structs.replace(subject.input(frozenset()), env=Env(depth=1))


class HttpSubject(msgspec.Struct, frozen=True):
    source: HttpSource
    look: RemoteLook

    @property
    def identifier(self) -> str:
        return redacted(self.source.url)

    @property
    def shown(self) -> str:
        """Without a query, which may be a signature."""
        url, mark, _ = self.identifier.partition("?")
        return url + ("?…" if mark else "")

    def input(self, needs: frozenset[str]) -> Input:
        try:
            parts = urllib.parse.urlsplit(self.source.url)
        except ValueError as error:
            raise PolicyFault(f"failed to build policy input: invalid URL {self.shown}: {error}") from None
        http = Http(
            url=self.source.url,
            schema=parts.scheme,
            host=parts.netloc.rpartition("@")[2],
            path=urllib.parse.unquote(parts.path),
            query=urllib.parse.parse_qs(parts.query, keep_blank_values=True),
            checksum=self.look.checksum(self.source) if "http.checksum" in needs else "",
        )
        return Input(http=http)


class GitSubject(msgspec.Struct, frozen=True):
    """identifier: `git://host/path#ref:folder`."""

    source: GitSource
    identifier: str
    look: RemoteLook

    @property
    def shown(self) -> str:
        return self.identifier

    def input(self, needs: frozenset[str]) -> Input:
        source = self.source
        git = _named(source)
        exact = git.is_commit_ref or not needs & {REF, OBJECTS}
        if OBJECTS in needs or not exact:
            git = _with_facts(git, self.look.facts(source, OBJECTS in needs))
        if OBJECTS in needs:
            git = _with_objects(git, self.facts())
        return Input(git=msgspec.structs.replace(git, is_sha256=len(git.checksum) == 64))

    def facts(self) -> GitFacts:
        """With the bytes of the commit, and of a tag that leads to it."""
        return self.look.facts(self.source, True)


class _NoFacts:
    """Of a material."""

    def checksum(self, source: HttpSource) -> str:
        raise PolicyFault(f"{redacted(source.url)}: nothing is asked about a material")

    def content(self, source: HttpSource) -> str:
        raise PolicyFault(f"{redacted(source.url)}: nothing is asked about a material")

    def facts(self, source: GitSource, objects: bool) -> GitFacts:
        raise PolicyFault(f"{redacted(source.remote)}: nothing is asked about a material")


def _no_facts() -> ImageFacts:
    raise PolicyFault("nothing is asked about a material")


def _named(source: GitSource) -> Git:
    """What the reference itself says."""
    scheme, separator, rest = source.remote.partition("://")
    host = rest.partition("/")[0] if separator else source.remote.partition(":")[0]
    ref = source.ref
    known = ref.startswith(("refs/tags/", "refs/heads/")) or _COMMIT.match(ref) is not None
    commit = ref if _COMMIT.match(ref) else ""
    return Git(
        schema=scheme if separator else "ssh",
        host=host.rpartition("@")[2],
        remote=source.remote,
        full_url=source.remote,
        tag_name=ref.removeprefix("refs/tags/") if ref.startswith("refs/tags/") else "",
        branch=ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else "",
        ref=ref if known else "",
        subdir=source.subdir if source.subdir not in (".", "/") else "",
        is_commit_ref=bool(commit),
        checksum=commit,
        commit_checksum=commit,
    )


def _with_facts(git: Git, facts: GitFacts) -> Git:
    return msgspec.structs.replace(
        git,
        ref=facts.ref,
        tag_name=facts.ref.removeprefix("refs/tags/") if facts.ref.startswith("refs/tags/") else "",
        branch=facts.ref.removeprefix("refs/heads/") if facts.ref.startswith("refs/heads/") else "",
        checksum=facts.checksum,
        commit_checksum=facts.commit,
        is_annotated_tag=facts.checksum != facts.commit,
    )


def _with_objects(git: Git, facts: GitFacts) -> Git:
    commit = commit_input(proved(facts.commit_object, facts.commit, "commit"))
    tag = tag_input(proved(facts.tag_object, facts.checksum, "tag")) if facts.tag_object else None
    return msgspec.structs.replace(git, commit=commit, tag=tag)


class _Config(msgspec.Struct, frozen=True):
    env: list[str] | None = msgspec.field(default=None, name="Env")
    labels: dict[str, str] | None = msgspec.field(default=None, name="Labels")
    user: str = msgspec.field(default="", name="User")
    volumes: dict[str, msgspec.Raw] | None = msgspec.field(default=None, name="Volumes")
    working_dir: str = msgspec.field(default="", name="WorkingDir")


class _ImageConfig(msgspec.Struct, frozen=True):
    created: str | None = None
    config: _Config | None = None


def _with_config(image: Image, facts: ImageFacts) -> Image:
    try:
        read = msgspec.json.decode(facts.config, type=_ImageConfig)
    except msgspec.DecodeError as error:
        raise PolicyFault(f"{image.ref}: failed to unmarshal image config: {error}") from None
    config = read.config or _Config()
    return msgspec.structs.replace(
        image,
        checksum=facts.digest,
        created_time=_seconds(read.created or ""),
        env=config.env or [],
        labels=config.labels or {},
        user=config.user,
        volumes=sorted(config.volumes or {}),
        working_dir=config.working_dir,
    )


def _seconds(text: str) -> str:
    """An RFC 3339 time without fractions of a second, as Go's time.RFC3339 prints it."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return ""
    return when.isoformat(timespec="seconds").replace("+00:00", "Z")
