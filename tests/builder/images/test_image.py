from __future__ import annotations

import json

import pytest

from builder.errors import ImageFault
from builder.images.image import assemble, parse
from builder.oci.manifest import read_manifest


def test_an_assembled_image_reads_back_as_itself(make_image):
    image = make_image({"a": b"1"}, {"b": b"2"})
    assert parse(image.manifest_raw, image.config_raw, image.descriptor) == image
    assert [str(layer.diff_id) for layer in image.layers] == json.loads(image.config_raw)["rootfs"]["diff_ids"]
    assert image.size == len(image.manifest_raw) + len(image.config_raw) + sum(x.size for x in image.manifest.layers)


def test_the_bytes_depend_on_the_content_alone(make_image):
    image = make_image({"a": b"1"})
    again = assemble(image.config, image.layers)
    assert again.manifest_raw == image.manifest_raw
    assert again.config_raw == image.config_raw


def test_annotations_stand_in_the_manifest(make_image):
    image = make_image()
    noted = assemble(image.config, image.layers, {"k": "v"})
    assert read_manifest(noted.manifest_raw).annotations == {"k": "v"}


def test_a_config_that_names_other_layers_is_refused(make_image):
    one, two = make_image({"a": b"1"}), make_image({"a": b"1"}, {"b": b"2"})
    with pytest.raises(ImageFault, match="1 layers, its config names 2"):
        parse(one.manifest_raw, two.config_raw, one.descriptor)
