#!/usr/bin/env bash
# torchfile 0.1.0 with numpy 2.4.6 (all since 1.25): a .t7 that holds a list of tensors cannot be read.
#
# torchfile turns a Lua table with the keys 1 to n into a Python list and asks of each element whether it is the table
# itself (`elem == obj`). Its dictionary class answers None to every attribute that it does not have, so also to
# numpy's question for an array interface. numpy up to 1.24 gave up the comparison with a DeprecationWarning; since
# 1.25 it raises "invalid __array_struct__". Any table of tensors does it: saved activations of nn.ParallelTable,
# data sets, parameters from net:parameters(). load(PATH, use_list_heuristic=False) is the way around.
# Seen: see EXPECTED below, and with numpy 1.26.4; with 1.24.4 the list is read; the file is
# torch.save('list.t7', {torch.FloatTensor{1, 2}, torch.FloatTensor{3, 4}}).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torchfile==0.1.0 numpy==2.4.6
cat > "$folder/list.py" <<'PY'
import struct
import sys

import numpy
import torchfile


def text(value):
    return struct.pack("<i", len(value)) + value


def tensor(index, *values):
    """A tensor of one axis: type tag 4 (an object), its index, version and class, then the storage likewise."""
    head = struct.pack("<ii", 4, index) + text(b"V 1") + text(b"torch.FloatTensor")
    storage = struct.pack("<ii", 4, index + 1) + text(b"V 1") + text(b"torch.FloatStorage")
    layout = struct.pack("<iqqq", 1, len(values), 1, 1)
    return head + layout + storage + struct.pack(f"<q{len(values)}f", len(values), *values)


with open(sys.argv[1], "wb") as stream:
    # Type tag 3 (a table), its index, the number of its entries; a key is type tag 1 (a number).
    stream.write(struct.pack("<iii", 3, 1, 2))
    stream.write(struct.pack("<id", 1, 1) + tensor(2, 1, 2) + struct.pack("<id", 1, 2) + tensor(4, 3, 4))
for options in ({}, {"use_list_heuristic": False}):
    try:
        tensors = torchfile.load(sys.argv[1], **options)
        keys = range(len(tensors)) if isinstance(tensors, list) else tensors
        result = " ".join(str(tensors[key].tolist()) for key in keys)
    except ValueError as error:
        result = f"ValueError: {error}"
    print(numpy.__version__, options, result)
PY
cat > "$folder/expected" <<'EXPECTED'
2.4.6 {} ValueError: invalid __array_struct__
2.4.6 {'use_list_heuristic': False} [1.0, 2.0] [3.0, 4.0]
EXPECTED
"$folder/venv/bin/python" "$folder/list.py" "$folder/list.t7" | diff "$folder/expected" -
echo "still so: torchfile cannot read a list of tensors with numpy 1.25 and later"
