"""Heights and widths that a definition states although its layers take any: placeholders among them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from converters.errors import ConverterError
from converters.from_caffe.conversion import Conversion
from converters.from_caffe.deploy import InferenceNet
from converters.from_caffe.limits import MOST_TRIED_LAYERS
from converters.from_caffe.weights import Weights
from converters.options import Options
from converters.sizes import Shape, Symbol, dims

# N x C x H x W
_IMAGE_AXES = 4
# Pooling may give a map of one position for several small sizes, but not for one of so many rows.
_CLEARLY_LARGER = 64


@dataclass(frozen=True)
class StatedSizes:
    """A net that was converted at the sizes that its definition states.

    batches: the declared batch sizes that are symbolic. inputs, outputs: the shapes of the converted net.
    """

    net: InferenceNet
    weights: Weights | None
    options: Options
    batches: Collection[int | None]
    inputs: Mapping[str, Shape]
    outputs: Mapping[str, Shape]

    def notes(self) -> list[str]:
        """For each image input whose height and width could be left open: that they are fixed, and why.

        Whether they could is tried: the net is converted with them open. Nothing is said of other nets.
        """
        opened = self._opened()
        if not opened or len(self.net.layers) > MOST_TRIED_LAYERS:
            return []
        try:
            # Open sizes alone would not tell: a product of inner values is then taken to have its size.
            self._output_shapes({name: self._larger(name) for name in opened})
            outputs = self._output_shapes(opened)
        except ConverterError:
            return []
        cropped_to = {
            layer.bottom[1] for layer in self.net.layers if layer.type == "Crop" and len(layer.bottom) == 2
        }
        maps = self._become_maps(outputs)
        return [
            self._note(name, shape, self._placeholder(name, name in cropped_to, maps))
            for name, shape in opened.items()
        ]

    def _output_shapes(self, inputs: Mapping[str, Sequence[int | str]]) -> list[Shape]:
        """The shapes of the outputs for these inputs; ConverterError if a layer does not take them."""
        shapes = {**self.options.input_shapes, **{name: tuple(shape) for name, shape in inputs.items()}}
        conversion = Conversion.of(
            self.net, self.weights, replace(self.options, input_shapes=shapes), self.batches
        )
        conversion.convert_layers()
        return [dims(value) for value in conversion.outputs(self.net.outputs).values()]

    def _larger(self, name: str) -> tuple[int | str, ...]:
        """A larger shape of an input. A power of two, because some nets take only multiples of such."""
        batch, channels, height, width = self.inputs[name]
        assert isinstance(channels, int)
        assert isinstance(height, int)
        assert isinstance(width, int)
        factor = 2
        while factor * min(height, width) < _CLEARLY_LARGER:
            factor *= 2
        first = str(batch) if isinstance(batch, Symbol) else batch
        return first, channels, factor * height, factor * width

    def _opened(self) -> dict[str, tuple[int | str, ...]]:
        """The shapes of the image inputs of a stated size, with height and width open."""
        sizes: dict[tuple[int, int], str] = {}
        opened: dict[str, tuple[int | str, ...]] = {}
        for name, shape in self.inputs.items():
            if len(shape) != _IMAGE_AXES or name in self.options.input_shapes:
                continue
            batch, channels, height, width = shape
            if isinstance(channels, int) and isinstance(height, int) and isinstance(width, int):
                number = sizes.setdefault((height, width), str(len(sizes) + 1) if sizes else "")
                first = str(batch) if isinstance(batch, Symbol) else batch
                opened[name] = (first, channels, f"H{number}", f"W{number}")
        return opened

    def _note(self, name: str, opened: Sequence[int | str], why: str | None) -> str:
        """why: what `_placeholder` says."""
        height, width = self.inputs[name][2:]
        shape = ",".join(map(str, opened))
        note = (
            f"height and width are fixed at {height}x{width}; --input-shape {name}={shape} leaves them open"
        )
        if why is None:
            return note
        return (
            f"{note}. {height}x{width} is likely a placeholder: {why}. "
            "It is kept because the definition states it"
        )

    def _placeholder(self, name: str, is_cropped_to: bool, become_maps: bool) -> str | None:
        """Why the stated size is not that of the images; None if it may be."""
        if self.inputs[name][2:] == (1, 1):
            return "no image is of this size, and every layer takes any"
        if is_cropped_to:
            return "the net crops to the size of its input, whatever it is"
        if become_maps:
            return "at this size each output has one position, at larger ones a map of them"
        return None

    def _become_maps(self, outputs: Sequence[Shape]) -> bool:
        """Whether each output has one position, and more with the sizes in `outputs`, of open inputs."""
        images = [
            (stated, shape)
            for stated, shape in zip(self.outputs.values(), outputs, strict=True)
            if len(shape) == _IMAGE_AXES
        ]
        grow = any(isinstance(size, Symbol) for _, shape in images for size in shape[2:])
        return grow and all(stated[2:] == (1, 1) for stated, _ in images)
