"""Nets that the tests of to_pytorch write as net.py, and ONNX Runtime to compare with."""

from __future__ import annotations

import json

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
from arrays import values

from converters import to_onnx
from converters.graph import Graph
from converters.sizes import Symbol

N = Symbol("N")


SOURCES = [{"name": "fire.prototxt", "bytes": 1234, "sha256": "ab" * 32}]


METADATA = {
    "dsd-zoo.version": "0.1.0",
    "dsd-zoo.framework": "caffe",
    "dsd-zoo.sources": json.dumps(SOURCES),
    "dsd-zoo.preprocessing": json.dumps({"mean": [104.0, 117.0, 123.0]}),
    "dsd-zoo.notes": json.dumps(["the layer 'data' was dropped"]),
}


def conv(graph: Graph, x: ir.Value, name: str, shape: tuple, *, kernel: int, pad: int = 0) -> ir.Value:
    with graph.layer(name):
        weight = graph.parameter("weight", values(shape[1], x.shape[1], kernel, kernel) / 4)
        bias = graph.parameter("bias", values(shape[1]))
        y = graph.node("Conv", x, weight, bias, shape=shape, kernel_shape=[kernel] * 2, pads=[pad] * 4)
        graph.name_result(y, name, name)
    with graph.layer(f"relu_{name}"):
        y = graph.node("Relu", y)
        graph.name_result(y, f"relu_{name}", f"relu_{name}")
    return y


def fire_net(metadata=METADATA) -> ir.Model:
    """A fire module, a residual block, Caffe's poolings and a classifier."""
    graph = Graph("fire-net")
    x = graph.input("data", (N, 3, 16, 16))
    x = conv(graph, x, "conv1", (N, 4, 14, 14), kernel=3)
    with graph.layer("pool1"):
        x = graph.node(
            "MaxPool", x, shape=(N, 4, 7, 7), kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]
        )
        graph.name_result(x, "pool1", "pool1")
    small = conv(graph, x, "fire2/expand1x1", (N, 2, 7, 7), kernel=1)
    large = conv(graph, x, "fire2/expand3x3", (N, 2, 7, 7), kernel=3, pad=1)
    with graph.layer("fire2/concat"):
        x = graph.node("Concat", small, large, shape=(N, 4, 7, 7), axis=1)
        graph.name_result(x, "fire2/concat", "fire2/concat")
    branch = conv(graph, x, "res3", (N, 4, 7, 7), kernel=3, pad=1)
    with graph.layer("sum3"):
        x = graph.node("Add", branch, x)
        graph.name_result(x, "sum3", "sum3")
    with graph.layer("pool3"):
        x = graph.node("Pad", x, np.array([0, 0, 1, 1, 0, 0, 1, 1]), shape=(N, 4, 9, 9))
        x = graph.node(
            "AveragePool", x, shape=(N, 4, 4, 4), kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 0, 0],
            count_include_pad=0,
        )  # fmt: skip
        graph.name_result(x, "pool3", "pool3")
    with graph.layer("fc4"):
        x = graph.reshape(x, (N, 64))
        x = graph.node(
            "Gemm", x, graph.parameter("weight", values(10, 64)), graph.parameter("bias", values(10)),
            shape=(N, 10), transB=1,
        )  # fmt: skip
        graph.name_result(x, "fc4", "fc4")
    with graph.layer("prob"):
        x = graph.node("Softmax", x, axis=1)
        graph.name_result(x, "prob", "prob")
    return graph.model({"prob": x}, metadata)


def shared_layers() -> ir.Model:
    graph = Graph("siamese")
    a, b = graph.input("a", (N, 3)), graph.input("b", (N, 3))
    with graph.layer("fc"):
        weight, bias = graph.parameter("weight", values(4, 3)), graph.parameter("bias", values(4))
        fc = graph.node("Gemm", a, weight, bias, shape=(N, 4), transB=1)
        graph.name_result(fc, "fc", "fc")
    with graph.layer("fc_p"):
        fc_p = graph.node("Gemm", b, weight, bias, shape=(N, 4), transB=1)
        graph.name_result(fc_p, "fc_p", "fc_p")
    with graph.layer("other"):
        other = graph.node("Gemm", b, weight, shape=(N, 4), transB=1)
    with graph.layer("join"):
        joined = graph.node("Add", fc_p, other)
    return graph.model({"fc": fc, "joined": joined})


def onnx_outputs(model: ir.Model, folder, *inputs: np.ndarray) -> list[np.ndarray]:
    to_onnx.save(model, folder / "reference.onnx")
    return onnx_run(folder / "reference.onnx", *inputs)


def onnx_run(path, *inputs: np.ndarray) -> list[np.ndarray]:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {i.name: a for i, a in zip(session.get_inputs(), inputs, strict=True)})
