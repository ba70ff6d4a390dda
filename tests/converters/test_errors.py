"""Messages stay readable whatever a file calls its things: each name is shortened, in one place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from caffemodel_writer import write_caffemodel
from torch7_cases import T7Writer

import converters
from converters.errors import MAX_MESSAGE, MAX_QUOTED, shortened

LONG = "x" * 100_000
SPACED = "a name " * 20_000
INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 } } }'


def layer(name: str = "l", kind: str = "ReLU", bottom: str = "data", top: str = "y", more: str = "") -> str:
    return f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{top}" {more} }}'


INNER_PRODUCT = "inner_product_param { num_output: 2 }"


@pytest.mark.parametrize("name", [LONG, SPACED, "quote\\'s " * 9_000], ids=["long", "spaced", "quotes"])
@pytest.mark.parametrize(
    "net",
    [
        lambda name: layer(name=name, kind="Strange"),
        lambda name: layer(kind=name),
        lambda name: layer(bottom=name),
        lambda name: layer(top=name) + layer(name="m", top=name),
        lambda name: layer(name=name, kind="InnerProduct", more=INNER_PRODUCT),
        lambda name: layer(more=f'include {{ stage: "{name}" }}') + layer(name="m", bottom="y", top="z"),
        lambda name: layer(kind="InnerProduct", more=f'{INNER_PRODUCT} param {{ name: "{name}" }}'),
    ],
    ids=["layer", "type", "bottom", "top", "no weights", "stage", "parameter"],
)
def test_no_message_quotes_more_of_a_definition_than_a_line(net, name: str, tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(INPUT + net(name))
    with pytest.raises(converters.ConverterError) as caught:
        converters.load(path)
    assert_short(str(caught.value), name)


def assert_short(message: str, name: str) -> None:
    assert len(message) <= MAX_MESSAGE
    assert name[: MAX_QUOTED + 1] not in message


@pytest.mark.parametrize("field", [LONG, "y" * 250])
def test_field_names(field: str, tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(INPUT + layer(more=f"{field}: 1"))
    with pytest.raises(converters.UnsupportedError, match="unknown field") as caught:
        converters.load(path)
    assert_short(str(caught.value), field)


def test_names_of_stored_layers(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(INPUT + layer(kind="InnerProduct", more=INNER_PRODUCT))
    weights = write_caffemodel(tmp_path / "net.caffemodel", {LONG: [np.ones((1, 1))]})
    with pytest.raises(converters.MismatchError) as caught:
        converters.load(path, weights)
    assert_short(str(caught.value), LONG)


@pytest.mark.parametrize(
    "value",
    [
        (LONG, {}),
        {LONG: ("nn.Tanh", {}), LONG + "2": ("nn.Tanh", {})},
        {LONG: 1.0},
        LONG,
        ("nn.Sequential", {"modules": LONG}),
        ("nn.Linear", {"weight": LONG}),
    ],
    ids=["class", "networks", "key", "string", "field", "tensor"],
)
def test_names_in_torch7_files(value: object, tmp_path: Path) -> None:
    path = tmp_path / "net.t7"
    path.write_bytes(T7Writer().file(value))
    with pytest.raises(converters.ConverterError) as caught:
        converters.load(path)
    assert_short(str(caught.value), LONG)


def test_what_is_short_stays_as_it_is() -> None:
    text = (
        "layer 'conv1' (Convolution): Caffe's own check: 'a b' is not "
        + "the size that the layer needs, " * 9
    )
    assert shortened(text) == text


def test_the_path_of_a_file_that_exists_is_never_shortened(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 150) / ("e" * 150)
    folder.mkdir(parents=True)
    path = folder / "net.prototxt"
    path.write_text(INPUT + layer(more=f"{LONG}: 1"))
    with pytest.raises(converters.UnsupportedError) as caught:
        converters.load(path)
    assert str(path) in str(caught.value)


def test_begin_and_end_of_a_long_name_are_kept() -> None:
    said = shortened(f"layer {'first' + LONG + 'last'!r}: bad")
    assert said.startswith("layer 'firstxxx")
    assert said.endswith("xxxlast': bad")
    assert len(said) < MAX_QUOTED + 20
