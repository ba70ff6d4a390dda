"""A net converted at its stated size says so where its layers take any size, and what a placeholder is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from corpus_cases import CORPUS, run_onnx

import converters

INPUT = 'input: "data" input_shape {{ dim: 1 dim: 3 dim: {0} dim: {0} }}\n'
FILLER = 'weight_filler { type: "constant" value: 0.5 }'
CONV = (
    'layer {{ name: "{0}" type: "Convolution" bottom: "{1}" top: "{0}" '
    "convolution_param {{ num_output: 2 kernel_size: {2} pad: {3} "
    + FILLER.replace("{", "{{").replace("}", "}}")
    + " }} }}\n"
)
CROP = 'layer { name: "score" type: "Crop" bottom: "c" bottom: "data" top: "score" }\n'
FIXED = "height and width are fixed at {0}x{0}; --input-shape data=N,3,H,W leaves them open"


def notes(folder: Path, text: str, **options: object) -> list[str]:
    (folder / "net.prototxt").write_text(text)
    report = converters.convert([folder / "net.prototxt"], folder / "net.onnx", **options)  # type: ignore[arg-type]
    return report.notes


def test_a_net_that_takes_any_size_says_that_its_size_is_fixed(tmp_path: Path) -> None:
    text = INPUT.format(20) + CONV.format("c", "data", 3, 1)
    assert notes(tmp_path, text) == [FIXED.format(20)]
    assert notes(tmp_path, text, input_shapes={"data": ("N", 3, "H", "W")}) == []
    image = np.ones((2, 3, 5, 9), np.float32)
    assert run_onnx(tmp_path / "net.onnx", {"data": image})["c"].shape == (2, 2, 5, 9)


@pytest.mark.parametrize(
    ("size", "layers", "why"),
    [
        (12, CONV.format("c", "data", 12, 0), "at this size each output has one position"),
        (1, CONV.format("c", "data", 3, 1), "no image is of this size"),
        (40, CONV.format("c", "data", 3, 10) + CROP, "the net crops to the size of its input"),
    ],
)
def test_a_placeholder_is_recognised_and_the_choice_explained(
    tmp_path: Path, size: int, layers: str, why: str
) -> None:
    (note,) = notes(tmp_path, INPUT.format(size) + layers)
    assert note.startswith(FIXED.format(size) + f". {size}x{size} is likely a placeholder: {why}")
    assert note.endswith("It is kept because the definition states it")


def test_a_net_that_takes_one_size_only_says_nothing(tmp_path: Path) -> None:
    """With open sizes alone the product would be taken to fit: it asks for 2 x 20 x 20 values."""
    case = CORPUS / "caffe" / "arch-vgg"
    report = converters.convert([case / "net.prototxt", case / "net.caffemodel"], tmp_path / "vgg.onnx")
    assert [note for note in report.notes if "fixed at" in note] == []


def test_a_fixed_batch_is_in_the_shape_to_give(tmp_path: Path) -> None:
    (note,) = notes(tmp_path, INPUT.format(20) + CONV.format("c", "data", 3, 1), static_batch=4)
    assert "--input-shape data=4,3,H,W leaves them open" in note
