"""Definitions whose data layer exists in another phase or stage only, and labels that nothing makes."""

from __future__ import annotations

from pathlib import Path

import pytest

import converters

DATA = (
    'layer {{ name: "{}" type: "Data" top: "data" top: "label" include {{ {} }} '
    "data_param {{ batch_size: {} }} transform_param {{ crop_size: {} mean_value: 1 mean_value: 2 }} }}\n"
)
BODY = 'layer { name: "body" type: "ReLU" bottom: "data" top: "body" }\n'
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "body" bottom: "label" top: "loss" %s }\n'


def report(folder: Path, text: str, **options: object) -> converters.ConversionReport:
    path = folder / "net.prototxt"
    path.write_text(text)
    found: converters.ConversionReport = converters.load(path, **options).meta["report"]  # type: ignore[arg-type]
    return found


def test_the_data_of_phase_train_are_the_input(tmp_path: Path) -> None:
    found = report(tmp_path, DATA.format("d", "phase: TRAIN", 32, 4) + BODY + LOSS % "")
    assert (found.inputs, found.outputs) == ({"data": "Nx2x4x4"}, {"prob": "Nx2x4x4"})
    assert found.notes == ["input 'data' is that of layer 'd' (Data), which exists only in phase TRAIN"]
    assert found.preprocessing is not None
    assert found.preprocessing["mean"] == [1.0, 2.0]
    assert converters.inspect(tmp_path / "net.prototxt").complete


def test_data_of_phase_test_come_before_those_of_phase_train(tmp_path: Path) -> None:
    text = DATA.format("a", "phase: TRAIN", 32, 4) + DATA.format("b", 'phase: TEST stage: "s"', 8, 5) + BODY
    assert report(tmp_path, text).inputs == {"data": "Nx2x5x5"}


def test_data_layers_that_are_alike_need_no_stage(tmp_path: Path) -> None:
    text = DATA.format("a", 'stage: "s"', 32, 4) + DATA.format("b", 'stage: "t"', 8, 4) + BODY
    found = report(tmp_path, text)
    assert found.notes == [
        "input 'data' is that of layer 'a' (Data), which exists only in stage 's' (--stage s)"
    ]
    assert report(tmp_path, text, stages=["t"]).notes == []


def test_data_layers_that_differ_need_a_stage(tmp_path: Path) -> None:
    text = DATA.format("a", 'stage: "s"', 32, 4) + DATA.format("b", "min_level: 2", 8, 5) + BODY
    with pytest.raises(converters.UsageError) as caught:
        report(tmp_path, text)
    assert str(caught.value) == (
        "the blob 'data' is made by several data layers, which are not alike: in stage 's' (--stage s); "
        "levels from 2 on (--level); choose one with --stage or --level"
    )
    assert report(tmp_path, text, stages=["s"]).inputs == {"data": "Nx2x4x4"}
    assert report(tmp_path, text, level=2).inputs == {"data": "Nx2x5x5"}


def test_a_blob_of_another_state_is_said_to_be_one(tmp_path: Path) -> None:
    inner = 'layer { name: "aug" type: "Power" bottom: "raw" top: "data" include { phase: TRAIN } }\n'
    with pytest.raises(
        converters.FormatError,
        match=r"'data', which no layer before it makes; layer 'aug' \(Power\) makes it only in phase TRAIN",
    ):
        report(tmp_path, inner + BODY)
    inner = inner.replace("include { phase: TRAIN }", "exclude { phase: TEST }")
    with pytest.raises(converters.FormatError, match="only in states other than phase TEST"):
        report(tmp_path, inner + BODY)


def test_scores_whose_loss_exists_in_training_only_are_said_to_be_scores(tmp_path: Path) -> None:
    found = report(tmp_path, DATA.format("d", "phase: TEST", 1, 4) + BODY + LOSS % "include { phase: TRAIN }")
    assert found.outputs == {"body": "Nx2x4x4"}
    assert found.notes == [
        "output 'body' holds scores, not probabilities: its loss 'loss' (SoftmaxWithLoss) exists only "
        "in phase TRAIN"
    ]


INPUT = 'layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 } } }\n'


@pytest.mark.parametrize("kind", ["Accuracy", "SoftmaxWithLoss", "EuclideanLoss"])
def test_a_label_that_nothing_makes_is_left_out_with_its_reader(tmp_path: Path, kind: str) -> None:
    found = report(tmp_path, INPUT + BODY + (LOSS % "").replace("SoftmaxWithLoss", kind))
    assert found.outputs == ({"prob": "Nx2"} if kind == "SoftmaxWithLoss" else {"body": "Nx2"})


def test_scores_that_nothing_makes_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(converters.FormatError, match=r"'boddy', which no layer .* did you mean 'body'"):
        report(tmp_path, INPUT + BODY + (LOSS % "").replace('"body"', '"boddy"'))
    with pytest.raises(converters.FormatError, match="'more', which no layer"):
        report(tmp_path, INPUT + BODY.replace('bottom: "data"', 'bottom: "data" bottom: "more"'))
