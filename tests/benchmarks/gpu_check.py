"""Everything that only a GPU can tell, in one run of under eight minutes.

    make gpu-check [ARGS="--device cpu"]
    python tests/benchmarks/gpu_check.py [--device cuda|cpu] [--folder DIR] [--json FILE]

In this order, so that a run that is cut short has told the most: the tests that need a GPU; how far the
precisions and the two runtimes are from each other; images a second from a pack and from JPEGs, against what
the device can compute; trainings, alone and by several processes, against one on the processor. The nets have
weights from a seed.

Exit status 0 if all of it ran, 1 if a test failed or a step raised, 3 if there is no GPU. `--device cpu` goes
through every step on the processor instead, to try the script itself: with fewer nets, and only the
precisions that a processor has.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(ROOT)]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from architectures import ARCHITECTURES  # noqa: E402
from definition import Definition  # noqa: E402
from gpu_training import training_rows  # noqa: E402
from images import write_jpegs  # noqa: E402
from inference import NETS  # noqa: E402
from machine import description  # noqa: E402
from measured_tables import markdown_table  # noqa: E402
from measurement import Row, text_of  # noqa: E402
from processes import cost_of  # noqa: E402

import converters  # noqa: E402
from zoo.runtimes import all_runtimes, open_runtime  # noqa: E402

NO_GPU = 3
# Where tests skip that need a CUDA device.
CUDA_TESTS = (
    "tests/zoo/runtimes",
    "tests/zoo/preprocessing/test_tensors.py",
    "tests/zoo/evaluation/test_distributed.py",
)
TEST_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Check:
    """What the steps are given. nets: the definitions, by name, with their converted files in `folder`."""

    folder: Path
    device: str
    nets: dict[str, Definition]

    def file(self, net: str, runtime: str) -> Path:
        """The form of a net that a runtime takes."""
        return self.folder / (f"{net.replace('-', '_')}.py" if runtime == "pytorch" else f"{net}.onnx")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="keep scratch files here")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print(
            f"no GPU: PyTorch {torch.__version__} sees no CUDA device. Run it where `nvidia-smi` lists one, "
            "after pip install 'dsd-zoo[gpu]'. --device cpu tries the script itself on the processor."
        )
        return NO_GPU
    about = description()
    if arguments.device == "cuda":
        about |= {"gpu": torch.cuda.get_device_name(0), "torch": torch.__version__}
    print("  ".join(f"{key} {value}" for key, value in about.items()), flush=True)
    results: dict[str, object] = {"machine": about}
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = (arguments.folder or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        names = NETS if arguments.device == "cuda" else ("squeezenet",)
        check = Check(folder, arguments.device, {name: ARCHITECTURES[name]() for name in names})
        for name, step in STEPS.items():
            start = time.perf_counter()
            print(f"\n{name}", flush=True)
            try:
                rows = step(check)
            except Exception:  # the other steps go on
                traceback.print_exc()
                failed += 1
                continue
            results[name] = rows
            if rows:
                cells = [[text_of(value) for value in row.values()] for row in rows]
                print(markdown_table([list(rows[0]), *cells]))
            print(f"({time.perf_counter() - start:.0f} s)", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 1 if failed else 0


def run_tests(check: Check) -> list[Row]:
    """The tests that skip without a GPU. RuntimeError if one fails."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "4", "-k", "cuda or gpu or GPU", *CUDA_TESTS]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=TEST_SECONDS, check=False
    )
    lines = ended.stdout.splitlines()
    if ended.returncode:
        raise RuntimeError("\n".join(lines[-40:]))
    return [{"tests": lines[-1]}]


def convert_nets(check: Check) -> list[Row]:
    """Both forms of each net, for the steps below."""
    for name, net in check.nets.items():
        sources = net.write(check.folder)
        for runtime in ("onnx", "pytorch"):
            # After the softmax, made-up weights give one class everything, and differences do not show.
            converters.convert(sources, check.file(name, runtime), outputs=[net.scores])
    return []


def compare_precisions(check: Check) -> list[Row]:
    """Scores in each precision and runtime against float32 in PyTorch: of the largest value, and top-1."""
    rows: list[Row] = []
    for name, net in check.nets.items():
        batch = np.random.default_rng(0).uniform(-128, 128, (16, 3, net.size, net.size)).astype(np.float32)
        reference: np.ndarray | None = None
        for runtime in ("pytorch", "onnx"):
            for precision in all_runtimes()[runtime].precisions[check.device]:
                scores, again = _scores(check, name, runtime, precision, batch)
                reference = scores if reference is None else reference
                rows.append(
                    {
                        "net": name,
                        "runtime": runtime,
                        "precision": precision,
                        "difference": f"{np.abs(scores - reference).max() / np.abs(reference).max():.1e}",
                        "same bits, %": 100 * float((scores == reference).mean()),
                        "same top-1, %": 100 * float((scores.argmax(1) == reference.argmax(1)).mean()),
                        "a second run": "the same bits" if np.array_equal(scores, again) else "other bits",
                    }
                )
    return rows


def _scores(
    check: Check, name: str, runtime: str, precision: str, batch: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    opened = open_runtime(runtime, check.file(name, runtime), check.device, precision=precision)  # type: ignore[arg-type]
    try:
        return opened.run(batch), opened.run(batch)
    finally:
        opened.close()


def measure_rates(check: Check) -> list[Row]:
    """`dsd-zoo bench` from JPEGs and from a pack, and the share of what the device can multiply and add."""
    zoo = [sys.executable, "-m", "zoo"]
    on_gpu = check.device == "cuda"
    images, pack = write_jpegs(check.folder / "jpegs", 512 if on_gpu else 32), check.folder / "jpegs.pack"
    if not pack.exists():
        cost_of([*zoo, "pack", "--data", images, "--flavour", "caffe-warp256", "-o", pack], check.folder)
    peak = _products_a_second(torch.device(check.device))
    rows: list[Row] = []
    for name, net in check.nets.items():
        for runtime in ("onnx", "pytorch"):
            row: Row = {"net": name, "runtime": runtime, "inference": 0.0}
            for source, data in (("pack", pack), ("JPEGs", images)):
                row[f"from {source}"] = row[f"{source}: of the slower, %"] = ""
                if source == "JPEGs" and runtime != "onnx":  # decoding is the same
                    continue
                command = [*zoo, "bench", check.file(name, runtime), "--data", data, "--runtime", runtime]
                command += ["--flavour", "caffe-warp256", "--crop", net.size, "--mean", "104,117,123"]
                command += ["--device", check.device, "--seconds", 1, "--json"]
                found = json.loads(cost_of(command, check.folder).output)
                row |= {"inference": found["inference"], f"from {source}": found["validation"]}
                row[f"{source}: of the slower, %"] = 100 * found["share_of_slower"]
            # A product and a sum are two operations.
            row["of the device, %"] = 100 * float(row["inference"]) * 2 * products(net) / peak
            rows.append(row)
    return rows


def compare_trainings(check: Check) -> list[Row]:
    """Trainings of the digits net on the device, against one process on the processor."""
    return training_rows(check.folder, check.device)


def products(net: Definition) -> int:
    """Multiplications for one image, of convolutions and InnerProducts."""
    total = 0
    for name, blobs in net.blobs.items():
        if name in net.shapes and blobs[0].ndim > 1:
            _, high, wide = net.shapes[name]
            total += blobs[0].size * high * wide
    return total


def _products_a_second(device: torch.device) -> float:
    """Operations a second of large float32 matrix products, twice their products: the highest of 5."""
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    size, best = 8192 if device.type == "cuda" else 1024, 0.0
    first, second = (torch.rand(size, size, device=device) for _ in range(2))
    for _ in range(6):
        start = time.perf_counter()
        (first @ second)[0, 0].item()
        best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best


STEPS: dict[str, Callable[[Check], list[Row]]] = {
    "The tests that need a GPU": run_tests,
    "Converting": convert_nets,
    "Scores against float32 in PyTorch": compare_precisions,
    "Images a second, float32": measure_rates,
    "Trainings against one process on the processor": compare_trainings,
}

if __name__ == "__main__":
    sys.exit(main())
