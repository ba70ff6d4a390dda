"""`preprocess(image)` of net.py: the bits of OpenCV, Pillow and Torch7, and no code from metadata."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from colour_net import save_net

import converters
from converters.image_preparation import ImagePreparation
from zoo.errors import DataError
from zoo.preprocessing import EncodedImage, preprocessor
from zoo.preprocessing.preparation import image_preparation
from zoo.preprocessing.settings import Preprocessing

SIZES = [
    (375, 500),
    (500, 375),
    (56, 75),
    (512, 512),
    (512, 300),
    (256, 256),
    (257, 255),
    (1, 30),
    (37, 91),
    (43, 37),
]
SETTINGS: dict[str, dict[str, Any]] = {
    "caffe-warp64": {"crop": 57, "mean": [104.0, 117.0, 123.0], "scale": 0.017},
    "caffe-warp65": {"crop": 65},
    "caffe-short64": {"crop": 55, "mean": [120.0]},
    "caffe-stored": {"crop": 33, "mean": [104.0, 117.0, 123.0]},
    "pil-bicubic-short64": {"crop": 55, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    "torch7-bicubic64": {"crop": 55, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    "torch7-bicubic63": {"crop": 48},
    # 43 / 37 * 37 is less than 43 in float64, but an image of 43x37 keeps its size.
    "torch7-bicubic37": {"crop": 33},
}


def random_image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def written(folder: Path, preparation: dict[str, Any]) -> Any:
    """The module of a net with that preparation in its metadata."""
    net = save_net(folder / "net.onnx")
    converters.convert([net], folder / "net.py", metadata={"preparation": preparation})
    spec = importlib.util.spec_from_file_location("written_net", folder / "net.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=SETTINGS, scope="module")
def case(request, tmp_path_factory) -> tuple[Preprocessing, Callable[[Any], torch.Tensor]]:
    settings = Preprocessing(flavour=request.param, **SETTINGS[request.param])
    found = image_preparation(settings)
    assert found is not None
    return settings, written(tmp_path_factory.mktemp("net"), found.to_dict()).preprocess


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_it_gives_the_bits_of_the_original_tool(case, height, width):
    settings, preprocess = case
    image = random_image(height, width)
    prepare = preprocessor(settings)
    try:
        expected = prepare(EncodedImage(cv2.imencode(".png", image[:, :, ::-1])[1].tobytes()))
    except DataError:
        with pytest.raises(ValueError, match="33x33 pixels or more"):
            preprocess(image)
        return
    result = preprocess(image)
    assert result.dtype == torch.float32
    np.testing.assert_array_equal(result.numpy(), expected[None])
    assert torch.equal(preprocess(torch.from_numpy(image)), result)


def test_what_is_no_image_is_refused(case):
    with pytest.raises(
        ValueError, match=r"expected an image of uint8 \(height, width, 3\), came torch.float32"
    ):
        case[1](np.zeros((8, 8, 3), np.float32))
    with pytest.raises(ValueError, match=r"came torch.uint8 \(3, 8, 8\)"):
        case[1](np.zeros((3, 8, 8), np.uint8))


def test_the_file_is_formatted_and_lints(tmp_path: Path) -> None:
    for number, (flavour, values) in enumerate(SETTINGS.items()):
        found = image_preparation(Preprocessing(flavour=flavour, **values))
        assert found is not None
        folder = tmp_path / str(number)
        folder.mkdir()
        written(folder, found.to_dict())
    for check in (["format", "--check", "--isolated"], ["check", "--isolated"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *check, "."], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_net_of_unknown_preparation_has_none(tmp_path: Path) -> None:
    converters.convert([save_net(tmp_path / "net.onnx")], tmp_path / "net.py")
    assert "preprocess" not in (tmp_path / "net.py").read_text(encoding="utf-8")


def test_an_embedded_mean_is_not_subtracted_twice(tmp_path: Path) -> None:
    found = ImagePreparation(crop=8, channels="BGR", resize="opencv-linear", to="square", size=8, mean=[9.0])
    metadata = {"preprocessing": {"mean": [9.0]}, "preparation": found.to_dict()}
    converters.convert(
        [save_net(tmp_path / "net.onnx")], tmp_path / "net.py", metadata=metadata, embed_preprocessing=True
    )
    text = (tmp_path / "net.py").read_text(encoding="utf-8")
    assert "9.0" not in text[text.index("def preprocess") :]


@pytest.mark.parametrize(
    "change",
    [
        {"resize": "x(1)"},
        {"resize": []},
        {"crop": "8) or exit("},
        {"crop": 10**9},
        {"crop": True},
        {"size": -1},
        {"size": None},
        {"to": "moon"},
        {"channels": "BGR\nimport os"},
        {"white": 2.5},
        {"square": "yes"},
        {"mean": ["__import__('os')"]},
        {"mean": [1, 2]},
        {"std": [float("nan")]},
        {"scale": "1"},
        {"other": 1},
    ],
)
def test_metadata_never_becomes_code(tmp_path: Path, change: dict[str, Any]) -> None:
    good = {"crop": 8, "channels": "BGR", "resize": "opencv-linear", "to": "square", "size": 8}
    assert ImagePreparation.in_metadata({"dsd-zoo.preparation": json.dumps(good)}) is not None
    with pytest.raises(converters.FormatError, match="preparation of images"):
        converters.convert(
            [save_net(tmp_path / "net.onnx")],
            tmp_path / "net.py",
            metadata={"preparation": {**good, **change}},
        )
    assert not (tmp_path / "net.py").exists()


@pytest.mark.parametrize("text", ["[]", "{", '"a"', "{}"])
def test_damaged_metadata_is_refused(text: str) -> None:
    with pytest.raises(converters.FormatError, match=r"preparation"):
        ImagePreparation.in_metadata({"dsd-zoo.preparation": text})
