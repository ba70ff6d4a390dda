#!/usr/bin/env bash
# OpenCV 5.0.0.93, cv2.dnn: forward(NAME) with an inner value of an ONNX model returns another layer's array.
#
# Programs of OpenCV 4 read features from inside a net with net.forward("fc7"). For an .onnx, OpenCV 5 takes the name
# of an inner value without a word and gives back the memory that this value had, in which a later layer may have
# written: below, asking for the first of four convolutions gives the result of the third. Only the names of the
# model's outputs are safe: making the inner value an output is the way around.
# Seen: see EXPECTED below; each line is the name asked for and the layer whose result came.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opencv-python-headless==5.0.0.93 onnx==1.23.2 numpy==2.4.6
cat > "$folder/inner.py" <<'PY'
import sys

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

random = np.random.RandomState(0)
shape = [1, 4, 8, 8]
x = random.standard_normal(shape).astype(np.float32)
weights = {name: random.standard_normal((4, 4, 1, 1)).astype(np.float32) for name in "abcd"}
truth, value = {}, x
for name, weight in weights.items():
    value = truth[name] = np.einsum("nchw,kc->nkhw", value, weight[:, :, 0, 0])
for outputs in ("d", "da"):
    nodes = [
        helper.make_node("Conv", [before, f"weight_{name}"], [name], name=name)
        for before, name in zip(["x", "a", "b", "c"], weights)
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in outputs],
        [numpy_helper.from_array(weight, f"weight_{name}") for name, weight in weights.items()],
    )
    path = f"{sys.argv[1]}/net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    net = cv2.dnn.readNetFromONNX(path)
    net.setInput(x)
    for asked in "ad":
        found = net.forward(asked)
        came = [name for name, right in truth.items() if np.abs(found - right).max() < 1e-3 * np.abs(right).max()]
        print("outputs", *outputs, "- asked for", asked, "came", *came)
PY
cat > "$folder/expected" <<'EXPECTED'
outputs d - asked for a came c
outputs d - asked for d came d
outputs d a - asked for a came a
outputs d a - asked for d came d
EXPECTED
"$folder/venv/bin/python" "$folder/inner.py" "$folder" | diff "$folder/expected" -
echo "still so: forward with the name of an inner value gives another layer's result"
