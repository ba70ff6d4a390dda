"""From a net that was asked to the programs that ask the same, and what OpenCV's own resize would change."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

import converters
from zoo.catalog.metadata import metadata_of
from zoo.errors import UsageError
from zoo.prediction import image_lines
from zoo.prediction.code import CODE, Asked
from zoo.preprocessing import EncodedImage
from zoo.preprocessing.preparation import image_preparation
from zoo.verification.difference import difference

if TYPE_CHECKING:
    from converters import ImagePreparation
    from zoo.evaluation.settings import Settings
    from zoo.prediction.predict import Prediction, Predictor
    from zoo.store.subject import Subject

# Of the comments in a program.
WIDTH = 80


@dataclass(frozen=True, slots=True)
class OwnResize:
    """What changes if blobFromImage resizes the image alone, instead of the flavour.

    pixels: largest difference of the input, in grey levels of 255. scores: largest difference of a score;
    None for a net that finds objects.
    """

    pixels: float
    scores: float | None


def programs(
    subject: Subject, settings: Settings, predictor: Predictor, prediction: Prediction, scores: str | None
) -> dict[str, str]:
    """Programs that give the answer of `prediction`, by what runs the net; of a net.py only PyTorch's.

    Of a net that prepares its images itself only that of ONNX Runtime.

    scores: the output that was chosen among several.

    Raises:
        UsageError: the flavour cannot be written as code.
        converters.ConverterError: the net cannot be read.
    """
    asked = _asked(subject, settings, predictor, prediction, scores)
    if subject.sources[0].suffix == ".py":
        return {"torch": CODE["torch"](asked)}
    if asked.image_order is not None:
        return {"onnxruntime": CODE["onnxruntime"](asked)}
    if not image_lines.is_direct(asked.preparation):
        found = own_resize(asked.preparation, predictor, prediction)
        asked = replace(asked, note=_note(settings.preprocessing.flavour, found))
    return {name: program(asked) for name, program in CODE.items()}


def _asked(
    subject: Subject, settings: Settings, predictor: Predictor, prediction: Prediction, scores: str | None
) -> Asked:
    preparation = image_preparation(settings.preprocessing, settings.meant_for)
    if preparation is None:
        raise UsageError(f"{settings.preprocessing.flavour}: there is no code for it outside of the zoo")
    threshold = None if prediction.boxes is None else predictor.threshold
    mean_image = settings.mean_image
    first = subject.sources[0]
    if first.suffix == ".py":
        return Asked(
            [], "", [""], "", prediction.image, preparation,
            pytorch=first, mean_image=mean_image, threshold=threshold,
        )  # fmt: skip
    shape = subject.image_shape(settings.preprocessing.crop)
    model = converters.load(
        *subject.sources, image_shape=shape, sha256=list(subject.hashes.values()), kept=subject.kept
    )
    outputs = [str(value.name) for value in model.graph.outputs]
    given = [str(value.name) for value in model.graph.inputs if value.name not in model.graph.initializers]
    scores = subject.scores(scores)
    arguments = _arguments(subject, shape if model.meta.get("image_shape_used") else None, given[0])
    if scores is not None and scores not in outputs:
        outputs, arguments = [scores], [*arguments, "--output", scores]
    if subject.manifest is not None and settings.mean_image == subject.mean_image is not None:
        # The mean image is in the net then, and the scale with it.
        preparation = replace(preparation, mean=None, std=None, scale=1.0)
        arguments, mean_image = [*arguments, "--embed-preprocessing"], None
    return Asked(
        arguments,
        given[0],
        outputs,
        scores or outputs[0],
        prediction.image,
        preparation,
        onnx=first if first.suffix == ".onnx" else None,
        mean_image=mean_image,
        in_net=_carried(subject, model.metadata_props, "--embed-preprocessing" in arguments) == preparation,
        threshold=threshold,
        image_order=predictor.image_order,
    )


def _arguments(subject: Subject, shape: Sequence[int] | None, name: str) -> list[str]:
    """The arguments of `dsd-zoo convert` for the net."""
    net = [str(path) for path in subject.sources] if subject.manifest is None else [subject.name]
    return net if shape is None else [*net, "--input-shape", f"{name}=N,{','.join(map(str, shape))}"]


def _carried(subject: Subject, metadata: Mapping[str, str], embedded: bool) -> ImagePreparation | None:
    """The preparation that `dsd-zoo convert` writes into net.py."""
    if subject.manifest is None:
        return converters.ImagePreparation.in_metadata(metadata)
    found = metadata_of(subject.manifest, embedded=embedded)["preparation"]
    if found is None:
        return None
    preparation = converters.ImagePreparation.of(found)
    return replace(preparation, mean=None, std=None, scale=1.0) if embedded else preparation


def own_resize(given: ImagePreparation, predictor: Predictor, prediction: Prediction) -> OwnResize:
    """What changes on this image if blobFromImage resizes it to the size of the net's input by itself."""
    import cv2

    image = EncodedImage(prediction.image.read_bytes()).bgr
    normalisation = predictor.prepare.normalisation
    size = (normalisation.crop, normalisation.crop)
    keeps_aspect = given.to == "shorter side"
    blob = cv2.dnn.blobFromImage(image, 1.0, size, swapRB=given.channels == "RGB", crop=keeps_aspect)
    prepared = prediction.prepared
    # The same mean and scale as for the prepared image: only the resize differs.
    flavour = predictor.prepare.flavour
    window = np.ascontiguousarray(blob[0].transpose(1, 2, 0))
    plain = replace(
        normalisation, swap_channels=False, multiplier=np.float32(1), divisor=np.float32(255 / given.white)
    )
    other = flavour.finish(window, plain)
    unit = np.abs(prepared - other)
    std = np.float32(1) if normalisation.std is None else normalisation.std
    grey = unit * std / abs(normalisation.scale) * np.float32(255 / given.white)
    if prediction.boxes is not None:
        return OwnResize(float(grey.max()), None)
    ours, theirs = predictor.output(prepared), predictor.output(other)
    return OwnResize(float(grey.max()), float(difference(ours[0], theirs[0]).absolute))


def _note(flavour: str, found: OwnResize) -> list[str]:
    scores = "" if found.scores is None else f", the scores by up to {found.scores:.2g}"
    text = (
        f"Resized before blobFromImage: its own resize is not that of {flavour}. On this image "
        f"the input would differ by up to {found.pixels:.0f} of 255{scores}."
    )
    return textwrap.wrap(text, WIDTH - len("# "))
