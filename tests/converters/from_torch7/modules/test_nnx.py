"""Classes of nnx and stn, against NumPy and PyTorch, in both forms."""

# One row for each case; wrapped rows would be unreadable.
# ruff: noqa: E501

from __future__ import annotations

import numpy as np
import pytest
import torch.nn.functional as F  # noqa: N812
from corpus_cases import run_pytorch
from torch7_cases import X2, X3, X4, X5, named, run_model, softmax, t, values

import converters

W34 = values(3, 4, seed=8)
POINTS = np.stack(
    [*np.meshgrid(np.linspace(-1, 1, 3), np.linspace(-1, 1, 5), indexing="ij"), np.ones((3, 5))], -1
).astype(np.float32)
MATRICES = values(2, 2, 3, seed=9)
GRIDS = values(2, 3, 5, 2, seed=10)


def matrices(x: np.ndarray, rotation: bool, scale: bool, translation: bool) -> np.ndarray:
    """The product of the matrices of the three, from the columns of x."""
    result, columns = np.tile(np.eye(3), (len(x), 1, 1)), list(x.T)
    for k in range(len(x)):
        left = iter(columns)
        if rotation:
            a = next(left)[k]
            result[k] @= [[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]
        if scale:
            result[k] @= np.diag([next(left)[k]] * 2 + [1])
        if translation:
            result[k] @= [[1, 0, next(left)[k]], [0, 1, next(left)[k]], [0, 0, 1]]
    return result[:, :2]


CASES = [
    ("nn.Minus", {}, [X2], -X2),
    ("nn.Balance", {"nBatch": 10}, [X2], X2),
    ("nn.SaturatedLU", {"threshold": -0.5, "val": 2, "threshold2": 1, "val2": 0.25}, [X2], np.where(X2 < -0.5, 0.25, np.where(X2 > 1, 0.25, X2))),
    ("nn.MultiSoftMax", {}, [X3], softmax(X3, 2)),
    ("nn.SpatialUpSampling", {"dW": 3, "dH": 2}, [X3], X3.repeat(2, 1).repeat(3, 2)),
    ("nn.SpatialUpSampling", {"dW": 3, "dH": 2, "yDim": 2, "xDim": 3}, [X4], X4.repeat(2, 1).repeat(3, 2)),
    ("nn.SpatialDownSampling", {"rW": 3, "rH": 2}, [X4[0]], X4[0, :, :6].reshape(4, 3, 2, 2, 3).mean((2, 4))),
    ("nn.SpatialReSampling", {"owidth": 9, "oheight": 4}, [X4], lambda: F.interpolate(t(X4), (4, 9), mode="bilinear", align_corners=True).numpy()),
    ("nn.SpatialReSampling", {"rwidth": 0.7, "rheight": 2}, [X4[0]], lambda: F.interpolate(t(X4[:1]), (14, 4), mode="bilinear", align_corners=True)[0].numpy()),
    ("nn.SpatialReSamplingEx", {"rwidth": 0.6, "rheight": 0.5, "mode": "simple", "yDim": 3, "xDim": 4}, [X4], X4[:, :, :4, :4]),
    ("nn.SpatialReSamplingEx", {"owidth": 2, "oheight": 3, "mode": "average"}, [X4[0]], X4[0, :, :6].reshape(4, 3, 2, 2, 3).mean((2, 4))),
    ("nn.SpatialReSamplingEx", {"owidth": 15, "oheight": 7, "mode": "average", "yDim": 3, "xDim": 4}, [X4], X4[..., np.arange(15) // 3]),
    ("nn.SpatialReSamplingEx", {"owidth": 9, "oheight": 4, "mode": "bilinear", "yDim": 3, "xDim": 4}, [X4[..., :4].copy()[:, :, :4]], lambda: F.interpolate(t(X4[:, :, :4, :4].copy()), (4, 9), mode="bilinear", align_corners=True).numpy()),
    ("nn.SpatialMaxSampling", {"owidth": 4, "oheight": 2}, [X4[0]], np.stack([[X4[0, :, a:b, c:d].max((1, 2)) for c, d in ((0, 1), (1, 3), (3, 4), (4, 6))] for a, b in ((0, 3), (3, 7))]).transpose(2, 0, 1)),
    ("nn.SpatialPadding", {"pad_l": 1, "pad_r": -2, "pad_t": 0, "pad_b": 2, "val": 7}, [X3], np.pad(X3[:, :, :-2], [(0, 0), (0, 2), (1, 0)], constant_values=7)),
    ("nn.SpatialPadding", {"pad_l": 1, "pad_r": 2, "pad_t": 1, "pad_b": 2, "y_dim": 1, "x_dim": 4}, [X4], np.pad(X4, [(1, 2), (0, 0), (0, 0), (1, 2)])),
    ("nn.SpatialLinear", {"fanin": 4, "fanout": 3, "weight": W34, "bias": W34[:, 0]}, [X3], np.einsum("ij,jhw->ihw", W34, X3) + W34[:, :1, None]),
    ("nn.AffineTransformMatrixGenerator", {"fullMode": True}, [X2], X2.reshape(3, 2, 3)),
    *[("nn.AffineTransformMatrixGenerator", {"fullMode": False, "useRotation": r, "useScale": s, "useTranslation": tr}, [X2[:, : r + s + 2 * tr]], matrices(X2, r, s, tr))
      for r in (False, True) for s in (False, True) for tr in (False, True) if r or s or tr],
    ("nn.AffineGridGeneratorBHWD", {"height": 3, "width": 5, "baseGrid": POINTS}, [MATRICES], np.einsum("hwk,bik->bhwi", POINTS, MATRICES)),
    ("nn.AffineGridGeneratorBHWD", {"height": 3, "width": 5, "baseGrid": POINTS}, [MATRICES[0]], np.einsum("hwk,ik->hwi", POINTS, MATRICES[0])),
    ("nn.BilinearSamplerBHWD", {}, [X4, GRIDS], lambda: F.grid_sample(t(X4.transpose(0, 3, 1, 2)), t(GRIDS[..., ::-1].copy()), align_corners=True).permute(0, 2, 3, 1).numpy()),
    ("nn.BilinearSamplerBHWD", {}, [X4[0], GRIDS[0]], lambda: F.grid_sample(t(X4[:1].transpose(0, 3, 1, 2)), t(GRIDS[:1, ..., ::-1].copy()), align_corners=True).permute(0, 2, 3, 1)[0].numpy()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "given", "expected"), CASES)
def test_one_module_in_both_forms(save_t7, tmp_path, name, fields, given, expected):
    wanted = expected() if callable(expected) else expected
    inputs = named("input", given)
    model = converters.load(save_t7((name, fields)), input_shapes={key: x.shape for key, x in inputs.items()})
    converters.save(model, tmp_path / "net.py")
    for outputs in (run_model(model, inputs), run_pytorch(tmp_path / "net.py", inputs, model)):
        (got,) = outputs.values()
        assert got.shape == wanted.shape
        np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_what_a_push_table_takes_out_a_pull_table_puts_back(run_net):
    push = ("nn.PushTable", {"_index": 2})
    pull = ("nn.PullTable", {"_index": 1, "_push": push})
    push[1]["_pulls"] = [pull]
    (got,) = run_net(
        ("nn.Sequential", {"modules": [push, ("nn.JoinTable", {"dimension": 1})]}), X2, -X2, X3[0]
    )
    np.testing.assert_array_equal(got, np.concatenate([X2, X3[0]]))
    doubled = ("nn.ParallelTable", {"modules": [("nn.MulConstant", {"constant_scalar": 2})]})
    net = ("nn.Sequential", {"modules": [push, doubled, pull]})
    got = run_net(net, X2, -X2)
    np.testing.assert_array_equal(got, [-X2, 2 * X2])


def test_a_pull_table_without_its_push_table_is_refused(run_net):
    pull = ("nn.PullTable", {"_index": 1, "_push": ("nn.PushTable", {"_index": 1})})
    with pytest.raises(
        converters.FormatError, match="the PushTable that it belongs to does not run before it"
    ):
        run_net(pull, X2, X2)


@pytest.mark.parametrize(
    ("name", "fields", "given", "message"),
    [
        ("nn.SpatialReSampling", {"owidth": 1, "oheight": 4}, X4, "divides by the output size minus 1"),
        ("nn.SpatialReSamplingEx", {"owidth": 9, "oheight": 2}, X3, "one grows, one shrinks"),
        ("nn.SpatialUpSampling", {"dW": 2, "dH": 2, "yDim": 2, "xDim": 4}, X4, "cannot find height and width"),
        ("nn.SpatialDownSampling", {"rW": 2, "rH": 2}, X4, "takes 3-D input, not 2x4x7x6"),
        ("nn.MultiSoftMax", {}, X2, "takes 3-D input, not 3x6"),
        ("nn.SpatialPadding", {"pad_l": 1, "pad_r": 1, "pad_t": 1, "pad_b": 1}, X2, "pads dimension 3 of 2"),
        ("nn.AffineGridGeneratorBHWD", {"height": 3, "width": 5}, X3, "takes matrices of 2x3, not 4x5x6"),
        ("nn.AffineTransformMatrixGenerator", {"useScale": True}, X2, "takes 1 channels, but 6 arrive"),
    ],
)  # fmt: skip
def test_what_torch_refuses(run_net, name, fields, given, message):
    with pytest.raises(converters.ConverterError, match=message):
        run_net((name, fields), given)


@pytest.mark.parametrize(
    ("name", "fields", "given"),
    [
        ("nn.SpatialUpSampling", {"dW": 2, "dH": 2}, X3),
        ("nn.SpatialReSamplingEx", {"owidth": 9, "oheight": 9}, X3),
        ("nn.SpatialReSampling", {"rwidth": 2, "rheight": 2}, X3),
        ("nn.SeqReverseSequence", {"dim": 2}, X3),
        ("nn.AffineGridGeneratorBHWD", {"height": 3, "width": 5, "baseGrid": POINTS}, MATRICES[0]),
    ],
)
def test_a_second_run_that_reshapes_the_first_output_is_refused(run_net, name, fields, given):
    twice = (name, fields)
    scaled = ("nn.Sequential", {"modules": [("nn.MulConstant", {"constant_scalar": 2}), twice]})
    with pytest.raises(converters.UnsupportedError, match="runs more than once, and one run then changes"):
        run_net(("nn.ConcatTable", {"modules": [twice, scaled]}), given)


def test_images_and_grids_go_together(run_net):
    with pytest.raises(converters.FormatError, match="one grid for each image, but 2 and 1 arrive"):
        run_net(("nn.BilinearSamplerBHWD", {}), X4[:1], GRIDS)
    with pytest.raises(converters.FormatError, match="both 3-D or 4-D, not 2x3x4x5x6 and 2x3x5x2"):
        run_net(("nn.BilinearSamplerBHWD", {}), X5, GRIDS)
