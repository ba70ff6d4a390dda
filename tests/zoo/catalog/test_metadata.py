"""The metadata of a converted net."""

from __future__ import annotations

import pytest

from zoo.catalog.catalog import Catalog
from zoo.catalog.metadata import metadata_of


@pytest.mark.parametrize(
    ("name", "count", "first", "last"),
    [("digits-torch7-dsd", 10, "0", "9"), ("resnet18-dsd", 1000, "tench", "toilet tissue")],
)
def test_labels_are_the_names_of_the_classes_in_the_order_of_the_outputs(name, count, first, last):
    labels = metadata_of(Catalog.load().get(name))["labels"]
    assert (len(labels), labels[0], labels[-1]) == (count, first, last)
