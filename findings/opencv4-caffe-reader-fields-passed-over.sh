#!/usr/bin/env bash
# OpenCV 4.14.0.94, cv2.dnn.readNetFromCaffe: fields of Log, Swish and Pooling are passed over without a word.
#
# log_param { base scale shift }, swish_param { beta } and pooling_param { pad_h } without pad_w are in BVLC Caffe's
# caffe.proto, and OpenCV's own copy of it parses them. The layers are then made without them: Log is the natural
# logarithm of its input, Swish has beta 1, and the map has no padding and so another size. The like fields of Exp,
# Power, ELU and ReLU are followed.
# Seen: see EXPECTED below; Caffe's numbers from its formulas: log_base(scale x + shift), x / (1 + exp(-beta x)), and
# an average over 3x3 with one row of padding above and below a 3x3 map of ones.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opencv-python-headless==4.14.0.94 numpy==2.4.6
cat > "$folder/fields.py" <<'PY'
import cv2
import numpy as np

x = np.array([[1, 2, 4]], np.float32)
ones = np.ones((1, 1, 3, 3), np.float32)
layers = (
    ("Log", "log_param { base: 2 scale: 0.5 shift: 3 }", x, np.log2(0.5 * x + 3)),
    ("Exp", "exp_param { base: 2 scale: 0.5 shift: 3 }", x, 2 ** (0.5 * x + 3)),
    ("Swish", "swish_param { beta: 2 }", x, x / (1 + np.exp(-2 * x))),
    ("Pooling", "pooling_param { pool: AVE kernel_size: 3 pad_h: 1 pad_w: 0 }", ones, np.array([2 / 3, 1, 2 / 3])),
    ("Pooling", "pooling_param { pool: AVE kernel_size: 3 pad_h: 1 }", ones, np.array([2 / 3, 1, 2 / 3])),
)
for kind, fields, value, caffe in layers:
    sizes = " ".join(f"dim: {size}" for size in value.shape)
    definition = f"""
    input: "x" input_shape {{ {sizes} }}
    layer {{ name: "y" type: "{kind}" bottom: "x" top: "y" {fields} }}
    """
    net = cv2.dnn.readNetFromCaffe(np.frombuffer(definition.encode(), np.uint8))
    net.setInput(value)
    for name, values in (("caffe", caffe.ravel()), ("opencv", net.forward().ravel())):
        print(fields, name, *(f"{value:.4f}" for value in values))
PY
cat > "$folder/expected" <<'EXPECTED'
log_param { base: 2 scale: 0.5 shift: 3 } caffe 1.8074 2.0000 2.3219
log_param { base: 2 scale: 0.5 shift: 3 } opencv 0.0000 0.6931 1.3863
exp_param { base: 2 scale: 0.5 shift: 3 } caffe 11.3137 16.0000 32.0000
exp_param { base: 2 scale: 0.5 shift: 3 } opencv 11.3137 16.0000 32.0000
swish_param { beta: 2 } caffe 0.8808 1.9640 3.9987
swish_param { beta: 2 } opencv 0.7311 1.7616 3.9281
pooling_param { pool: AVE kernel_size: 3 pad_h: 1 pad_w: 0 } caffe 0.6667 1.0000 0.6667
pooling_param { pool: AVE kernel_size: 3 pad_h: 1 pad_w: 0 } opencv 0.6667 1.0000 0.6667
pooling_param { pool: AVE kernel_size: 3 pad_h: 1 } caffe 0.6667 1.0000 0.6667
pooling_param { pool: AVE kernel_size: 3 pad_h: 1 } opencv 1.0000
EXPECTED
"$folder/venv/bin/python" "$folder/fields.py" | diff "$folder/expected" -
echo "still so: OpenCV's Caffe reader passes over these fields"
