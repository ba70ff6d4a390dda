"""What a net says about images: each is prepared, run and answered alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import converters
from zoo.catalog.metadata import label_names
from zoo.errors import DataError, UsageError
from zoo.prediction.answer import Box, RankedClass, boxes, check_names, ranked
from zoo.prediction.drawing import as_seen, places, with_boxes, write_image
from zoo.prediction.outputs import answering_output, outputs_in_words
from zoo.preprocessing import EncodedImage, Preprocessor, preprocessor
from zoo.preprocessing.flavour import Pixels
from zoo.preprocessing.settings import decoding_of
from zoo.runtimes import form_of, open_runtime
from zoo.runtimes.input_shape import check_input
from zoo.verification.difference import is_list_of_boxes
from zoo.vocabulary import RuntimeName

if TYPE_CHECKING:
    import onnx_ir as ir

    from zoo.evaluation.settings import Settings
    from zoo.runtimes.runtime import Runtime
    from zoo.store.subject import Subject

Float32 = NDArray[np.float32]
# Of an image file; a larger one is no photograph.
MOST_BYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one image.

    size: (height, width) of the image. prepared: what the net was given, (channels, crop, crop), or
        (height, width, 3) uint8 where it prepares its images itself.
    classes: the best five; none of a net that finds objects. boxes: all that it finds; None of a classifier.
    shown: the image that shows the answer, if one was asked for.
    """

    image: Path
    size: tuple[int, int]
    prepared: Float32 | Pixels = field(repr=False)
    classes: list[RankedClass]
    boxes: list[Box] | None = None
    shown: Path | None = None


@dataclass(frozen=True)
class Predictor:
    """A net that is loaded, with how its input is made and the names of its classes.

    image_order: of the channels, if the net takes whole images and prepares them itself.
    scores: the output that answers, if the net has several.
    outputs: what its outputs are, a line for each; empty where only the net.py is there.
    """

    name: str
    runtime: Runtime
    prepare: Preprocessor
    names: Sequence[str] | None = None
    threshold: float = 0.5
    image_order: str | None = None
    scores: str | None = None
    outputs: Sequence[str] = ()

    def __call__(self, image: Path, out: Path | None = None) -> Prediction:
        """The answer for one image; `out` gets the boxes that score `threshold`, or what a classifier saw.

        Raises:
            DataError: the image cannot be read.
            UsageError: the net does not take it, or gives neither scores nor boxes.
        """
        encoded, pixels = self._decoded(image)
        prepared = self._prepared(image, encoded)
        output = self.output(prepared)
        size = (int(pixels.shape[0]), int(pixels.shape[1]))
        if not is_list_of_boxes(output):
            classes = ranked(output, self.names, self.name, self.outputs)
            if out is not None:
                write_image(as_seen(self.prepare, pixels), out)
            return Prediction(image, size, prepared, classes, shown=out)
        crop = self.prepare.normalisation.crop
        found = boxes(output, self.names, self.prepare.flavour, crop, size, self.name)
        if out is not None:
            shown = [box for box in found if box.score >= self.threshold]
            write_image(with_boxes(encoded.bgr, shown), out)
        return Prediction(image, size, prepared, [], found, out)

    def _prepared(self, image: Path, encoded: EncodedImage) -> Float32 | Pixels:
        if self.image_order is None:
            return self.prepare(encoded)
        try:
            return self.prepare.whole_image(encoded, self.image_order)
        except DataError as error:
            raise DataError(f"{image}: {error}") from error

    def output(self, prepared: Float32 | Pixels) -> Float32:
        """What the net gives for one prepared image; a net with a fixed batch gets zeros beside it.

        A whole image is given several times: its batch has one size.
        """
        if self.image_order is not None:
            return self.runtime.compute(np.repeat(prepared[None], self.runtime.batch or 1, axis=0))
        batch = np.zeros((self.runtime.batch or 1, *prepared.shape), np.float32)
        batch[0] = prepared
        return self.runtime.compute(batch)

    def _decoded(self, image: Path) -> tuple[EncodedImage, Any]:
        try:
            if image.stat().st_size > MOST_BYTES:
                raise DataError(f"larger than {MOST_BYTES >> 20} MiB")
            encoded = EncodedImage(image.read_bytes())
            return encoded, self.prepare.flavour.decode(encoded)
        except DataError as error:
            raise DataError(f"{image}: {error}") from error
        except OSError as error:
            raise DataError(f"{image}: cannot be read: {error.strerror}") from error


def open_predictor(
    subject: Subject,
    settings: Settings,
    *,
    runtime: RuntimeName = "onnx",
    device: str = "cpu",
    scores: str | None = None,
    classes: Path | None = None,
    threshold: float = 0.5,
) -> Predictor:
    """Load a net to ask it about images.

    classes: a file with one name per line, in the order of the scores; None: as the model or the net says.
    threshold: the score from which on a box is drawn.

    Raises:
        UsageError: the net does not run, takes no images of this size, has several outputs of which none is
            chosen, or the list of classes cannot be read or does not fit the manifest.
        IntegrityError: a file of the model has changed since it was fetched.
        converters.ConverterError: the net cannot be converted.
    """
    scores = subject.scores(scores)
    shape = subject.image_shape(settings.preprocessing.crop)
    net = subject.converted(form_of(runtime), scores, shape)
    outputs: list[str] = []
    if subject.sources[0].suffix != ".py":
        model = _model(subject, net, shape)
        known = _known_outputs(subject)
        scores = answering_output(model, scores, subject.name, known)
        outputs = list(outputs_in_words(model, known))
    order = subject.image_order(form_of(runtime))
    preprocessing = settings.preprocessing if order is None else decoding_of(settings.preprocessing)
    prepare = preprocessor(preprocessing, None if order else settings.mean_image, settings.meant_for)
    names = names_for(subject, classes)
    opened = open_runtime(runtime, net, device, scores=scores)
    if order is None:
        check_input(subject.name, opened.input_shape, preprocessing)
    return Predictor(
        subject.name,
        opened,
        prepare,
        names,
        threshold,
        order,
        scores,
        outputs,
    )


def _model(subject: Subject, net: Path, shape: Sequence[int]) -> ir.Model:
    """The graph of the net that is run; of a net.py that of its sources, which has its outputs."""
    if net.suffix == ".onnx" and net not in subject.sources:
        return converters.load(net)
    hashes = list(subject.hashes.values())
    is_onnx = subject.sources[0].suffix == ".onnx"
    return converters.load(
        *subject.sources, image_shape=None if is_onnx else shape, sha256=hashes, kept=subject.kept
    )


def _known_outputs(subject: Subject) -> dict[str, str]:
    """What the manifest of a model says of its outputs, by name."""
    known = subject.known_net() if subject.manifest is None else None
    manifest = subject.manifest if known is None else known.manifest
    stated = [] if manifest is None else manifest.outputs
    return {
        one.name: one.description for one in stated if one.name is not None and one.description is not None
    }


def names_for(subject: Subject, classes: Path | None) -> list[str] | None:
    """The names of the classes: of the file, of the model, in the metadata of an .onnx; else None.

    Files of the user's own are known by the weights of a model in the catalog.
    """
    if classes is not None:
        try:
            names = classes.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--classes {classes}: expected a text file of names: {error}") from error
        if subject.manifest is not None and subject.manifest.classes is not None:
            check_names(names, subject.manifest.classes, subject.name)
        return names
    if subject.manifest is not None:
        return label_names(subject.manifest)
    if [source.suffix for source in subject.sources] == [".onnx"]:
        return converters.labels_of(converters.metadata_of(subject.sources[0]))
    known = subject.known_net()
    return None if known is None else label_names(known.manifest)


def predict(predictor: Predictor, images: Sequence[Path], out: Path | None = None) -> list[Prediction]:
    """The answers for images, in their order.

    out: the file, or for several images the folder, of the images that show the answers; None: none.

    Raises:
        DataError: an image cannot be read.
        UsageError: see `zoo.prediction.drawing.places` and `Predictor`.
    """
    return [predictor(image, place) for image, place in zip(images, places(out, images), strict=True)]
