"""The two small files of an OCI image layout (image-layout.md): their names, bytes and annotation keys."""

from __future__ import annotations

LAYOUT_FILE = "oci-layout"
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
INDEX_FILE = "index.json"
REF_NAME = "org.opencontainers.image.ref.name"
IMAGE_NAME = "io.containerd.image.name"
CREATED = "dev.lapstrake.created"
