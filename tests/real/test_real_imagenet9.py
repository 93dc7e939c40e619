"""The categories of ImageNet-9 are those of the published table."""

import json

from bvg.data.imagenet import imagenet_classes
from bvg.data.imagenet9 import category_of_class


def test_every_class_has_its_published_category(fixtures):
    path = fixtures / "published" / "external" / "in_to_in9.json"
    published = {int(index): category for index, category in json.loads(path.read_text()).items()}
    assert len(published) == 1000
    assert dict(enumerate(category_of_class(imagenet_classes()))) == published
