"""Names of layers and blobs as Python identifiers."""

from __future__ import annotations

import pytest

from converters.to_pytorch.naming import Names, class_name, identifier


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("fire2/squeeze1x1", "fire2_squeeze1x1"),
        ("a.b-c", "a_b_c"),
        ("1", "layer_1"),
        ("__x__", "x"),
        ("", "unnamed"),
    ],
)
def test_identifier(name, wanted):
    assert identifier(name) == wanted


def test_names_are_given_once():
    names = Names(["taken"])
    assert [names.unique(n) for n in ("a/b", "a_b", "taken", "for", "max", "self", "input")] == [
        "a_b", "a_b_2", "taken_2", "for_", "max_", "self_", "input",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("AlexNet", "AlexNet"),
        ("VGG_ILSVRC_16_layers", "VGGILSVRC16Layers"),
        ("net", "Net"),
        ("", "Net"),
        ("16", "Net16"),
        ("F", "NetF"),
    ],
)
def test_class_name(name, wanted):
    assert class_name(name) == wanted
