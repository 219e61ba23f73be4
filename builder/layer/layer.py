"""Layer: one diff of an image, by both of its names (OCI config.md#layer-diffid, layer.md)."""

import msgspec

from builder.oci.descriptor import Descriptor
from cache.digest import Digest


class Layer(msgspec.Struct, frozen=True):
    """diff_id: sha256 of the uncompressed tar, the layer's identity. blob: the stored, usually compressed, form."""

    diff_id: Digest
    blob: Descriptor
