"""Runs every recorded case in other runtimes than ONNX Runtime, and prints what holds.

    make test-runtimes
    python tests/runtimes/measure.py [--runtimes NAME,...] [--cases DIR ...] [--only TEXT] [--write]

Each case is converted once. Exit status 1 if a runtime computes something else than what the original
framework recorded, or refuses a case that `refused.json` does not list.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
CORPUS = HERE.parent / "corpus"
REFUSED = HERE / "refused.json"
OTHER_RUNTIMES = ("opencv", "openvino", "tract", "tract_with_sizes")


def prepare(case: Path, folder: Path) -> str:
    """Writes net.onnx and io.npz of a case into `folder`; returns the reason if it is not converted."""
    import converters

    meta = json.loads((case / "case.json").read_text()) if (case / "case.json").exists() else {}
    with np.load(case / "io.npz") as io:
        inputs = {key[3:]: io[key] for key in io.files if key.startswith("in:")}
        outputs = {key[4:]: io[key] for key in io.files if key.startswith("out:")}
    options = {key: meta[key] for key in ("stages", "level") if key in meta}
    if (case / "net.t7").exists():
        inputs, outputs = (_named(*item) for item in (("input", inputs), ("output", outputs)))
        options["input_shapes"] = {name: array.shape for name, array in inputs.items()}
    if "input_shapes" in meta:
        options["input_shapes"] = meta["input_shapes"]
    if "loss_view" in meta:
        options["outputs"] = list(outputs)
    outputs = {meta.get("renamed", {}).get(name, name): array for name, array in outputs.items()}
    folder.mkdir(parents=True, exist_ok=True)
    try:
        converters.convert(_sources(case, meta), folder / "net.onnx", **options)
    except converters.ConverterError as error:
        return str(error).splitlines()[0]
    model = converters.load(folder / "net.onnx")
    if missing := [str(v.name) for v in model.graph.inputs if v.name not in inputs]:
        return f"nothing is recorded for the input {missing[0]}"
    fed = {str(v.name): inputs[str(v.name)].astype(v.dtype.numpy()) for v in model.graph.inputs}
    arrays = {f"in:{name}": array for name, array in fed.items()}
    arrays |= {f"out:{name}": array for name, array in outputs.items()}
    np.savez(folder / "io.npz", tolerance=np.float64(meta.get("tolerance", 1e-5)), **arrays)
    return ""


def _named(name: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays under the names that a converted Torch7 net gives its inputs or outputs."""
    return {(name if len(arrays) == 1 else f"{name}_{k}"): array for k, array in enumerate(arrays.values())}


def _sources(case: Path, meta: dict) -> list[Path]:
    if "sources" in meta:
        return [case / name for name in meta["sources"]]
    if (case / "net.t7").exists():
        return [case / "net.t7"]
    weights = (case / name for name in ("net.caffemodel", "net.caffemodel.h5"))
    return [case / "net.prototxt", *[path for path in weights if path.exists()][:1]]


def recorded(folders: list[Path]) -> list[Path]:
    """The folders in `folders` that are cases with recorded inputs."""
    cases = []
    for folder in folders:
        for io in sorted(folder.rglob("io.npz")):
            with np.load(io) as arrays:
                if any(key.startswith("in:") for key in arrays.files):
                    cases.append(io.parent)
    return cases


def run(runtime: str, folders: list[Path]) -> dict[str, dict[str, str]]:
    """The result of every folder in a runtime; the case at which the process dies counts as refused."""
    results: dict[str, dict[str, str]] = {}
    left = list(folders)
    while left:
        process = subprocess.run(
            [sys.executable, str(HERE / "worker.py"), runtime],
            input="".join(f"{folder}\n" for folder in left),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        answers = [json.loads(line) for line in process.stdout.splitlines()]
        results |= {answer["case"]: answer for answer in answers}
        left = left[len(answers) :]
        if left:
            why = f"the process died with status {process.returncode}"
            results[left[0].name] = {"case": left[0].name, "result": "refused", "why": why}
            left = left[1:]
    return results


def unexpected(runtime: str, results: dict[str, dict[str, str]], refused: dict[str, list[str]]) -> list[str]:
    """The results that are wrong, or refused without being listed."""
    listed = set(refused.get(runtime, ()))
    return [
        f"{result['result']} {name}: {result['why']}"
        for name, result in results.items()
        if result["result"] == "wrong" or (result["result"] == "refused" and name not in listed)
    ]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="keep the converted nets here")
    parser.add_argument("--runtimes", default=",".join(OTHER_RUNTIMES))
    parser.add_argument("--cases", type=Path, nargs="*", default=[CORPUS / "caffe", CORPUS / "torch7"])
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--write", action="store_true", help="write what is refused to refused.json")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    cases = [case for case in recorded(given.cases) if given.only in case.name]
    refused = json.loads(REFUSED.read_text())
    problems = 0
    with tempfile.TemporaryDirectory() as temporary:
        places = [(given.folder or Path(temporary)) / f"{case.parent.name}+{case.name}" for case in cases]
        with ProcessPoolExecutor(2) as pool:
            reasons = list(pool.map(prepare, cases, places, chunksize=16))
        for case, reason in zip(cases, reasons, strict=True):
            if reason:
                print(f"not run: {case.name}: {reason}")
        folders = [place for place, reason in zip(places, reasons, strict=True) if not reason]
        print("\n| runtime | right | refused | wrong |\n|---|---|---|---|")
        for runtime in given.runtimes.split(","):
            results = run(runtime, folders)
            kinds = [result["result"] for result in results.values()]
            counts = [kinds.count(kind) for kind in ("right", "refused", "wrong")]
            print(f"| {runtime} | {' | '.join(map(str, counts))} |", flush=True)
            for text in (found := unexpected(runtime, results, refused)):
                print(f"  {text}")
            problems += len(found)
            refused[runtime] = [name for name, result in results.items() if result["result"] == "refused"]
    if given.write:
        REFUSED.write_text(json.dumps(refused, indent=2) + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
