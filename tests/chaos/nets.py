"""Small nets in two versions, and how to tell which one a folder holds."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from caffemodel_writer import write_caffemodel

import converters
from zoo.bundled import bundled_folder, embedded_images

SIZE = 96
PROTOTXT = """
name: "net" layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 8 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "y" inner_product_param { num_output: 96 } }
"""
# Output, and options of `converters.convert`.
FORMS: dict[str, tuple[str, dict[str, bool]]] = {
    "net.onnx": ("net.onnx", {}),
    "net.onnx with external weights": ("net.onnx", {"external": True}),
    "a linked net.onnx": ("net.onnx", {"link": True}),
    "net.py": ("net.py", {}),
    "a folder of both": (".", {}),
}


def _weights(which: str) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng({"old": 1, "new": 2}[which])
    weight, bias = generator.normal(size=(SIZE, 8)), generator.normal(size=SIZE)
    return weight.astype(np.float32), bias.astype(np.float32)


def write_sources(folder: Path) -> Path:
    """The definition, and the weights of the two versions."""
    folder.mkdir()
    (folder / "net.prototxt").write_text(PROTOTXT)
    for which in ("old", "new"):
        (folder / which).mkdir()
        write_caffemodel(folder / which / "w.caffemodel", {"fc": list(_weights(which))})
    return folder


def convert(sources: Path, which: str, out: Path, form: str) -> None:
    """Convert a version into the folder `out`. A linked net points to a copy of the weights there."""
    name, options = FORMS[form]
    out.mkdir(exist_ok=True)
    weights = sources / which / "w.caffemodel"
    if options.get("link"):
        weights = out / f"{which}.caffemodel"
        if not weights.exists():
            weights.write_bytes((sources / which / "w.caffemodel").read_bytes())
    converters.convert([sources / "net.prototxt", weights], out / name, **options)


def version_of(sources: Path, out: Path, form: str) -> str:
    """`old` or `new`, `refused` if the net is refused with a reason, else what is wrong with it."""
    name, _ = FORMS[form]
    found = set()
    for file in ["net.onnx", "net.py"] if name == "." else [name]:
        try:
            values = _onnx_outputs(out / file) if file.endswith(".onnx") else _pytorch_outputs(out / file)
        except (converters.ConverterError, RuntimeError) as error:
            return "refused" if str(error) else "refused without a reason"
        versions = [which for which in ("old", "new") if np.allclose(values, _expected(which), atol=1e-5)]
        found.add(versions[0] if versions else "other numbers")
    # The two forms of a folder are two nets; each is whole.
    return found.pop() if len(found) == 1 else "new" if found == {"old", "new"} else f"mixed: {found}"


def _input() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(1, 8)).astype(np.float32)


def _expected(which: str) -> np.ndarray:
    weight, bias = _weights(which)
    return _input() @ weight.T + bias


def _onnx_outputs(path: Path) -> np.ndarray:
    import onnxruntime

    converters.load(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"data": _input()})[0]


def _pytorch_outputs(path: Path) -> np.ndarray:
    import torch

    spec = importlib.util.spec_from_file_location("net", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with torch.no_grad():
        return module.load()(torch.from_numpy(_input())).numpy()


def write_manifest(folder: Path, url: str, known: Mapping[str, object]) -> None:
    """The manifest of a model `tiny` whose pinned weights come from `url`."""
    text = (bundled_folder() / "squeezenet-v1.1.toml").read_text(encoding="utf-8")
    head = text[: text.index("[[files]]")].replace('name = "squeezenet-v1.1"', 'name = "tiny"', 1)
    file = f'[[files]]\nname = "tiny.caffemodel"\nrole = "weights"\nsha256 = "{known["sha256"]}"\n'
    (folder / "tiny.toml").write_text(f'{head}{file}urls = ["{url}"]\n', encoding="utf-8")


def digits_images() -> Path:
    """The embedded test images."""
    found = embedded_images("digits-test")
    assert found is not None
    return found
