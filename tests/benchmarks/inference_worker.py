"""Computes batches of one net in one runtime, a turn for each line of standard input.

    python inference_worker.py RUNTIME SIZE BATCH FOLDER NET.prototxt NET.caffemodel

It is a process of its own because the Python that runs it may be another one: that of an environment with
OpenCV 4, or with another version of this project. Each line of standard input is how many batches a turn
has. The answer is a line of JSON: "images", "wall" and "processor" seconds of the turn. The first line of
output is about the net: "version" of the runtime, "at_once" batches side by side.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

# A runtime: computes a batch.
Compute = Callable[[np.ndarray], object]


def opencv(sources: list[Path], folder: Path) -> tuple[Compute, int, str]:
    """OpenCV's reader of Caffe files; its threads share a batch."""
    import cv2

    net = cv2.dnn.readNetFromCaffe(*map(str, sources))

    def compute(batch: np.ndarray) -> object:
        net.setInput(batch)
        return net.forward()

    return compute, 1, cv2.__version__


def own(runtime: str, sources: list[Path], folder: Path) -> tuple[Compute, int, str]:
    """A runtime of this project, with the net that this project converts."""
    import converters
    from zoo.environment import sleep_while_waiting
    from zoo.runtimes import open_runtime

    sleep_while_waiting()
    net = folder / ("net.py" if runtime == "pytorch" else "net.onnx")
    converters.convert(sources, net)
    opened = open_runtime(runtime, net)
    about = opened.describe()
    version = next(about[key] for key in ("onnxruntime", "openvino", "torch") if key in about)
    return opened.run, opened.at_once, version


def main() -> None:
    runtime, size, images, folder, *sources = sys.argv[1:]
    files = [Path(source) for source in sources]
    if runtime == "opencv":
        compute, at_once, version = opencv(files, Path(folder))
    else:
        compute, at_once, version = own(runtime, files, Path(folder))
    shape = (int(images), 3, int(size), int(size))
    batch = np.random.default_rng(0).uniform(-128, 128, shape).astype(np.float32)
    print(json.dumps({"version": version, "at_once": at_once}), flush=True)
    with ThreadPoolExecutor(at_once) as pool:
        for line in sys.stdin:
            count = int(line) * at_once
            wall, processor = time.perf_counter(), time.process_time()
            list(pool.map(compute, [batch] * count))
            turn = {
                "images": count * len(batch),
                "wall": time.perf_counter() - wall,
                "processor": time.process_time() - processor,
            }
            print(json.dumps(turn), flush=True)


if __name__ == "__main__":
    main()
