"""The tensor forms against the host's, bit for bit; Pillow and OpenCV themselves are the judges."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from zoo.errors import DataError, UsageError
from zoo.preprocessing import EncodedImage, Flavour, preprocessor, resolve, tensors
from zoo.preprocessing.caffe import linear_tensor
from zoo.preprocessing.flavours.pil_bicubic_short import bicubic_tensor
from zoo.preprocessing.settings import Preprocessing

SIZES = [
    (375, 500), (500, 375), (56, 75), (512, 512), (512, 300), (256, 256), (257, 255),
    (1, 1), (1, 30), (128, 1024), (37, 911), (2, 3), (600, 512), (512, 513),
]  # fmt: skip
FLAVOURS = ["caffe-warp256", "caffe-short256", "caffe-stored", "pil-bicubic-short256", "torch7-bicubic256"]
UNIT = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4]}
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=[pytest.mark.gpu]),
]


@pytest.fixture(params=DEVICES)
def device(request):
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    return torch.device(request.param)


def random_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_scaling_gives_the_same_bits(flavour, height, width, device):
    image = random_image(height, width)
    on_host = resolve(flavour).scale(image)
    result = resolve(flavour).scale_tensor(image, device)
    assert result.dtype == (torch.float32 if flavour.startswith("torch7") else torch.uint8)
    np.testing.assert_array_equal(result.cpu().numpy(), on_host)


@pytest.mark.parametrize("seed", range(8))
def test_pillow_in_integers_at_odd_ratios(seed, device):
    generator = np.random.default_rng(seed)
    height, width, to_height, to_width = generator.integers(1, 400, 4).tolist()
    image = random_image(height, width, seed)
    expected = np.asarray(Image.fromarray(image).resize((to_width, to_height), Image.Resampling.BICUBIC))
    result = bicubic_tensor(torch.from_numpy(image).to(device), to_height, to_width)
    np.testing.assert_array_equal(result.cpu().numpy(), expected)


@pytest.mark.parametrize("seed", range(8))
def test_opencv_in_integers_at_odd_ratios(seed, device):
    generator = np.random.default_rng(seed)
    height, width, to_height, to_width = generator.integers(1, 400, 4).tolist()
    image = random_image(height, width, seed)
    expected = cv2.resize(image, (to_width, to_height), interpolation=cv2.INTER_LINEAR)
    result = linear_tensor(torch.from_numpy(image).to(device), to_height, to_width)
    np.testing.assert_array_equal(result.cpu().numpy(), expected)


def test_deep_images_keep_their_low_byte(device):
    pixels = np.random.default_rng(0).integers(0, 65536, (40, 50, 3), np.uint16)
    flavour = resolve("torch7-bicubic32")
    image = EncodedImage(cv2.imencode(".png", pixels)[1].tobytes())
    decoded = flavour.decode(image)
    assert decoded.dtype == np.uint16
    np.testing.assert_array_equal(flavour.scale_tensor(decoded, device).cpu().numpy(), flavour.scale(decoded))


@pytest.mark.parametrize(
    ("settings", "meant_for"),
    [
        ({"flavour": "caffe-warp40", "crop": 37, "mean": [104, 117, 123.68], "scale": 0.017}, None),
        ({"flavour": "caffe-warp40", "crop": 37, "mean_image": True}, None),
        ({"flavour": "pil-bicubic-short40", "crop": 40, **UNIT}, None),
        ({"flavour": "torch7-bicubic40", "crop": 39, **UNIT}, None),
        ({"flavour": "torch7-bicubic40", "crop": 39, "mean": [104, 117, 123.68]}, "caffe-warp40"),
        ({"flavour": "caffe-short40", "crop": 39, "mean": [0.4, 0.5, 0.6]}, "torch7-bicubic40"),
    ],
)
def test_normalising_a_batch_gives_the_same_bits(tmp_path, settings, meant_for, device):
    np.save(tmp_path / "mean.npy", np.random.default_rng(1).uniform(0, 255, (3, 40, 40)))
    prepare = preprocessor(Preprocessing(**settings), tmp_path / "mean.npy", meant_for)
    crop = settings["crop"]
    resized = [prepare.flavour.scale(random_image(50, 60, seed)) for seed in range(3)]
    windows = [image[prepare.flavour.window(*image.shape[:2], crop)] for image in resized]
    result = tensors.normalise(torch.from_numpy(np.stack(windows)).to(device), prepare.normalisation)
    np.testing.assert_array_equal(result.cpu().numpy(), [prepare.finish(image) for image in resized])
    assert result.is_contiguous()


@pytest.mark.parametrize("flavour", ["caffe-short256", "pil-bicubic-short256", "torch7-bicubic256"])
def test_a_thread_of_pixels_is_refused_here_too(flavour, device):
    with pytest.raises(DataError, match="too long and narrow"):
        resolve(flavour).scale_tensor(np.zeros((1, 100_000, 3), np.uint8), device)


def test_a_flavour_without_a_tensor_form_is_named():
    class Plain(Flavour):
        family = "plain"

        def resized(self, height, width):
            return height, width

        def scale(self, pixels):
            return pixels

        def offset(self, length, crop):
            return 0

    with pytest.raises(UsageError, match="plain8 has no tensor form"):
        Plain(8).scale_tensor(random_image(8, 8), torch.device("cpu"))
