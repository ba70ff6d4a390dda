"""Inspecting a Caffe definition without its weights: what is told, what is assumed, in which state."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from training_nets import CONV, CROPPED, DATA, PRODUCT, blocks, chain, diamonds

import converters


def inspected(folder: Path, text: str, **options: object) -> converters.Inspection:
    path = folder / "net.prototxt"
    path.write_text(text)
    return converters.inspect(path, **options)  # type: ignore[arg-type]


def test_channels_that_only_the_weights_tell_are_assumed_and_said(tmp_path: Path) -> None:
    found = inspected(tmp_path, CROPPED + CONV.format("data", ""))
    assert found.complete
    assert found.inputs == {"data": "Nx3x8x8"}
    assert found.notes[0] == (
        "the definition does not tell the channels of 'data': shown for 3; the weights or "
        "--input-shape data=N,C,H,W tell them"
    )


def test_mean_values_tell_the_channels(tmp_path: Path) -> None:
    means = "transform_param { crop_size: 8 mean_value: 1 mean_value: 2 }"
    found = inspected(tmp_path, DATA.format(means) + CONV.format("data", ""))
    assert (found.complete, found.inputs) == (True, {"data": "Nx2x8x8"})
    assert found.notes == ["no weights were given: parameters are those the definition asks for"]


def test_a_given_shape_is_taken(tmp_path: Path) -> None:
    text = DATA.format("") + PRODUCT.format("data", "")
    asked = inspected(tmp_path, text)
    assert not asked.complete
    assert asked.notes[1] == (
        "the definition does not tell the size of input 'data'; give it: --input-shape data=N,C,H,W"
    )
    found = inspected(tmp_path, text, input_shapes={"data": ("N", 1, 5, 7)})
    assert found.complete
    assert found.layers[0].parameters == ["weight 2x35"]


def test_stage_and_level_choose_the_layers(tmp_path: Path) -> None:
    text = CROPPED + CONV.format("data", 'engine: CAFFE } include { stage: "deep" min_level: 2')
    assert [row.name for row in inspected(tmp_path, text, stages=["deep"], level=2).layers] == ["conv"]
    for options in ({}, {"stages": ["deep"]}, {"level": 2}):
        assert "conv" not in [row.name for row in inspected(tmp_path, text, **options).layers]


@pytest.mark.parametrize("wiring", [chain, blocks, diamonds])
def test_two_thousand_layers_take_seconds_however_they_are_wired(tmp_path: Path, wiring: object) -> None:
    """About one second; a walk of every path would never end."""
    assert callable(wiring)
    started = time.process_time()
    assert inspected(tmp_path, CROPPED + wiring(2000)).complete
    assert time.process_time() - started < 20
