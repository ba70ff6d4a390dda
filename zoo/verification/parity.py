"""Checks that a converted net computes what the original framework computed.

Some models come with recorded outputs: those of Caffe or Torch7 for every image file of the test set.
Converted nets must reproduce them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from converters import extras
from zoo.bundled import embedded_images
from zoo.catalog.manifest import Manifest
from zoo.datasets import Dataset, open_dataset
from zoo.datasets.loader import load_samples
from zoo.errors import DataError, UsageError, excerpt
from zoo.preprocessing import preprocessor
from zoo.preprocessing.settings import Preprocessing
from zoo.runtimes import all_runtimes, form_of, installed_runtimes, open_runtime
from zoo.verification.check import Check
from zoo.verification.compare import compare_nets
from zoo.verification.difference import BOUND, difference

if TYPE_CHECKING:
    from zoo.store.cache import Cache
    from zoo.store.converted import SourceNet

Float64 = NDArray[np.float64]

BATCH = 50


@dataclass(frozen=True, slots=True)
class Parity:
    """One output of one converted net, compared with its recording."""

    model: str
    runtime: str
    output: str
    images: int
    difference: float
    """`Difference.relative` over all images; the recording is the reference."""
    bound: float = BOUND

    @property
    def holds(self) -> bool:
        """Whether the difference is within the bound."""
        return self.difference <= self.bound


def against_recorded(
    manifest: Manifest, net: Path, runtime: str, data: Dataset, recorded: Path
) -> list[Parity]:
    """Compare every recorded output with that of the converted `net`, over all images of `data`.

    net: net.onnx for runtime "onnx", net.py for "pytorch".
    recorded: the manifest's file with role `recorded`.
    Raises DataError if the recording has not one row per image, or an image cannot be read.
    """
    return [
        _parity(manifest, net, runtime, data, recorded, output, array)
        for output, array in manifest.recorded.items()
    ]


def _parity(
    manifest: Manifest, net: Path, runtime: str, data: Dataset, recorded: Path, output: str, array: str
) -> Parity:
    truth = _recording(recorded, array, len(data))
    computed = _scores(manifest, net, runtime, data, output)
    if computed.shape != truth.shape:
        raise DataError(f"{net}: {output} is {computed.shape}, recorded is {truth.shape} in {recorded.name}")
    return Parity(manifest.name, runtime, output, len(data), difference(truth, computed).relative)


def _recording(path: Path, array: str, images: int) -> Float64:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            values = arrays[array]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: the recorded outputs '{array}' cannot be read: {error}") from error
    if values.ndim < 2 or len(values) != images or not np.isfinite(values).all() or not values.any():
        raise DataError(
            f"{path}: '{array}' is {values.shape}: expected finite numbers, one row for each of the "
            f"{images} images"
        )
    return np.asarray(values.reshape(images, -1), np.float64)


def _scores(manifest: Manifest, net: Path, runtime: str, data: Dataset, output: str) -> Float64:
    """All rows of one output, (images, classes) float64."""
    prepare = preprocessor(_preprocessing(manifest))
    session = open_runtime(runtime, net, scores=output if len(manifest.recorded) > 1 else manifest.scores)
    try:
        size = session.batch or BATCH
        rows, waiting = [], []
        for image in load_samples(data.samples, prepare, ahead=2 * size):
            if image.pixels is None:
                raise DataError(
                    f"{data.source}: {excerpt(image.sample.id)}: {image.problem}"
                ) from image.problem
            waiting.append(image.pixels)
            if len(waiting) == size:
                rows.append(session.run(np.stack(waiting)))
                waiting = []
        if waiting:
            # A net with a fixed batch takes full batches only.
            empty = [np.zeros_like(waiting[0])] * (size - len(waiting))
            rows.append(session.run(np.stack(waiting + empty))[: len(waiting)])
    finally:
        session.close()
    return np.concatenate(rows).astype(np.float64)


def check_parity(manifest: Manifest, net: SourceNet, cache: Cache) -> list[Check]:
    """Run the ONNX and the PyTorch form of the net, and compare their outputs.

    If the zoo has recorded outputs and the test images, each form is compared with the recording; else both
    forms are compared on a batch of random numbers. The bound is that of `zoo.verification.difference`.

    net: that of the model, see `zoo.store.converted.source_net`.
    """
    missing = [name for name in ("onnx", "pytorch") if name not in installed_runtimes()]
    installed = [name for name in ("onnx", "pytorch") if name not in missing]
    forms = {name: net.converted(form_of(name), cache.root) for name in installed}
    images = embedded_images(manifest.dataset)
    if manifest.recorded and images is not None and forms:
        checks = _against_recorded(manifest, forms, images, cache)
    elif missing:
        checks = []
    elif manifest.is_counted and manifest.preprocessing is not None:
        checks = [_against_each_other(manifest, manifest.preprocessing, **forms)]
    else:
        checks = [_value_by_value(manifest, **forms)]
    return checks + [_not_compared(name) for name in missing]


def _preprocessing(manifest: Manifest) -> Preprocessing:
    if manifest.preprocessing is None:
        raise DataError(f"{manifest.name}: no preprocessing is stated, so images cannot be its input")
    return manifest.preprocessing


def _against_recorded(
    manifest: Manifest, forms: Mapping[str, Path], images: Path, cache: Cache
) -> list[Check]:
    recorded = cache.require(manifest, "recorded")
    with open_dataset(images) as data:
        found = [
            parity
            for runtime, net in forms.items()
            for parity in against_recorded(manifest, net, runtime, data, recorded)
        ]
    return [
        Check(
            "parity",
            f"{parity.runtime} {parity.output}",
            parity.holds,
            f"largest difference from {manifest.framework}'s own output over {parity.images} images: "
            f"{parity.difference:.1e} of its largest magnitude (bound {parity.bound:g})",
        )
        for parity in found
    ]


def _not_compared(runtime: str) -> Check:
    missing = all_runtimes()[runtime]
    advice = extras.install_command(missing.extra)
    return Check("parity", runtime, True, f"not compared; {missing.label} is not installed: {advice}")


def _value_by_value(manifest: Manifest, onnx: Path, pytorch: Path) -> Check:
    """Any net, with any inputs and outputs: both forms on the same random input."""
    subject = "onnx and pytorch"
    try:
        found = compare_nets([onnx], [pytorch], usual_shape=manifest.image_shape)
    except UsageError as error:
        return Check("parity", subject, True, f"not compared: {error}")
    outputs = [row for row in found.rows if row.is_output]
    worst = max(outputs or found.rows, key=lambda row: row.relative)
    return Check(
        "parity",
        subject,
        found.agrees,
        f"largest difference on random input: {worst.relative:.1e} of the largest magnitude of {worst.name} "
        f"(bound {BOUND:g})",
    )


def _against_each_other(manifest: Manifest, prepared: Preprocessing, onnx: Path, pytorch: Path) -> Check:
    session = open_runtime("onnx", onnx, scores=manifest.scores)
    count = session.batch or 2
    # About the range of real inputs: scaled pixel values in Caffe, standard deviations in Torch7.
    range_ = 100 * prepared.scale if manifest.framework == "caffe" else 2.0
    shape = (count, *(manifest.input_shape or ()))
    batch = np.random.default_rng(0).uniform(-range_, range_, shape).astype(np.float32)
    scores = [session.run(batch), open_runtime("pytorch", pytorch, scores=manifest.scores).run(batch)]
    subject = "onnx and pytorch"
    if any(rows.shape != (count, manifest.classes) for rows in scores):
        shapes = " and ".join(str(rows.shape) for rows in scores)
        return Check("parity", subject, False, f"outputs are {shapes}, expected {(count, manifest.classes)}")
    if not (np.isfinite(scores[0]).all() and scores[0].any()):
        return Check("parity", subject, False, "the ONNX form's outputs are not finite, or zero throughout")
    found = difference(*scores)
    return Check(
        "parity",
        subject,
        found.within(BOUND),
        f"largest difference on random input: {found.relative:.1e} of the largest magnitude "
        f"(bound {BOUND:g})",
    )
