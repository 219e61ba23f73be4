"""Trees: what names stand for that are no stage: images, asked for once each, named contexts, the build context."""

from __future__ import annotations

from collections.abc import Mapping

from builder.graph.gitref import redacted
from builder.graph.graph import GraphBuilder, Span, VertexInfo
from builder.graph.operation import Copy as CopyOperation
from builder.graph.operation import HttpSource, ImageSource, LocalSource, Selection
from builder.graph.program import ResolvedImage, Resolver
from builder.oci.platform import Platform
from builder.oci.reference import Reference
from cache.digest import Digest
from cache.errors import Fault
from frontends.dockerfile.gotext import quote
from frontends.dockerfile.options import LowerOptions
from frontends.dockerfile.stages import SCRATCH, Stage, Stages
from frontends.errors import LowerFault
from frontends.text import Lines, Source, did_you_mean

CONTEXT = "context"
_COMMON_IMAGES = ("alpine", "busybox", "centos", "debian", "golang", "ubuntu", "fedora")


class Trees:
    """made: the vertices of the stages that are lowered already, by index; it grows while this is used."""

    def __init__(
        self,
        source: Source,
        options: LowerOptions,
        resolve: Resolver,
        stages: Stages,
        graph: GraphBuilder,
        made: Mapping[int, Digest | None],
    ) -> None:
        self._source = source
        self._options = options
        self._resolve = resolve
        self._stages = stages
        self._graph = graph
        self._made = made
        self._images: dict[tuple[str, Platform], ResolvedImage] = {}

    def named(self, name: str, platform: Platform) -> str:
        """The named context that stands for an image, be it called by its own key or by the image's name."""
        return name if name in self._options.contexts else self._options.context(name, platform)

    def check(self, stage: Stage) -> None:
        """LowerFault where a stage, needed or not, stands on what is no name of an image."""
        platform = stage.platform or self._options.platform
        if stage.parent is None and not stage.context and not self.named(stage.base, platform):
            self._check_name(stage.base, stage.instruction.lines)

    def image(self, stage: Stage) -> ResolvedImage:
        platform = stage.platform or self._options.platform
        return self.resolved(stage.base, platform, stage.instruction.lines)

    def resolved(self, name: str, platform: Platform, lines: Lines) -> ResolvedImage:
        asked = self.named(name, platform) or name
        key = (asked, platform)
        if key not in self._images:
            if asked == name:
                self._check_name(name, lines)  # of COPY --from; a stage's is known to be one
            try:
                self._images[key] = self._resolve(asked, platform)
            except Fault as error:
                known = [*(stage.instruction.stage for stage in self._stages.stages), *_COMMON_IMAGES]
                nearest = did_you_mean(name, filter(None, known))
                raise LowerFault(
                    f"{name}: {error.message}{nearest}", error.hint, source=self._source, lines=lines
                ) from error
        return self._images[key]

    def _check_name(self, name: str, lines: Lines) -> None:
        try:
            Reference.parse(name)
        except Fault as error:
            reason = error.message.removesuffix(f': "{name}"')
            text = f"failed to parse stage name {quote(name)}: {reason}"
            raise LowerFault(text, error.hint, source=self._source, lines=lines) from None

    def tree(self, name: str, index: int | None, lines: Lines, late: str) -> Digest | None:
        """What COPY --from or a mount reads, None for an empty tree; see Shared.tree."""
        if not name:
            return self.files(CONTEXT)
        if index is not None:
            if index not in self._made:
                raise LowerFault(late, "move that stage up")
            return self._made[index]
        if self.is_files(self._options.context(name)):
            return self.files(self._options.context(name))
        if name == SCRATCH:
            return None
        image = self.resolved(name, self._options.platform, lines)
        return self.image_vertex(image, f"FROM {image.name}", lines)

    def is_files(self, context: str) -> bool:
        """Whether a named context is files, and no image."""
        return self._options.contexts.get(context) in ("local", "remote")

    def files(self, name: str) -> Digest:
        remote = self._options.sources.get(name)
        if remote is not None:
            shown = remote.url if isinstance(remote, HttpSource) else remote.remote
            label = "[internal] load" if name == CONTEXT else f"[context {name}]"
            source = self._graph.add(remote, (), VertexInfo(f"{label} {redacted(shown)}"))
            if name != CONTEXT or not self._options.archive or not isinstance(remote, HttpSource):
                return source
            selection = Selection(input=0, path=f"/{remote.name}", unpack=True)
            unpacked = CopyOperation(sources=(selection,), dest="/", rooted=False)
            return self._graph.add(unpacked, (source,), VertexInfo("[internal] unpack build context"))
        shown = "[internal] load build context" if name == CONTEXT else f"[context {name}] load from client"
        return self._graph.add(LocalSource(name=name), (), VertexInfo(shown))

    def image_vertex(self, image: ResolvedImage, shown: str, lines: Lines) -> Digest | None:
        if not image.config.diff_ids:
            return None
        operation = ImageSource(manifest=image.manifest, diff_ids=image.config.diff_ids)
        info = VertexInfo(shown, Span(self._source.name, lines.first, lines.last))
        return self._graph.add(operation, (), info)
