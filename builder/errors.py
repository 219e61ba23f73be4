"""Errors of the builder.

cache.errors.Fault
└── BuildFault               building, images, sandbox
    ├── SourceFault          context, base image, URL: what a build reads
    │   └── PolicyFault      a policy forbids a source, or cannot be evaluated
    ├── LayerFault           a tar or a tree that is not what a layer may be
    ├── SandboxFault         the kernel or the machine did not give what a step needs
    ├── StepFault            a command of the Dockerfile failed (carries its vertex and the exit code)
    ├── ImageFault           an image name, config or manifest
    ├── OutputFault          where the result should go
    │   └── PartMissing      an image of an index that is to be written there is not here
    ├── RegistryFault        a registry refused, or gave what it should not
    │   ├── NotThere         it does not have that image, tag or blob
    │   ├── Denied           it wants other credentials, or any
    │   └── RateLimited      it was asked too often
    ├── TransportFault       a request over the network
    │   ├── Unreachable      no connection: the name, the address or the proxy
    │   ├── Untrusted        no secure connection: certificate or protocol
    │   ├── TimedOut         no answer, or no more of it, in time
    │   ├── Interrupted      the connection ended, or spoke no HTTP, in the middle
    │   └── BadRedirect      too many redirects, or one that leads nowhere
    ├── LostResult           what an imported cache promised cannot be had; the step can be run
    ├── SignatureFault       a signature or a key cannot be read
    │   ├── NotVerified      what is signed was not signed so, or not by who may
    │   └── MissingLibrary   an optional package that could tell is not installed
    ├── TemplateFault        a template given with --format
    ├── ConfigFault          the configuration file
    └── Canceled             Ctrl-C, or another step failed first (exit code 130)
"""

from __future__ import annotations

from cache.digest import Digest
from cache.errors import Fault


class BuildFault(Fault):
    """Base class of what goes wrong in a build."""


class SourceFault(BuildFault):
    """A context, base image or archive cannot be read, or does not hold what was asked for."""


class PolicyFault(SourceFault):
    """A policy forbids a source, or cannot be read or evaluated. messages: what it says of that."""

    def __init__(self, message: str, hint: str = "", messages: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint)
        self.messages = messages


class LayerFault(BuildFault):
    """A layer or archive is malformed, or tries to leave its root."""


class GrowthFault(LayerFault):
    """Compressed data grows beyond what may be unpacked."""


class SandboxFault(BuildFault):
    """A step could not be started: namespaces, mounts, user lookup, missing program."""


class ImageFault(BuildFault):
    """An image, or its name, is not there or not valid."""


class OutputFault(BuildFault):
    """An output cannot be written."""


class PartMissing(OutputFault):
    """An index is here without one of its images."""


class RegistryFault(BuildFault):
    """A registry's answer is an error, or is not what was asked for."""


class NotThere(RegistryFault):
    """A registry does not have it."""


class Denied(RegistryFault):
    """A registry does not let us."""


class RateLimited(RegistryFault):
    """A registry answers no more for now."""


class TransportFault(BuildFault):
    """A request could not be sent, or its answer not be read."""


class Unreachable(TransportFault):
    """No connection to a host."""


class Untrusted(TransportFault):
    """A host did not prove who it is, or would not speak TLS."""


class TimedOut(TransportFault):
    """A host took too long."""


class Interrupted(TransportFault):
    """A connection ended before the answer did."""


class BadRedirect(TransportFault):
    """A redirect that is not followed."""


class LostResult(BuildFault):
    """A layer that a shared cache named is damaged or gone. It is not offered again, so a second try runs the step."""


class SignatureFault(BuildFault):
    """A signature, or what it is checked by, is malformed or of a kind that is not accepted."""


class NotVerified(SignatureFault):
    """A signature that was read does not prove what it should."""


class MissingLibrary(SignatureFault):
    """A signature cannot be checked here: what checks it is an optional package. Nothing is accepted then."""


class TemplateFault(BuildFault):
    """A template cannot be read, or not be applied to what there is."""


class ConfigFault(BuildFault):
    """The configuration file cannot be read; the message names it and the line."""


class StepFault(BuildFault):
    """An operation failed. vertex names it; exit_status is the command's own status, or None."""

    def __init__(self, message: str, vertex: Digest, *, exit_status: int | None = None, hint: str = "") -> None:
        super().__init__(message, hint)
        self.vertex = vertex
        self.exit_status = exit_status


class Canceled(BuildFault):
    """The build was told to stop."""

    exit_code = 130
