"""SourceRules: what says which sources a build may use: rules in JSON, and policies in Rego."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from builder.errors import SourceFault
from builder.graph.operation import GitSource, RemoteSource
from builder.oci.platform import Platform
from builder.source.policy import SourcePolicy, git_identifier

if TYPE_CHECKING:
    from builder.policy.facts import ImageLook, RemoteLook
    from builder.policy.regopolicies import RegoPolicies

T = TypeVar("T")
_MOST_CHANGES = 10


class SourceRules:
    """Safe for many threads. json is asked first, then rego.

    After each change both are asked anew, as in BuildKit's solver/llbsolver/policy.go.
    """

    def __init__(self, json: SourcePolicy | None = None, rego: RegoPolicies | None = None) -> None:
        self.json = json if json is not None else SourcePolicy()
        self.rego = rego
        self.proxied = False  # whether RUN steps are to have a proxy as their network

    def cancel(self) -> None:
        """A question that is being answered fails with Canceled, and so do all others."""
        if self.rego is not None:
            self.rego.cancel()

    def image(self, name: str, platform: Platform, look: ImageLook) -> str:
        """The name of the image that is used for this one. Raises SourceFault where that is denied."""
        rego = self.rego
        if rego is None:
            return self.json.image(name)
        return _settled(name, lambda given: rego.image(self.json.image(given), platform, look))

    def remote(self, source: RemoteSource, look: RemoteLook) -> RemoteSource:
        """The source that is used for this one. Raises SourceFault where that is denied."""
        source = self.json.remote(source)
        if self.rego is not None:
            self.rego.remote(source, look, git_identifier(source) if isinstance(source, GitSource) else source.url)
        return source

    def local(self, name: str) -> None:
        """Whether a folder of the client may be read. Raises SourceFault."""
        self.json.local(name)
        if self.rego is not None:
            self.rego.local(name)

    def archive(self, kind: str, name: str) -> None:
        """An image in a file of the client, of which a policy in Rego knows nothing. Raises SourceFault."""
        self.json.archive(kind, name)
        if self.rego is not None:
            raise SourceFault(
                f"failed to build policy input: unsupported source scheme: {kind}",
                f"--build-context {name}={kind}://… cannot be used with a policy in Rego: --policy disabled=true",
            )


def _settled(given: T, used: Callable[[T], T]) -> T:
    for _ in range(_MOST_CHANGES):
        found = used(given)
        if found == given:
            return given
        given = found
    raise SourceFault("too many policy requests")
