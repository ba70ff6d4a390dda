"""Writes the folder: all of it or nothing."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import converters
from zoo.catalog.metadata import image_settings, label_names, metadata_of
from zoo.claims.audit import audit
from zoo.errors import UsageError
from zoo.files import sha256
from zoo.prediction.code import CODE, Asked
from zoo.preprocessing.preparation import image_preparation
from zoo.publication.card import Contents, licence_sentence, model_card, torchvision_file
from zoo.runtimes import all_runtimes
from zoo.store.conversion import convert_subject

if TYPE_CHECKING:
    from converters import ConversionReport
    from zoo.catalog.catalog import Catalog
    from zoo.catalog.manifest import Manifest
    from zoo.evidence.run import Run
    from zoo.publication.state_dict import TorchvisionState
    from zoo.store.subject import Subject

ONNX, PYTHON, WEIGHTS, CONFIG, LABELS, MEAN = (
    "model.onnx",
    "net.py",
    "net.safetensors",
    "config.json",
    "labels.txt",
    "mean.npy",
)
WHAT = {
    ONNX: "the net for ONNX Runtime and others",
    PYTHON: "the net as PyTorch code",
    WEIGHTS: "the weights of `net.py`",
    CONFIG: "classes, inputs and preparation for programs",
    LABELS: "the names of the classes, in the order of the scores",
    MEAN: "the mean image",
    "LICENSE": "under what the files may be used",
}
# What is on the Hub's side of a folder and may be there already.
OTHERS = frozenset({".git", ".gitattributes", ".cache"})


@dataclass(frozen=True, slots=True)
class Published:
    """The folder, its files in order, and the state dict for torchvision, if one was written."""

    folder: Path
    files: list[str]
    torchvision: TorchvisionState | None


def publish(
    subject: Subject, catalog: Catalog, out: Path, runs: Sequence[Run] = (), *, torchvision: bool = False
) -> Published:
    """Write what one would upload of a model of the catalog.

    out: a folder, new, empty, or one that an earlier call wrote; its files are replaced together.
    runs: evidence, of which that of this model and its baseline is used.
    torchvision: also the state dict for torchvision's net of the same architecture.

    Raises:
        UsageError: the net is in no catalog, the folder holds something else, or torchvision has no such net.
        converters.ConverterError: the net cannot be converted.
    """
    manifest = subject.manifest
    if manifest is None:
        raise UsageError(
            f"{', '.join(map(str, subject.sources))}: publish describes a model, and these files are none\n"
            "  write a manifest (dsd-zoo schema) and give its folder: --manifests DIR"
        )
    converters.extras.require("torch", "publish: writing PyTorch")
    before = _previous(out)
    subject = subject.read_once()
    found = audit(manifest, catalog, runs)
    with _folder_beside(out) as temporary:
        report = _write_net(subject, temporary)
        state = _write_torchvision(manifest, temporary) if torchvision else None
        _write_beside(subject, manifest, report, temporary)
        names = _names(manifest, subject, state)
        contents = Contents(
            manifest,
            found,
            [_described(temporary / name, state) for name in names if name != "README.md"],
            [(source.name, source.bytes, source.sha256 or "not computed") for source in report.sources],
            _programs(manifest, report),
            state,
            converters.__version__,
        )
        (temporary / "README.md").write_text(model_card(contents), encoding="utf-8")
        with converters.atomic_write_group(out, names) as staging:
            for name in names:
                (temporary / name).replace(staging / name)
    for name in before - set(names):
        (out / name).unlink(missing_ok=True)
    return Published(out, names, state)


@contextlib.contextmanager
def _folder_beside(out: Path) -> Iterator[Path]:
    """A temporary folder on the disk of `out`."""
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        with converters.temporary_folder(out.absolute().parent) as temporary:
            # Writers lock the folder that they write to, and the temporary one is locked already.
            folder = temporary / "files"
            folder.mkdir()
            yield folder
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be written: {error.strerror}") from error


def _previous(out: Path) -> set[str]:
    """The files of an earlier call in the folder. UsageError if anything else is there."""
    if not out.exists():
        return set()
    if not out.is_dir():
        raise UsageError(f"--out {out}: a file is in the way; give a folder")
    here = {path.name for path in out.iterdir()} - OTHERS
    ours = set()
    if CONFIG in here:
        try:
            written = json.loads((out / CONFIG).read_text(encoding="utf-8"))
            ours = set(written["dsd_zoo"]["files"])
        except (OSError, ValueError, KeyError, TypeError):
            ours = set()
    if here - ours:
        raise UsageError(
            f"--out {out}: holds {', '.join(sorted(here - ours)[:3])}, which dsd-zoo publish did not write; "
            "give a new folder, or an empty one"
        )
    return ours


def _names(manifest: Manifest, subject: Subject, state: TorchvisionState | None) -> list[str]:
    """The files, in the order of the card."""
    names = ["README.md", ONNX, PYTHON, WEIGHTS, CONFIG]
    names += [LABELS] if manifest.label_order is not None else []
    names += [MEAN] if subject.mean_image is not None else []
    names += [torchvision_file(state)] if state is not None else []
    return [*names, "LICENSE"]


def _write_net(subject: Subject, folder: Path) -> ConversionReport:
    report = convert_subject(subject, folder / ONNX, None, {})
    convert_subject(subject, folder / PYTHON, None, {})
    return report


def _write_torchvision(manifest: Manifest, folder: Path) -> TorchvisionState:
    from safetensors.torch import save_file

    from zoo.publication.state_dict import torchvision_state
    from zoo.runtimes.backends.pytorch import load_module

    if manifest.classes is None or manifest.image_shape is None or not manifest.is_counted:
        raise UsageError(f"{manifest.name}: --torchvision is for classifiers, whose classes are counted")
    state = torchvision_state(
        load_module(folder / PYTHON), manifest.image_shape, manifest.classes, manifest.name
    )
    tensors = {key: tensor.contiguous().clone() for key, tensor in state.tensors.items()}
    save_file(tensors, folder / torchvision_file(state), metadata={"format": "pt"})
    return state


def _write_beside(subject: Subject, manifest: Manifest, report: ConversionReport, folder: Path) -> None:
    """config.json, labels, mean image, licence."""
    labels = label_names(manifest)
    if labels is not None:
        (folder / LABELS).write_text("\n".join(labels) + "\n", encoding="utf-8")
    if subject.mean_image is not None:
        import numpy as np

        from zoo.preprocessing.mean_image import read_mean_image

        np.save(folder / MEAN, read_mean_image(subject.mean_image, None))
    (folder / "LICENSE").write_text(_licence(manifest), encoding="utf-8")
    config = _config(manifest, report, labels)
    config["dsd_zoo"]["files"] = sorted({*(path.name for path in folder.iterdir()), "README.md", CONFIG})
    text = json.dumps(config, indent=2, ensure_ascii=False)
    (folder / CONFIG).write_text(text + "\n", encoding="utf-8")


def _config(manifest: Manifest, report: ConversionReport, labels: list[str] | None) -> dict[str, Any]:
    """As programs of the Hub read it: architectures, id2label and label2id; and what the zoo knows."""
    known = metadata_of(manifest)
    config: dict[str, Any] = {
        "model_type": manifest.architecture,
        "architectures": [manifest.architecture],
        "torch_dtype": "float32",
        "task": manifest.task,
    }
    shape = manifest.image_shape
    if shape is not None:
        config["num_channels"], config["image_size"] = (
            shape[0],
            shape[-1] if shape[1] == shape[2] else shape[1:],
        )
    if manifest.classes is not None:
        config["num_labels"] = manifest.classes
    if labels is not None:
        config["id2label"] = {str(number): label for number, label in enumerate(labels)}
        if len(set(labels)) == len(labels):  # ImageNet has two classes called crane
            config["label2id"] = {label: number for number, label in enumerate(labels)}
    config["preprocessing"] = known["preprocessing"]
    config["preparation"] = known["preparation"]
    config["inputs"], config["outputs"] = report.inputs, report.outputs
    config["dsd_zoo"] = {
        "version": converters.__version__,
        "model": manifest.name,
        "framework": manifest.framework,
        "sources": [vars(source) for source in report.sources],
    }
    return config


def _licence(manifest: Manifest) -> str:
    return (
        f"{manifest.title}\n\n{licence_sentence(manifest)}\n\n"
        "net.py was generated from the definition. To what dsd-zoo adds, the code around the layers and the\n"
        "words of README.md, no rights are claimed.\n"
    )


def _described(path: Path, state: TorchvisionState | None) -> tuple[str, int, str, str]:
    what = WHAT.get(path.name) or f"for torchvision's {'' if state is None else state.architecture}"
    return path.name, path.stat().st_size, sha256(path), what


def _programs(manifest: Manifest, report: ConversionReport) -> dict[str, str]:
    """Programs that use the files, where the preparation is known; the shortest for any other net."""
    settings = image_settings(manifest)
    preparation = None if settings is None else image_preparation(settings)
    if settings is None or preparation is None or len(report.inputs) != 1:
        return _plain_programs(report)
    asked = Asked(
        [],
        next(iter(report.inputs)),
        list(report.outputs),
        manifest.scores or next(iter(report.outputs)),
        Path("image.jpg"),
        preparation,
        onnx=Path(ONNX),
        pytorch=Path(PYTHON),
        mean_image=Path(MEAN) if settings.mean_image else None,
        in_net=metadata_of(manifest)["preparation"] is not None,
        threshold=None if manifest.is_counted else 0.5,
    )
    names = {"onnxruntime": all_runtimes()["onnx"].label, "opencv": "OpenCV", "torch": "PyTorch"}
    return {names[name]: program(asked) for name, program in CODE.items()}


def _plain_programs(report: ConversionReport) -> dict[str, str]:
    """Programs for a net whose inputs are described in words only."""
    names = "".join(f"# {name}: {shape}\n" for name, shape in report.inputs.items())
    return {
        "ONNX Runtime": f"import onnxruntime\n\n{names}session = onnxruntime.InferenceSession({ONNX!r})\n"
        "outputs = session.run(None, inputs)  # arrays by the names above\n",
        "PyTorch": f"import torch\nfrom net import load\n\n{names}with torch.inference_mode():\n"
        "    outputs = load()(*inputs)  # tensors in the order above\n",
    }
