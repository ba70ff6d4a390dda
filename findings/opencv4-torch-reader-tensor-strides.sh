#!/usr/bin/env bash
# OpenCV 4.14.0.94 (opencv-python-headless), cv2.dnn.readNetFromTorch: the strides of a tensor are not followed.
#
# Torch7 writes a tensor as sizes, strides, an offset and its storage. A weight that was set from a transposed view
# (m.weight = w:t()) is saved with strides (1, n), and Torch7 reads it back as it was. OpenCV reads the storage row
# by row as if every tensor were contiguous, so the layer computes with the transposed numbers. Nothing warns.
# Seen: see EXPECTED below; one nn.Linear of 2 inputs and 2 outputs with the weight [[1, 2], [3, 4]], saved both ways.
# For the input (1, 10) the layer gives (21, 43).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opencv-python-headless==4.14.0.94 numpy==2.4.6
cat > "$folder/strides.py" <<'PY'
import struct
import sys

import cv2
import numpy as np

# The format of Torch7: a type tag (int32) before each value; objects and tables carry an index (int32).
NUMBER, STRING, TABLE, OBJECT = 1, 2, 3, 4


class Writer:
    def __init__(self):
        self.content, self.index = b"", 0

    def text(self, text):
        self.content += struct.pack("<i", len(text)) + text.encode()

    def begin(self, tag, name=None):
        self.index += 1
        self.content += struct.pack("<ii", tag, self.index)
        if name is not None:
            self.text("V 1")
            self.text(name)

    def tensor(self, sizes, strides, values):
        self.begin(OBJECT, "torch.FloatTensor")
        self.content += struct.pack(f"<i{len(sizes)}q{len(strides)}qq", len(sizes), *sizes, *strides, 1)
        self.begin(OBJECT, "torch.FloatStorage")
        self.content += struct.pack(f"<q{len(values)}f", len(values), *values)

    def fields(self, **fields):
        self.begin(TABLE)
        self.content += struct.pack("<i", len(fields))
        for name, write in fields.items():
            self.content += struct.pack("<i", STRING)
            self.text(name)
            write()


for name, strides, values in (("contiguous", (2, 1), (1, 2, 3, 4)), ("transposed", (1, 2), (1, 3, 2, 4))):
    file = Writer()
    file.begin(OBJECT, "nn.Linear")
    file.fields(
        weight=lambda: file.tensor((2, 2), strides, values),
        bias=lambda: file.tensor((2,), (1,), (0, 0)),
    )
    path = f"{sys.argv[1]}/{name}.t7"
    with open(path, "wb") as stream:
        stream.write(file.content)
    net = cv2.dnn.readNetFromTorch(path)
    net.setInput(np.array([[1, 10]], np.float32))
    print(name, *(f"{value:g}" for value in net.forward().ravel()))
PY
cat > "$folder/expected" <<'EXPECTED'
contiguous 21 43
transposed 31 42
EXPECTED
"$folder/venv/bin/python" "$folder/strides.py" "$folder" | diff "$folder/expected" -
echo "still so: OpenCV's Torch reader takes every tensor as contiguous"
