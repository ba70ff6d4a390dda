#!/usr/bin/env bash
# OpenCV 4.14.0.94, cv2.dnn.readNetFromCaffe: LRN without alpha takes 0.0001 for it, and k is never read.
#
# caffe.proto gives LRNParameter alpha a default of 1 and k a default of 1. A definition that leaves alpha out is
# normalised 10,000 times too weakly by OpenCV, which is hardly at all; one that sets k gets 1. Nothing warns.
# Seen: see EXPECTED below; three channels of one value, local_size 3, Caffe's numbers computed from the formula
# x_c / (k + alpha / 3 * sum of the squares of the neighbours) ** 0.75.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opencv-python-headless==4.14.0.94 numpy==2.4.6
cat > "$folder/lrn.py" <<'PY'
import cv2
import numpy as np

x = np.array([1, 2, 3], np.float32).reshape(1, 3, 1, 1)
sums = np.array([1 + 4, 1 + 4 + 9, 4 + 9])
for fields, alpha, k in (("alpha: 1", 1, 1), ("", 1, 1), ("alpha: 1 k: 2", 1, 2)):
    definition = f"""
    input: "x" input_shape {{ dim: 1 dim: 3 dim: 1 dim: 1 }}
    layer {{ name: "y" type: "LRN" bottom: "x" top: "y" lrn_param {{ local_size: 3 beta: 0.75 {fields} }} }}
    """
    net = cv2.dnn.readNetFromCaffe(np.frombuffer(definition.encode(), np.uint8))
    net.setInput(x)
    caffe = x.ravel() / (k + alpha / 3 * sums) ** 0.75
    for name, values in (("caffe", caffe), ("opencv", net.forward().ravel())):
        print(f"{{{fields}}}", name, *(f"{value:.4f}" for value in values))
PY
cat > "$folder/expected" <<'EXPECTED'
{alpha: 1} caffe 0.4792 0.5445 0.8548
{alpha: 1} opencv 0.4792 0.5445 0.8548
{} caffe 0.4792 0.5445 0.8548
{} opencv 0.9999 1.9993 2.9990
{alpha: 1 k: 2} caffe 0.3774 0.4821 0.7514
{alpha: 1 k: 2} opencv 0.4792 0.5445 0.8548
EXPECTED
"$folder/venv/bin/python" "$folder/lrn.py" | diff "$folder/expected" -
echo "still so: OpenCV's Caffe reader has another default of alpha and passes over k"
