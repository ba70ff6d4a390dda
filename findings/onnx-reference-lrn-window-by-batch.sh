#!/usr/bin/env bash
# onnx 1.23.2, onnx.reference.ReferenceEvaluator: LRN normalises only as many channels as the batch has items.
#
# The operator sums squares over neighbouring channels, for every channel. The reference evaluator loops over
# x.shape[0], the batch, where it means the channels: with a batch of 1 the first channel is right and all others
# come out as they went in. With a batch larger than the number of channels it raises an IndexError. Anyone who takes
# the reference evaluator as the truth for AlexNet or GoogLeNet gets other scores than from any other runtime.
# Seen: see EXPECTED below; ONNX Runtime 1.31.1 gives what the operator's definition says.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
cat > "$folder/lrn.py" <<'PY'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

x = np.arange(1, 6, dtype=np.float32).reshape(1, 5, 1, 1)
shape = [1, 5, 1, 1]
node = helper.make_node("LRN", ["x"], ["y"], size=3, alpha=1.0, beta=1.0, bias=1.0)
graph = helper.make_graph(
    [node],
    "lrn",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
padded = np.pad(x.ravel() ** 2, 1)
definition = x.ravel() / (1 + (padded[:-2] + padded[1:-1] + padded[2:]) / 3)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
for name, y in (
    ("definition", definition),
    ("onnxruntime", session.run(None, {"x": x})[0]),
    ("reference", ReferenceEvaluator(model).run(None, {"x": x})[0]),
):
    print(name, *(f"{value:.4f}" for value in y.ravel()))
PY
cat > "$folder/expected" <<'EXPECTED'
definition 0.3750 0.3529 0.2812 0.2264 0.3409
onnxruntime 0.3750 0.3529 0.2812 0.2264 0.3409
reference 0.3750 2.0000 3.0000 4.0000 5.0000
EXPECTED
"$folder/venv/bin/python" "$folder/lrn.py" | diff "$folder/expected" -
echo "still so: the reference evaluator leaves all channels but the first as they are"
