#!/usr/bin/env bash
# OpenCV 5.0.0.93, cv2.dnn: a 1x1 convolution of an ONNX model ignores its padding.
#
# With pads of 1 a 1x1 convolution makes a map of H+2 by W+2 whose border is the bias. OpenCV computes the H by W
# values and lays them one after the other at the start of the larger map; the rest of it holds whatever was there.
# Nothing warns. SqueezeNet v1.0 ends in such a convolution, and networks of 2015 and 2016 have more of them. A Pad
# before a convolution without padding is the way around.
# Seen: see EXPECTED below, two 2x2 maps added up, no bias. Only the first four values are compared for OpenCV, because
# what follows them was never written. One input channel with one output channel takes another path and is right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opencv-python-headless==5.0.0.93 onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
cat > "$folder/padding.py" <<'PY'
import cv2
import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, numpy_helper

x = np.array([1, 2, 3, 4, 0, 0, 0, 0], np.float32).reshape(1, 2, 2, 2)
weight = numpy_helper.from_array(np.ones((1, 2, 1, 1), np.float32), "weight")
graph = helper.make_graph(
    [helper.make_node("Conv", ["x", "weight"], ["y"], kernel_shape=[1, 1], pads=[1, 1, 1, 1])],
    "padded",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 2, 2])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 4, 4])],
    [weight],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
checker.check_model(model, full_check=True)
content = model.SerializeToString()
session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
print("onnxruntime", *(f"{value:g}" for value in session.run(None, {"x": x})[0].ravel()))
net = cv2.dnn.readNetFromONNX(np.frombuffer(content, np.uint8))
net.setInput(x)
y = net.forward()
print("opencv", y.shape, *(f"{value:g}" for value in y.ravel()[:4]))
PY
cat > "$folder/expected" <<'EXPECTED'
onnxruntime 0 0 0 0 0 1 2 0 0 3 4 0 0 0 0 0
opencv (1, 1, 4, 4) 1 2 3 4
EXPECTED
"$folder/venv/bin/python" "$folder/padding.py" | diff "$folder/expected" -
echo "still so: OpenCV's dnn ignores the padding of a 1x1 convolution"
