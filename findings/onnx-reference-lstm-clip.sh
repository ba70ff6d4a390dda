#!/usr/bin/env bash
# onnx 1.23.2, onnx.reference.ReferenceEvaluator: LSTM takes the attribute clip and does not clip.
#
# The operator bounds the input of every activation to -clip..clip. The LSTM of Caffe forks with a clipping
# threshold needs it. The reference evaluator accepts the attribute and computes as if it were absent,
# without a warning, so it is no oracle for such nets.
# Seen: see EXPECTED below; one step of one cell whose gates all see 10: with clip 1 the result is
# sigmoid(1) tanh(sigmoid(1) tanh(1)), which ONNX Runtime 1.31.1 gives.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
cat > "$folder/clip.py" <<'PY'
import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

x = np.array([[[10]]], np.float32)
graph = helper.make_graph(
    [helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=1, clip=1.0)],
    "clipped",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 1])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 1, 1])],
    [
        numpy_helper.from_array(np.ones((1, 4, 1), np.float32), "w"),
        numpy_helper.from_array(np.zeros((1, 4, 1), np.float32), "r"),
    ],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
checker.check_model(model, full_check=True)
gate = 1 / (1 + np.exp(-1))
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
print(f"definition {gate * np.tanh(gate * np.tanh(1)):.5f}")
print(f"onnxruntime {session.run(None, {'x': x})[0].item():.5f}")
print(f"reference {ReferenceEvaluator(model).run(None, {'x': x})[0].item():.5f}")
PY
cat > "$folder/expected" <<'EXPECTED'
definition 0.36961
onnxruntime 0.36961
reference 0.76154
EXPECTED
"$folder/venv/bin/python" "$folder/clip.py" | diff "$folder/expected" -
echo "still so: the reference evaluator does not clip"
