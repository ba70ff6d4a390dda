#!/usr/bin/env bash
# OpenCV 5.0.0.93, cv2.dnn: MatMul with a constant whose batch axes are repeated takes the wrong matrices.
#
# MatMul of 3 x 2 x n x k with a constant of 3 x 1 x k x m multiplies the matrices of item i with the constant's
# matrix i. OpenCV stays too long at each matrix and never comes to the last. A constant of full size (3 x 2 x k x m)
# is right. Nothing warns.
# Seen: see EXPECTED below; the constant's matrices are 1, 10 and 100, the other factor is 1 everywhere.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opencv-python-headless==5.0.0.93 onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
cat > "$folder/product.py" <<'PY'
import cv2
import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, numpy_helper

x = np.ones((3, 2, 1, 1), np.float32)
repeated = np.array([1, 10, 100], np.float32).reshape(3, 1, 1, 1)
full = np.repeat(repeated, 2, axis=1)
for name, constant in (("repeated", repeated), ("full", full)):
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "constant"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 2, 1, 1])],
        [numpy_helper.from_array(constant, "constant")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    checker.check_model(model, full_check=True)
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    print(name, "onnxruntime", *(f"{value:g}" for value in session.run(None, {"x": x})[0].ravel()))
    net = cv2.dnn.readNetFromONNX(np.frombuffer(content, np.uint8))
    net.setInput(x)
    print(name, "opencv", *(f"{value:g}" for value in net.forward().ravel()))
PY
cat > "$folder/expected" <<'EXPECTED'
repeated onnxruntime 1 1 10 10 100 100
repeated opencv 1 1 1 1 10 10
full onnxruntime 1 1 10 10 100 100
full opencv 1 1 10 10 100 100
EXPECTED
"$folder/venv/bin/python" "$folder/product.py" | diff "$folder/expected" -
echo "still so: OpenCV's dnn takes the wrong matrices of a repeated constant"
