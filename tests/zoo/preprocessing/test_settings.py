"""Settings from what a net carries and what the user says."""

from __future__ import annotations

import pytest

from zoo.errors import UsageError
from zoo.preprocessing.settings import Preprocessing, carried_settings, settings

DATA_LAYER = {
    "framework": "caffe",
    "layer": "data",
    "channel_order": "BGR",
    "resize": None,
    "crop": 227,
    "mean": [104.0, 117.0, 123.0],
    "mean_file": None,
    "scale": 0.5,
}


def test_a_definition_leaves_only_the_flavour_open():
    carried = carried_settings(DATA_LAYER)
    with pytest.raises(UsageError, match="give --flavour\n"):
        settings({}, carried)
    assert settings({"flavour": "caffe-warp256"}, carried) == Preprocessing(
        flavour="caffe-warp256", crop=227, mean=[104, 117, 123], scale=0.5
    )


def test_an_image_data_layer_that_resizes_to_a_square_tells_the_flavour_too():
    carried = carried_settings({**DATA_LAYER, "resize": [256, 256]})
    assert settings({}, carried).flavour == "caffe-warp256"
    with pytest.raises(UsageError, match="give --flavour"):
        settings({}, carried_settings({**DATA_LAYER, "resize": [256, 340]}))


def test_a_mean_file_asks_for_a_mean_image():
    carried = carried_settings({**DATA_LAYER, "mean": None, "mean_file": "imagenet_mean.binaryproto"})
    assert settings({"flavour": "caffe-warp256"}, carried).mean_image


def test_an_embedded_manifest_table_is_taken_whole():
    table = Preprocessing(flavour="torch7-bicubic256", crop=224, mean=[0.5], std=[0.25]).model_dump()
    assert settings({}, carried_settings(table)).model_dump() == table


def test_what_the_user_says_comes_first():
    carried = carried_settings({**DATA_LAYER, "mean": None, "mean_file": "m"})
    chosen = settings({"flavour": "caffe-warp36", "crop": 32, "mean": [1.0], "scale": None}, carried)
    assert chosen == Preprocessing(flavour="caffe-warp36", crop=32, mean=[1.0], scale=0.5)
    image = settings({"flavour": "caffe-warp256", "mean_image": True}, carried_settings(DATA_LAYER))
    assert (image.mean, image.mean_image) == (None, True)


def test_nothing_known_names_the_options():
    with pytest.raises(UsageError, match=r"give --flavour and --crop\n.*--mean 104,117,123"):
        settings({}, carried_settings(None))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"flavour": "caffe-warp256", "crop": 0}, "--crop: .*greater than 0, came 0"),
        ({"flavour": "Caffe Warp", "crop": 1}, "--flavour: .*came 'Caffe Warp'"),
    ],
)
def test_bad_values_name_their_option(given, message):
    with pytest.raises(UsageError, match=message):
        settings(given, {})
