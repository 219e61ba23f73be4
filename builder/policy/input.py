"""Input: what a policy sees of a source, with the names that buildx gives its fields (policy/types.go).

A struct is the JSON object of its name; what is empty is left out. docs/policy.md lists the fields.
"""

from __future__ import annotations

import msgspec

from builder.policy.signatures.attestationsignature import AttestationSignature
from builder.policy.signatures.gitinput import Commit, Tag
from builder.policy.signatures.provenance import ImageProvenance


class Env(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Of the build. args: of --build-arg. filename: of the Dockerfile. depth: of a material of a material, from 0."""

    depth: int | None = None
    args: dict[str, str] = {}
    labels: dict[str, str] = {}
    filename: str = ""
    target: str = ""
    caps_request: bool = msgspec.field(default=False, name="capsRequest")


class Local(msgspec.Struct, frozen=True, omit_defaults=True):
    """A folder of the client: context, dockerfile, or a named context's name."""

    name: str = ""


class Http(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """checksum: `sha256:<hex>` of what the URL gives."""

    url: str = ""
    schema: str = ""
    host: str = ""
    path: str = ""
    query: dict[str, list[str]] = {}
    has_auth: bool = msgspec.field(default=False, name="hasAuth")
    checksum: str = ""


class Git(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """checksum: of what the ref names, a tag's object or a commit; commitChecksum: of the commit."""

    schema: str = ""
    host: str = ""
    remote: str = ""
    full_url: str = msgspec.field(default="", name="fullURL")
    tag_name: str = msgspec.field(default="", name="tagName")
    branch: str = ""
    ref: str = ""
    subdir: str = msgspec.field(default="", name="subDir")
    is_commit_ref: bool = msgspec.field(default=False, name="isCommitRef")
    is_sha256: bool = msgspec.field(default=False, name="isSHA256")
    checksum: str = ""
    commit_checksum: str = msgspec.field(default="", name="commitChecksum")
    is_annotated_tag: bool = msgspec.field(default=False, name="isAnnotatedTag")
    tag: Tag | None = None
    commit: Commit | None = None


class Provenance(ImageProvenance, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """materials: what the build read, an empty object for what is no source."""

    materials: list[Input] = msgspec.field(default_factory=list)


class Image(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """checksum: of what the name stands for, an index or a manifest. What follows it is of the platform's config."""

    ref: str = ""
    host: str = ""
    repo: str = ""
    full_repo: str = msgspec.field(default="", name="fullRepo")
    tag: str = ""
    platform: str = ""
    os: str = ""
    arch: str = ""
    variant: str = ""
    is_canonical: bool = msgspec.field(default=False, name="isCanonical")
    checksum: str = ""
    created_time: str = msgspec.field(default="", name="createdTime")
    env: list[str] = []
    labels: dict[str, str] = {}
    user: str = ""
    volumes: list[str] = []
    working_dir: str = msgspec.field(default="", name="workingDir")
    has_provenance: bool = msgspec.field(default=False, name="hasProvenance")
    provenance: Provenance | None = None
    signatures: list[AttestationSignature] = []


class Input(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One of the four kinds of source, or none where the policy is asked what the build may have (env.capsRequest)."""

    env: Env | None = None
    local: Local | None = None
    image: Image | None = None
    http: Http | None = None
    git: Git | None = None
