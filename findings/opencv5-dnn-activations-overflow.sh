#!/usr/bin/env bash
# OpenCV 5.0.0.93, cv2.dnn: Softplus and LogSoftmax of an ONNX model overflow for ordinary float32 input.
#
# Softplus(x) is x for large x; OpenCV computes log(1 + exp(x)) and gives infinity from about 88.7 on. LogSoftmax is
# finite for finite input; OpenCV computes log(softmax(x)) and gives -infinity for every score far enough below the
# largest one.
# Nothing warns. Scores of a classifier that ends in LogSoftmax are affected: all but the first classes tie.
# Seen: see EXPECTED below; ONNX Runtime 1.31.1 gives the finite values.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opencv-python-headless==5.0.0.93 onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
cat > "$folder/overflow.py" <<'PY'
import sys

import cv2
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

x = np.array([[-200, 0, 80, 90, 200]], np.float32)
for operator in ("Softplus", "LogSoftmax"):
    graph = helper.make_graph(
        [helper.make_node(operator, ["x"], ["y"])],
        operator,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5])],
    )
    path = f"{sys.argv[1]}/{operator}.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    net = cv2.dnn.readNetFromONNX(path)
    net.setInput(x)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    print(operator, "onnxruntime", *(f"{value:g}" for value in session.run(None, {"x": x})[0].ravel()))
    print(operator, "opencv", *(f"{value:g}" for value in net.forward().ravel()))
PY
cat > "$folder/expected" <<'EXPECTED'
Softplus onnxruntime 0 0.693147 80 90 200
Softplus opencv 0 0.693147 80 inf inf
LogSoftmax onnxruntime -400 -200 -120 -110 0
LogSoftmax opencv -inf -inf -inf -inf 0
EXPECTED
"$folder/venv/bin/python" "$folder/overflow.py" "$folder" | diff "$folder/expected" -
echo "still so: finite input gives infinities in OpenCV's dnn"
