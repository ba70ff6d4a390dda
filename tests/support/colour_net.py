"""A net that scores mean colours, small enough to know every answer, and the preprocessing that suits it."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from zoo.preprocessing.settings import Preprocessing

PLAIN = Preprocessing(flavour="caffe-warp8", crop=8)
# Six classes: how blue, green, red, and how little of each.
WEIGHTS = np.vstack([np.eye(3), -np.eye(3)]).astype(np.float32)


def save_net(path, *, batch: int | str = "N", side: int = 8, weights: np.ndarray = WEIGHTS):
    """A net that scores mean colours: (N, 3, side, side) -> (N, classes, 1, 1)."""
    classes = len(weights)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["data", "weight"], ["map"]),
            helper.make_node("GlobalAveragePool", ["map"], ["prob"]),
        ],
        "net",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, [batch, 3, side, side])],
        [helper.make_tensor_value_info("prob", TensorProto.FLOAT, [batch, classes, 1, 1])],
        [numpy_helper.from_array(weights[:, :, None, None], "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(model, path)
    return path
