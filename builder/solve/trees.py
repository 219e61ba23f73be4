"""Trees: stacks of layers as something to look at (a view) or to run in (a draft), made on disk only when that is asked."""

from __future__ import annotations

from builder.layer import whiteout
from builder.layer.layer import Layer
from builder.layer.plain import open_plain
from builder.layer.tarread import TarReader
from builder.layer.tree import Tree
from builder.snapshot.snapshots import Draft, Folder, Snapshots
from builder.solve.stratum import Stratum
from cache.blobs import BlobStore
from cache.digest import Digest
from cache.errors import DigestMismatch, Fault
