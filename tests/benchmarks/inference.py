"""How fast nets compute, in each runtime here, in OpenCV 4's Caffe reader and in another build of ours."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from architectures import ARCHITECTURES
from measurement import Row, Settings, Unavailable, measurement

from zoo.runtimes import installed_runtimes

NETS = ("alexnet", "googlenet", "squeezenet", "resnet-18", "resnet-50", "densenet-121")
MORE_NETS = (*NETS, *(name for name in ARCHITECTURES if name not in NETS))
BATCH = 4
WORKER = Path(__file__).with_name("inference_worker.py")


@dataclass
class Worker:
    """A process that computes batches when told to; the least processor time an image, the highest rate."""

    name: str
    process: subprocess.Popen[str]
    milliseconds: float = float("inf")
    rate: float = 0.0

    def turn(self, batches: int) -> float:
        """Compute batches; returns the seconds that it took. RuntimeError if the process ended."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{batches}\n")
        self.process.stdin.flush()
        answer = self._line()
        self.milliseconds = min(self.milliseconds, 1000 * answer["processor"] / answer["images"])
        self.rate = max(self.rate, answer["images"] / answer["wall"])
        return float(answer["wall"])

    def _line(self) -> dict[str, float]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name}: the process that computes ended")
        found: dict[str, float] = json.loads(line)
        return found

    def ready(self) -> None:
        """Wait until its net is open, and compute once, so that caches are filled."""
        self._line()
        self.turn(1)
        self.milliseconds, self.rate = float("inf"), 0.0


@contextlib.contextmanager
def workers(settings: Settings, sources: Sequence[Path], size: int) -> Iterator[list[Worker]]:
    """A worker for each runtime of each build, and for OpenCV 4; all of them ready."""
    names = [name for name in ("onnx", "openvino", "pytorch") if name in installed_runtimes()]
    wanted = [
        (f"{prefix}{name}", python, name) for prefix, python in settings.builds.items() for name in names
    ]
    if settings.opencv4 is not None:
        wanted.append(("opencv 4", settings.opencv4, "opencv"))
    started: list[Worker] = []
    try:
        for name, python, runtime in wanted:
            folder = settings.folder / "workers" / name.replace(" ", "-")
            folder.mkdir(parents=True, exist_ok=True)
            command = [python, WORKER, runtime, size, BATCH, folder, *sources]
            process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            started.append(Worker(name, process))
        ready = []
        for worker in started:
            try:
                worker.ready()
            except RuntimeError as error:  # a build without that runtime
                print(f"left out: {error}", file=sys.stderr)
            else:
                ready.append(worker)
        yield ready
    finally:
        for worker in started:
            worker.process.kill()
            worker.process.communicate()


def written(settings: Settings, name: str) -> tuple[list[Path], int]:
    """The files of a net, written unless they are there, and the side of its images."""
    net = ARCHITECTURES[name]()
    files = [settings.folder / f"{name}.{ending}" for ending in ("prototxt", "caffemodel")]
    if not all(file.exists() for file in files):
        net.write(settings.folder)
    return files, net.size


def _measured(settings: Settings, nets: Sequence[str]) -> list[Row]:
    rows: list[Row] = []
    for name in nets:
        sources, size = written(settings, name)
        with workers(settings, sources, size) as ready:
            for _ in range(settings.rounds(8)):
                for worker in ready:
                    worker.turn(1)
            found = {worker.name: worker.milliseconds for worker in ready}
            rates = {worker.name: worker.rate for worker in ready}
        ours = min((key for key in found if key in installed_runtimes()), key=found.__getitem__)
        row: Row = {"net": name, **{f"{key}, ms": value for key, value in found.items()}}
        row |= {"fastest": ours, "images/s": rates[ours]}
        if "opencv 4" in found:
            row["times OpenCV 4"] = found["opencv 4"] / found[ours]
        if before := [value for key, value in found.items() if key.startswith("baseline ")]:
            row["times baseline"] = min(before) / found[ours]
        rows.append(row)
    return rows


def _mean(rows: list[Row]) -> Row:
    """The geometric means of the columns of ratios."""
    row: Row = dict.fromkeys(rows[0], "")
    row["net"] = "geometric mean"
    for key in rows[0]:
        if key.startswith("times "):
            row[key] = prod(float(r[key]) for r in rows) ** (1 / len(rows))
    return row


@measurement(
    "inference",
    "Processor time an image in ms (user and system, all threads), batches of 4 as `validate` runs them, in "
    "turns, the least of 8 rounds.",
)
def inference(settings: Settings) -> list[Row]:
    """The nets of the published claims, and a DenseNet."""
    rows = _measured(settings, NETS[2:4] if settings.quick else NETS)
    return [*rows, _mean(rows)] if any(key.startswith("times ") for key in rows[0]) else rows


@measurement("more-nets", "The same for other widely used nets.")
def more_nets(settings: Settings) -> list[Row]:
    """Nets that the zoo has no claim about."""
    if settings.quick:
        raise Unavailable("left out of a quick look")
    return _measured(settings, MORE_NETS[len(NETS) :])
