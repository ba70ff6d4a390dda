"""Mean and scale inside the net: on raw pixels it gives what the plain net gives on prepared ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from corpus_cases import CORPUS, Case, run_onnx, run_pytorch

import converters

CASE = Case.load(CORPUS / "caffe" / "tv-softmaxloss-data")


def test_the_definitions_own_mean_and_scale_move_into_the_net(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 14, 14)).astype(np.float32)
    report = converters.convert(CASE.sources, tmp_path / "plain.onnx")
    assert report.preprocessing is not None
    prepared = (pixels - np.float32(report.preprocessing["mean"]).reshape(3, 1, 1)) * report.preprocessing[
        "scale"
    ]
    converters.convert(CASE.sources, tmp_path / "net.onnx", embed_preprocessing=True)
    onnx.checker.check_model(tmp_path / "net.onnx", full_check=True)
    plain = run_onnx(tmp_path / "plain.onnx", {"data": prepared.astype(np.float32)})["prob"]
    np.testing.assert_allclose(run_onnx(tmp_path / "net.onnx", {"data": pixels})["prob"], plain, rtol=1e-5)
    left = converters.preprocessing_of(converters.load(tmp_path / "net.onnx"))
    assert left is not None
    assert (left["mean"], left["scale"], left["crop"]) == (None, 1.0, 14)

    converters.convert(CASE.sources, tmp_path / "net.py", embed_preprocessing=True)
    model = converters.load(tmp_path / "net.onnx")
    np.testing.assert_allclose(
        run_pytorch(tmp_path / "net.py", {"data": pixels}, model)["prob"], plain, rtol=1e-5
    )


def test_what_a_caller_knows_travels_along(tmp_path: Path) -> None:
    metadata = {"labels": ["a", "b"], "preprocessing": {"mean": [1, 2, 3], "std": [2.0], "scale": 1.0}}
    converters.convert(CASE.sources, tmp_path / "net.onnx", metadata=metadata, embed_preprocessing=True)
    entries = {entry.key: entry.value for entry in onnx.load(tmp_path / "net.onnx").metadata_props}
    assert entries["dsd-zoo.labels"] == '["a", "b"]'
    assert [node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node][:3] == [
        "Sub",
        "Div",
        "Conv",
    ]


@pytest.mark.parametrize(
    ("preprocessing", "says"),
    [
        ({}, "neither the definition nor the catalog gives"),
        ({"mean": [1, 2]}, "2 values for the input shape"),
        ({"mean_image": True}, "subtracts a mean image; give its file: --mean-image FILE"),
        ({"mean_file": "mean.binaryproto"}, r"a mean image \(mean.binaryproto\); give its file"),
    ],
)
def test_what_cannot_be_embedded_is_said(tmp_path: Path, preprocessing: dict[str, object], says: str) -> None:
    with pytest.raises(converters.UsageError, match=says):
        converters.convert(
            CASE.sources,
            tmp_path / "net.onnx",
            metadata={"preprocessing": preprocessing},
            embed_preprocessing=True,
        )
    assert not list(tmp_path.iterdir())


IMAGE = np.random.default_rng(1).uniform(0, 255, (3, 19, 16)).astype(np.float32)


def test_a_mean_image_is_cropped_as_caffe_does_and_embedded(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 14, 14)).astype(np.float32)
    converters.convert(CASE.sources, tmp_path / "plain.onnx")
    # data_transformer.cpp: h_off = (datum_height - crop_size) / 2, in integers; the same for the mean.
    prepared = (pixels - IMAGE[:, 2:16, 1:15]) * np.float32(0.5)
    plain = run_onnx(tmp_path / "plain.onnx", {"data": prepared})["prob"]

    converters.convert(
        CASE.sources,
        tmp_path / "net.onnx",
        metadata={"preprocessing": {"mean_image": True, "scale": 0.5, "crop": 14}},
        embed_preprocessing=True,
        mean_image=IMAGE,
    )
    onnx.checker.check_model(tmp_path / "net.onnx", full_check=True)
    np.testing.assert_allclose(run_onnx(tmp_path / "net.onnx", {"data": pixels})["prob"], plain, rtol=1e-5)
    left = converters.preprocessing_of(converters.load(tmp_path / "net.onnx"))
    assert left == {"mean": None, "std": None, "scale": 1.0, "crop": 14}


@pytest.mark.parametrize(
    ("image", "preprocessing", "embed", "says"),
    [
        (IMAGE[:, :13], {}, True, "it is 3 x 13 x 16; expected 3 x 14 x 14 or more rows"),
        (IMAGE[:2], {}, True, "it is 2 x 19 x 16; expected 3 x 14 x 14"),
        (IMAGE, {"mean": [1.0, 2.0, 3.0]}, True, "would be the second mean"),
        (IMAGE, {"mean_image": True}, False, "is about --embed-preprocessing"),
    ],
)
def test_a_mean_image_that_does_not_fit(
    tmp_path: Path, image: np.ndarray, preprocessing: dict[str, object], embed: bool, says: str
) -> None:
    with pytest.raises(converters.UsageError, match=says):
        converters.convert(
            CASE.sources,
            tmp_path / "net.onnx",
            metadata={"preprocessing": preprocessing},
            embed_preprocessing=embed,
            mean_image=image,
        )
    assert not list(tmp_path.iterdir())
