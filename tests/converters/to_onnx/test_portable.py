"""The portable form: the same numbers in ONNX Runtime, without what other runtimes compute otherwise."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from corpus_cases import CORPUS, Case, run_onnx

import converters
from converters.graph import Graph
from converters.pooling_rule import CeilPooling, mark_ceil_pooling
from converters.sizes import Symbol
from converters.to_onnx.portable import portable_copy
from converters.to_onnx.self_contained import save_self_contained

N = Symbol("N", batch=True)
RNG = np.random.default_rng(11)


def both_forms(g: Graph, y: ir.Value, x: np.ndarray, folder: Path) -> tuple[np.ndarray, np.ndarray, list]:
    """The result of the net as it was built, that of its portable form, and the nodes of the latter."""
    model = g.model({"y": y})
    results = []
    for name, form in (("plain", model), ("portable", portable_copy(model))):
        path = folder / f"{name}.onnx"
        save_self_contained(form, path)
        onnx.checker.check_model(onnx.load(path), full_check=True)
        results.append(run_onnx(path, {"x": x})["y"])
    return (*results, list(onnx.load(folder / "portable.onnx").graph.node))


def operators(nodes: list) -> list[str]:
    return [node.op_type for node in nodes]


@pytest.mark.parametrize("pads", [[1, 1, 1, 1], [0, 2, 1, 0]])
def test_pads_of_a_pointwise_convolution_become_a_pad(tmp_path: Path, pads: list[int]) -> None:
    g = Graph("net")
    x = g.input("x", (N, 3, 5, 4))
    weight = g.parameter("w", RNG.normal(size=(2, 3, 1, 1)).astype(np.float32))
    shape = (N, 2, 5 + pads[0] + pads[2], 4 + pads[1] + pads[3])
    y = g.node("Conv", x, weight, None, shape=shape, pads=pads)
    array = RNG.normal(size=(2, 3, 5, 4)).astype(np.float32)
    _, portable, nodes = both_forms(g, y, array, tmp_path)
    assert operators(nodes) == ["Pad", "Conv"]
    assert all(attribute.name != "pads" for attribute in nodes[1].attribute)
    padded = np.pad(array, [(0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])])
    matrix = weight.const_value.numpy()[:, :, 0, 0].astype(np.float64)
    np.testing.assert_allclose(portable, np.einsum("oc,nchw->nohw", matrix, padded), rtol=0, atol=2e-6)


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [(0, 2, 3), (0, 1, 2), (0, 1, 3, 4), (-5, -3, -1)])
def test_reductions_of_three_axes_are_split(tmp_path: Path, axes: tuple[int, ...], keepdims: int) -> None:
    array = RNG.normal(size=(3, 4, 5, 2, 3)[-5:]).astype(np.float32)
    g = Graph("net")
    x = g.input("x", array.shape)
    expected = array.astype(np.float64).mean(axes, keepdims=bool(keepdims))
    y = g.node("ReduceMean", x, np.array(axes, np.int64), shape=expected.shape, keepdims=keepdims)
    _, portable, nodes = both_forms(g, y, array, tmp_path)
    assert operators(nodes) == ["ReduceMean"] * 2
    np.testing.assert_allclose(portable, expected, rtol=0, atol=1e-6)


def test_reductions_of_the_last_axes_stay(tmp_path: Path) -> None:
    g = Graph("net")
    x = g.input("x", (N, 4, 5, 2))
    y = g.node("ReduceSum", x, np.array([1, 2, 3], np.int64), shape=(N,), keepdims=0)
    _, _, nodes = both_forms(g, y, np.ones((2, 4, 5, 2), np.float32), tmp_path)
    assert operators(nodes) == ["ReduceSum"]


@pytest.mark.parametrize("constant_first", [False, True])
def test_a_constant_matrix_that_broadcasts_goes_through_identity(
    tmp_path: Path, constant_first: bool
) -> None:
    g = Graph("net")
    x = g.input("x", (N, 6, 4, 4))
    matrix = g.parameter("w", RNG.normal(size=(6, 4, 4)).astype(np.float32))
    y = g.node("MatMul", *((matrix, x) if constant_first else (x, matrix)), shape=(N, 6, 4, 4))
    plain, portable, nodes = both_forms(g, y, RNG.normal(size=(2, 6, 4, 4)).astype(np.float32), tmp_path)
    assert operators(nodes) == ["Identity", "MatMul"]
    np.testing.assert_array_equal(portable, plain)


FAR = np.concatenate([np.linspace(-200, 200, 4001), [-1e30, 1e30, -np.inf, np.inf, np.nan, 0.0, -0.0]])


@pytest.mark.parametrize(
    ("operator", "written"), [("Tanh", ["Clip", "Tanh"]), ("Softplus", ["Min", "Softplus", "Max"])]
)
def test_bounded_activations_are_bit_identical(tmp_path: Path, operator: str, written: list[str]) -> None:
    array = FAR.astype(np.float32)[None]
    g = Graph("net")
    y = g.node(operator, g.input("x", array.shape))
    plain, portable, nodes = both_forms(g, y, array, tmp_path)
    assert operators(nodes) == written
    np.testing.assert_array_equal(portable, plain)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_log_softmax_far_below_the_largest_value(tmp_path: Path, axis: int) -> None:
    array = (RNG.normal(size=(3, 5, 4)) * 300).astype(np.float32)
    g = Graph("net")
    y = g.node("LogSoftmax", g.input("x", array.shape), axis=axis)
    _, portable, nodes = both_forms(g, y, array, tmp_path)
    assert "LogSoftmax" not in operators(nodes)
    shifted = array.astype(np.float64) - array.max(axis, keepdims=True)
    expected = shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))
    np.testing.assert_allclose(portable, expected, rtol=1e-6, atol=1e-5)


def windows(size: int, kernel: int, stride: int, pad: int) -> list[range]:
    """The pixels of each window along an axis, by the rule of Caffe and Torch, written as their code."""
    count = -(-(size + 2 * pad - kernel) // stride) + 1
    while (count - 1) * stride >= size + pad:
        count -= 1
    starts = [k * stride - pad for k in range(count)]
    return [range(start, min(start + kernel, size + pad)) for start in starts]


def pooled(row: np.ndarray, kernel: int, stride: int, pad: int, kind: str) -> list[float]:
    """The windows of a row: their largest, or their mean with or without the padding counted."""
    results = []
    for window in windows(len(row), kernel, stride, pad):
        inside = [float(row[k]) for k in window if 0 <= k < len(row)]
        divisor = len(window) if kind == "mean with padding" else len(inside)
        results.append(max(inside) if kind == "max" else sum(inside) / divisor)
    return results


def pooling_net(stated: int | Symbol, kernel: int, stride: int, pad: int, kind: str) -> Graph:
    """A pooling for images of a stated (or an open) width, as the readers write it."""
    g = Graph("net")
    x = g.input("x", (N, 1, 1, stated))
    count: int | Symbol = Symbol("windows")
    end = 0
    if isinstance(stated, int):
        count = len(windows(stated, kernel, stride, pad))
        end = max(0, (count - 1) * stride + kernel - stated - 2 * pad)
    common = {"kernel_shape": [1, kernel], "strides": [1, stride]}
    counted = kind == "mean with padding" and pad > 0
    if counted and end:
        x = g.node(
            "Pad", x, np.array([0, 0, 0, pad, 0, 0, 0, pad], np.int64), shape=(N, 1, 1, stated + 2 * pad)
        )
    begin = 0 if counted and end else pad
    pads = [0, begin, 0, begin + end]
    if isinstance(stated, Symbol):
        common["ceil_mode"] = 1
    if counted and not end:
        common["count_include_pad"] = 1
    op_type = "MaxPool" if kind == "max" else "AveragePool"
    y = g.node(op_type, x, shape=(N, 1, 1, count), pads=pads, **common)
    rule = kind == "mean with padding"
    mark_ceil_pooling(y, (1, kernel), (1, stride), (0, pad), counts_padding=rule)
    g.result = y
    return g


SHAPES = [(k, s, p) for k, s in itertools.product((1, 2, 3, 5), (1, 2, 3)) for p in range(min(k, 3))]


@pytest.mark.parametrize("kind", ["max", "mean with padding", "mean without padding"])
def test_pooling_is_right_at_other_sizes_than_the_stated_one(tmp_path: Path, kind: str) -> None:
    """With the sizes removed from the file, as a runtime reads it that does not check them."""
    for (kernel, stride, pad), stated in itertools.product(SHAPES, (7, 8, Symbol("W"))):
        if isinstance(stated, Symbol) and (
            (kind == "mean with padding" and pad) or (stride > kernel and not pad)
        ):
            continue  # the readers ask for a stated size
        g = pooling_net(stated, kernel, stride, pad, kind)
        if kernel < stride and len(windows(7, kernel, stride, pad)) == 0:
            continue
        path = tmp_path / "net.onnx"
        save_self_contained(portable_copy(g.model({"y": g.result})), path)
        file = onnx.load(path)
        for value in [*file.graph.input, *file.graph.output, *file.graph.value_info]:
            for size in value.type.tensor_type.shape.dim:
                size.Clear()
        onnx.save(file, path)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        for width in range(kernel, 13):
            row = RNG.normal(size=width).astype(np.float32)
            got = session.run(None, {"x": row.reshape(1, 1, 1, -1)})[0].reshape(-1)
            expected = pooled(row, kernel, stride, pad, kind)
            assert len(got) == len(expected), (kernel, stride, pad, stated, width)
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)


def test_the_rule_for_the_end() -> None:
    assert CeilPooling((3, 2), (2, 2), (0, 1)).ends() == [1, 1]
    assert CeilPooling((3,), (2,), (1,)).never_clips
    assert not CeilPooling((2,), (2,), (1,)).never_clips


def test_no_empty_last_input_and_no_symbolic_size_inside(tmp_path: Path) -> None:
    case = Case.load(CORPUS / "caffe" / "arch-caption")
    converters.convert(case.sources, tmp_path / "net.onnx", **case.options)
    graph = onnx.load(tmp_path / "net.onnx").graph
    assert all(node.input[-1] for node in graph.node if node.input)
    sizes = [size for value in graph.value_info for size in value.type.tensor_type.shape.dim]
    assert sizes
    assert not any(size.dim_param for size in sizes)


def test_a_node_named_like_an_input_gets_another_name(tmp_path: Path) -> None:
    case = Case.load(CORPUS / "caffe" / "name-layer-is-blob")
    converters.convert(case.sources, tmp_path / "net.onnx", **case.options)
    graph = onnx.load(tmp_path / "net.onnx").graph
    assert {node.name for node in graph.node}.isdisjoint(value.name for value in graph.input)


def test_the_loaded_model_and_an_onnx_source_stay_as_they_are(tmp_path: Path) -> None:
    case = Case.load(CORPUS / "caffe" / "tanh-extreme")
    model = converters.load(*case.sources, **case.options)
    before = [node.op_type for node in model.graph]
    converters.save(model, tmp_path / "net.onnx")
    assert [node.op_type for node in model.graph] == before
    written = onnx.load(tmp_path / "net.onnx")
    assert operators(list(written.graph.node)) != before
    written.graph.node[-1].input[0], written.graph.node[0].output[0] = "other", "other"
    del written.graph.value_info[:]
    onnx.save(written, tmp_path / "named.onnx")
    converters.convert([tmp_path / "named.onnx"], tmp_path / "again.onnx")
    assert operators(list(onnx.load(tmp_path / "again.onnx").graph.node)) == operators(
        list(written.graph.node)
    )


@pytest.mark.parametrize("axis", [0, 1, None])
def test_compress_becomes_a_gather(tmp_path: Path, axis: int | None) -> None:
    array = RNG.normal(size=(4, 3)).astype(np.float32)
    condition = {0: [True, False, False, True], 1: [False, True, True], None: [False] * 11 + [True]}[axis]
    g = Graph("net")
    x = g.input("x", (4, 3))
    shape = {0: (2, 3), 1: (4, 2), None: (1,)}[axis]
    y = g.node("Compress", x, np.array(condition), shape=shape, axis=axis)
    _, portable, nodes = both_forms(g, y, array, tmp_path)
    assert "Compress" not in operators(nodes)
    np.testing.assert_array_equal(portable, np.compress(condition, array, axis))


@pytest.mark.parametrize("pad", [0, 1])
def test_max_unpool_becomes_a_scatter(tmp_path: Path, pad: int) -> None:
    array = RNG.normal(size=(2, 3, 4, 6)).astype(np.float32)
    g = Graph("net")
    x = g.input("x", (N, 3, 4, 6))
    attributes = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [pad] * 4}
    small = (N, 3, 2 + pad, 3 + pad)
    kept, places = g.nodes(
        "MaxPool", x, shapes=[small] * 2, dtypes=[ir.DataType.FLOAT, ir.DataType.INT64], **attributes
    )
    y = g.node("MaxUnpool", kept, places, shape=(N, 3, 4, 6), **attributes)
    _, portable, nodes = both_forms(g, y, array, tmp_path)
    assert "MaxUnpool" not in operators(nodes)
    expected = np.zeros_like(array)
    padded = np.pad(array, [(0, 0), (0, 0), (pad, pad), (pad, pad)], constant_values=-np.inf)
    for n, c, row, column in np.ndindex(2, 3, 2 + pad, 3 + pad):
        window = padded[n, c, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        down, right = divmod(int(window.argmax()), 2)
        expected[n, c, 2 * row + down - pad, 2 * column + right - pad] = window.max()
    np.testing.assert_array_equal(portable, expected)


def test_a_reversed_axis_becomes_a_gather(tmp_path: Path) -> None:
    array = RNG.normal(size=(2, 5)).astype(np.float32)
    g = Graph("net")
    bounds = [np.array([n], np.int64) for n in (-1, -(2**63), 1, -1)]
    y = g.node("Slice", g.input("x", (N, 5)), *bounds)
    _, portable, nodes = both_forms(g, y, array, tmp_path)
    assert operators(nodes) == ["Gather"]
    np.testing.assert_array_equal(portable, array[:, ::-1])


def test_a_convolution_of_a_constant_is_computed_beforehand(tmp_path: Path) -> None:
    array = RNG.normal(size=(2, 1, 3, 4)).astype(np.float32)
    g = Graph("net")
    x = g.input("x", (N, 1, 3, 4))
    shape = np.array([1, 1, 3, 4], np.int64)
    (ones,) = g.nodes("Expand", np.array(1, np.float32), shape, shapes=[(1, 1, 3, 4)])
    weight = g.parameter("w", np.full((1, 1, 3, 3), 0.5, np.float32))
    sums = g.node("Conv", ones, weight, shape=(1, 1, 3, 4), pads=[1, 1, 1, 1])
    y = g.node("Div", x, sums, shape=(N, 1, 3, 4))
    _, portable, nodes = both_forms(g, y, array, tmp_path)
    assert operators(nodes) == ["Div"]
    neighbours = np.outer([2, 3, 2], [2, 3, 3, 2])
    np.testing.assert_allclose(portable, array / (0.5 * neighbours), rtol=1e-6)


def test_what_a_runtime_refuses_is_noted(tmp_path: Path) -> None:
    net = CORPUS / "torch7" / "VolumetricMaxUnpooling" / "net.t7"
    report = converters.convert([net], tmp_path / "net.onnx", input_shapes={"input": (2, 2, 4, 6, 6)})
    assert [note for note in report.notes if "OpenCV 5 refuses MaxPool with places" in note]
    case = Case.load(CORPUS / "caffe" / "arch-alexnet")
    report = converters.convert(case.sources, tmp_path / "net.onnx", **case.options)
    assert not [note for note in report.notes if "OpenCV" in note]
