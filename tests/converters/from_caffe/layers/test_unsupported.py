"""Known layer types that are not converted say why; unknown types name similar ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from reference_nets import layer, write_net

import converters
from converters.from_caffe.inputs import DATA_LAYERS
from converters.from_caffe.layers import layer_types
from converters.from_caffe.layers.dropped import DROPPED
from converters.from_caffe.layers.unsupported import UNSUPPORTED


@pytest.mark.parametrize("kind", UNSUPPORTED)
def test_a_known_type_is_refused_with_its_reason(tmp_path: Path, kind: str) -> None:
    with pytest.raises(converters.UnsupportedError) as caught:
        converters.load(*write_net(tmp_path, layer(kind, "x", "y", name="l"), {"x": (1, 2, 3, 4)}))
    assert str(caught.value).endswith(f"layer 'l' ({kind}): {UNSUPPORTED[kind]}")


def test_an_unknown_type_names_similar_ones(tmp_path: Path) -> None:
    with pytest.raises(converters.UnsupportedError, match="closest known types are ROIPooling"):
        converters.load(*write_net(tmp_path, layer("ROIPoolings", "x", "y"), {"x": (1, 2, 3, 4)}))


def test_what_is_refused_is_nowhere_else() -> None:
    elsewhere = layer_types().keys() | DROPPED | DATA_LAYERS.keys()
    assert not UNSUPPORTED.keys() & elsewhere
