"""Decoding, inference and validation as `dsd-zoo bench` measures them; what an image costs from a pack."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from images import write_jpegs
from inference import NETS, written
from measurement import Row, Settings, measurement
from onnx import TensorProto, helper, numpy_helper, save
from processes import cost_of, least

import converters
from zoo.environment import processors

PREPARATION = ("--flavour", "caffe-warp256", "--mean", "104,117,123")


@measurement(
    "validation",
    "Images a second from JPEGs of 500x375 and from a pack, ONNX Runtime; the share is of the slower of "
    "decoding and inference, or of what they leave each other on the same processors (`dsd-zoo bench`).",
)
def validation(settings: Settings) -> list[Row]:
    """`dsd-zoo bench` on each net, from both sources."""
    folder, zoo = settings.folder, [sys.executable, "-m", "zoo"]
    images = write_jpegs(folder / "jpegs", 64 if settings.quick else 256)
    pack = folder / "jpegs.pack"
    if not pack.exists():
        cost_of([*zoo, "pack", "--data", images, "--flavour", "caffe-warp256", "-o", pack], folder)
    rows: list[Row] = []
    for name in ("squeezenet",) if settings.quick else NETS:
        sources, size = written(settings, name)
        net = folder / f"{name}.onnx"
        converters.convert(sources, net)
        row: Row = {"net": name}
        for source, data in (("JPEGs", images), ("pack", pack)):
            command = [*zoo, "bench", net, "--data", data, *PREPARATION, "--crop", size, "--runtime", "onnx"]
            seconds = 2 if settings.quick else 5
            found = json.loads(cost_of([*command, "--seconds", seconds, "--json"], folder).output)
            if source == "JPEGs":
                row |= {"decoding": found["decoding"], "inference": found["inference"]}
            row[f"from {source}"] = found["validation"]
            row[f"{source}: of the slower, %"] = 100 * found["share_of_slower"]
            row[f"{source}: of what they leave, %"] = 100 * found["share_of_bound"]
        rows.append(row)
    return rows


@measurement(
    "decoding",
    "Images a second on all processors, in turns, the highest of 5: read, hashed, checked and decoded; the "
    "same and resized; and decoded by libjpeg-turbo alone, from memory, or read as well. The shares are of "
    "the last two.",
)
def decoding(settings: Settings) -> list[Row]:
    """What the loader does without and with resizing, and bare decoding in as many threads."""
    from zoo.datasets import open_dataset
    from zoo.datasets.loader import load_samples
    from zoo.preprocessing import preprocessor
    from zoo.preprocessing.settings import Preprocessing
    from zoo.runtimes.memory import keep_freed_memory

    images = write_jpegs(settings.folder / "jpegs", 64 if settings.quick else 256)
    prepare = preprocessor(Preprocessing(flavour="caffe-warp256", crop=227, mean=[104, 117, 123]), None, None)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    keep_freed_memory()
    with open_dataset(images, None) as data, ThreadPoolExecutor(processors()) as pool:
        contents = [np.frombuffer(sample.read(), np.uint8) for sample in data.samples]
        paths = [images / name for name in data.samples.names]
        loaded = partial(load_samples, data.samples, ahead=32, workers=processors())
        ways: dict[str, Callable[[], Iterable[object]]] = {
            "decoded": lambda: loaded(prepare.decode),
            "decoded and resized": lambda: loaded(prepare),
            "libjpeg-turbo": lambda: pool.map(lambda content: cv2.imdecode(content, flags), contents),
            "libjpeg-turbo and reading": lambda: pool.map(
                lambda path: cv2.imdecode(np.fromfile(path, np.uint8), flags), paths
            ),
        }
        cv2.setNumThreads(1)
        best = dict.fromkeys(ways, 0.0)
        for _ in range(settings.rounds(5)):
            for name, run in ways.items():
                start = time.perf_counter()
                for _ in run():
                    pass
                best[name] = max(best[name], len(contents) / (time.perf_counter() - start))
    return [
        {
            **best,
            "decoded: share": best["decoded"] / best["libjpeg-turbo"],
            "decoded: share of both": best["decoded"] / best["libjpeg-turbo and reading"],
        }
    ]


@measurement(
    "feeding",
    "Processor time an image in ms of `validate` from a pack with a net that costs nothing: 64x64 pixels, "
    "batches of 64; the difference between a long and a short run, so that start-up falls out; least of 3.",
)
def feeding(settings: Settings) -> list[Row]:
    """What one image costs beside decoding and the net."""
    folder = settings.folder
    count, few = (2_000, 500) if settings.quick else (12_000, 1_000)
    net, pack = _cheap_net(folder / "cheap.onnx"), folder / "small.pack"
    if not pack.exists():
        images = _small_images(folder / "small", count)
        cost_of(
            [sys.executable, "-m", "zoo", "pack", "--data", images, "--flavour", "caffe-stored", "-o", pack],
            folder,
        )
    row: Row = {"images": f"{count:,}"}
    costs: dict[str, float] = {}
    for prefix, python in settings.builds.items():
        seconds = {}
        for limit in (few, count):
            command = [
                python,
                "-m",
                "zoo",
                "validate",
                net,
                "--data",
                pack,
                "--flavour",
                "caffe-stored",
                "--crop",
                64,
            ]
            command += ["--mean", 0, "--batch-size", 64, "--limit", limit, "--out", folder / "fed"]
            runs = []
            for _ in range(settings.rounds(3)):
                shutil.rmtree(folder / "fed", ignore_errors=True)
                runs.append(cost_of(command, folder))
            seconds[limit] = least(runs).processor
        costs[prefix] = 1000 * (seconds[count] - seconds[few]) / (count - few)
        row[f"{prefix}ms an image".strip()] = costs[prefix]
    if "baseline " in costs:
        row["times less"] = costs["baseline "] / costs[""]
    return [row]


def _cheap_net(path: Path) -> Path:
    """The first pixel, its channels repeated to ten classes: nearly nothing is read or computed."""
    nodes = [
        helper.make_node("Slice", ["data", "zeros", "ones", "axes"], ["pixel"]),
        helper.make_node("Flatten", ["pixel"], ["channels"]),
        helper.make_node("Gather", ["channels", "classes"], ["prob"], axis=1),
    ]
    constants = [
        numpy_helper.from_array(np.array(values, np.int64), name)
        for name, values in (("zeros", [0, 0]), ("ones", [1, 1]), ("axes", [2, 3]))
    ]
    classes = numpy_helper.from_array(np.arange(10) % 3, "classes")
    data = helper.make_tensor_value_info("data", TensorProto.FLOAT, ["N", 3, 64, 64])
    prob = helper.make_tensor_value_info("prob", TensorProto.FLOAT, ["N", 10])
    graph = helper.make_graph(nodes, "cheap", [data], [prob], [*constants, classes])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


def _small_images(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:05}.png"), random.integers(0, 256, (64, 64, 3), np.uint8))
    (folder / "labels.txt").write_text("".join(f"{n:05}.png {n % 10}\n" for n in range(count)))
    return folder
