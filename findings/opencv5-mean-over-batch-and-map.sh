#!/usr/bin/env bash
# OpenCV 5.0.0.93, cv2.dnn: ReduceMean over the axes 0, 2 and 3 of an ONNX model is wrong.
#
# The mean of each channel over a batch of maps is what batch normalisation computes where a net keeps no statistics
# (Caffe's BatchNorm with use_global_stats: false). OpenCV averages other values than those of the
# channel. Nothing warns. Averaging over the axes 2 and 3 first, then over the axis 0, gives the right numbers.
# Seen: see EXPECTED below; x holds the numbers 0 to 47, so the means are 19.5, 23.5 and 27.5.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opencv-python-headless==5.0.0.93 onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
cat > "$folder/mean.py" <<'PY'
import cv2
import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, numpy_helper

x = np.arange(48, dtype=np.float32).reshape(4, 3, 2, 2)


def means(*steps):
    """The means by ONNX Runtime and by OpenCV, with one ReduceMean for each tuple of axes."""
    nodes, constants, value = [], [], "x"
    for at, axes in enumerate(steps):
        constants.append(numpy_helper.from_array(np.array(axes, np.int64), f"axes{at}"))
        nodes.append(helper.make_node("ReduceMean", [value, f"axes{at}"], [f"mean{at}"], keepdims=1))
        value = f"mean{at}"
    graph = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 3, 2, 2])],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, [1, 3, 1, 1])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    checker.check_model(model, full_check=True)
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    net = cv2.dnn.readNetFromONNX(np.frombuffer(content, np.uint8))
    net.setInput(x)
    return session.run(None, {"x": x})[0].ravel(), net.forward().ravel()


for name, steps in (("axes 0,2,3", [(0, 2, 3)]), ("axes 2,3 then 0", [(2, 3), (0,)])):
    for runtime, values in zip(("onnxruntime", "opencv"), means(*steps)):
        print(name, runtime, *(f"{value:g}" for value in values))
PY
cat > "$folder/expected" <<'EXPECTED'
axes 0,2,3 onnxruntime 19.5 23.5 27.5
axes 0,2,3 opencv 10.5 14.5 18.5
axes 2,3 then 0 onnxruntime 19.5 23.5 27.5
axes 2,3 then 0 opencv 19.5 23.5 27.5
EXPECTED
"$folder/venv/bin/python" "$folder/mean.py" | diff "$folder/expected" -
echo "still so: OpenCV's dnn is wrong about a mean over the axes 0, 2 and 3"
