from __future__ import annotations

import gzip

import pytest
import zstandard

from builder.errors import LayerFault
from builder.export.recompress import IndexVariants, recompress
from builder.layer.codec import codec
from builder.layer.layer import Layer
from builder.oci.descriptor import OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, Descriptor
from cache.digest import Digest

PLAIN = b"".join(b"%d some text that shrinks\n" % n for n in range(100_000))


@pytest.fixture
def layer(store):
    digest, size = store.blobs.put(gzip.compress(PLAIN, 1))
    return Layer(Digest.of(PLAIN), Descriptor(OCI_LAYER_GZIP, digest, size))


@pytest.fixture
def variants(store):
    return IndexVariants(store.index)


@pytest.mark.parametrize(
    ("name", "media", "back"),
    [
        ("uncompressed", OCI_LAYER, bytes),
        ("zstd", OCI_LAYER_ZSTD, lambda d: zstandard.ZstdDecompressor().decompressobj().decompress(d)),
    ],
)
def test_another_form_of_the_same_layer(store, layer, variants, name, media, back):
    made = recompress(layer, codec(name), store.blobs, variants)
    assert made.diff_id == layer.diff_id
    assert made.blob.media_type == media
    assert back(store.blobs.read(made.blob.digest)) == PLAIN


def test_the_same_form_is_left_alone_unless_it_must_be_exact(store, layer, variants):
    assert recompress(layer, codec("gzip"), store.blobs, variants) is layer
    made = recompress(layer, codec("gzip", 9), store.blobs, variants, exact=True)
    assert made.blob.digest != layer.blob.digest
    assert gzip.decompress(store.blobs.read(made.blob.digest)) == PLAIN


def test_a_known_variant_is_used_again(store, layer, variants):
    made = recompress(layer, codec("zstd"), store.blobs, variants)
    store.blobs.delete(layer.blob.digest)
    assert recompress(layer, codec("zstd"), store.blobs, variants) == made


def test_a_variant_that_is_gone_is_made_again(store, layer, variants):
    made = recompress(layer, codec("zstd"), store.blobs, variants)
    store.blobs.delete(made.blob.digest)
    assert recompress(layer, codec("zstd"), store.blobs, variants) == made
    assert store.blobs.has(made.blob.digest)


def test_a_layer_that_lies_about_its_diff_id(store, layer, variants):
    with pytest.raises(LayerFault, match="damaged"):
        recompress(Layer(Digest.of(b"x"), layer.blob), codec("zstd"), store.blobs, variants)
    assert store.blobs.digests() == [layer.blob.digest]
