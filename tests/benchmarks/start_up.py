"""What a command costs before it does anything: processor time of the whole process."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
from definition import Definition
from measurement import Row, Settings, measurement
from processes import cost_of, least

import converters


def lenet() -> Definition:
    """LeCun et al. 1998, as Caffe's example, but for images in colour: a small net."""
    net = Definition("lenet", 28)
    x = net.pool(net.conv("data", "conv1", 20, 5), "pool1", "MAX", 2, stride=2)
    x = net.pool(net.conv(x, "conv2", 50, 5), "pool2", "MAX", 2, stride=2)
    x = net.fc(net.relu(net.fc(x, "ip1", 500)), "ip2", 10)
    net.other(x, "prob", "Softmax")
    return net


@measurement("start-up", "Processor time in seconds of the whole command, the least of 8, in turns.")
def start_up(settings: Settings) -> list[Row]:
    """Commands that do next to nothing."""
    folder = settings.folder
    sources = lenet().write(folder)
    net = folder / "lenet.onnx"
    converters.convert(sources, net)
    images = folder / "one"
    images.mkdir(exist_ok=True)
    cv2.imwrite(str(images / "0.png"), np.zeros((28, 28, 3), np.uint8))
    (images / "labels.txt").write_text("0.png 0\n")
    one = [
        "--data",
        images,
        "--flavour",
        "caffe-stored",
        "--crop",
        28,
        "--mean",
        0,
        "--out",
        folder / "one-run",
    ]
    commands = {
        "`dsd-zoo --help`": ["-m", "zoo", "--help"],
        "`dsd-zoo list`": ["-m", "zoo", "list"],
        "`dsd-zoo show vgg16-dsd`": ["-m", "zoo", "show", "vgg16-dsd"],
        "`dsd-zoo convert` of LeNet": ["-m", "zoo", "convert", *sources, "-o", folder / "converted.onnx"],
        "`dsd-zoo validate` of one image": ["-m", "zoo", "validate", net, *one],
        "loading ONNX Runtime and numpy alone": ["-c", "import numpy, onnxruntime"],
    }
    rows: list[Row] = []
    for name, command in commands.items():
        row: Row = {"command": name}
        for prefix, python in settings.builds.items():
            runs = []
            for _ in range(settings.rounds(8)):
                shutil.rmtree(folder / "one-run", ignore_errors=True)
                runs.append(cost_of([python, *command], folder))
            row[f"{prefix}s".strip()] = least(runs).processor
        rows.append(row)
    return rows
