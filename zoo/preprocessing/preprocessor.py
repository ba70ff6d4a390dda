"""A flavour with the normalisation of one net: it makes the net's input from an image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import DataError, UsageError
from zoo.preprocessing.decode import EncodedImage
from zoo.preprocessing.flavour import Flavour, Float32, Pixels
from zoo.preprocessing.mean_image import read_mean_image
from zoo.preprocessing.normalisation import Normalisation
from zoo.preprocessing.registry import problems, resolve

if TYPE_CHECKING:
    from zoo.preprocessing.decode import DecodedImage
    from zoo.preprocessing.settings import Preprocessing


@dataclass(frozen=True, slots=True)
class Preprocessor:
    """A flavour and a normalisation: both stages in one call."""

    flavour: Flavour
    normalisation: Normalisation

    def __call__(self, content: bytes | EncodedImage | DecodedImage) -> Float32:
        """The net's input for one image: (channels, crop, crop) float32; DataError as in the stages."""
        return self.finish(
            self.resize_window(EncodedImage(content) if isinstance(content, bytes) else content)
        )

    def resize(self, content: EncodedImage | DecodedImage) -> Pixels:
        """Stage 1; packed pixels are its result already. DataError as in `decode` and `Flavour.scale`."""
        if not isinstance(content, EncodedImage) and content.flavour == self.flavour.name:
            return content.pixels
        return self.flavour.scale(self.decode(content))

    def resize_window(self, content: EncodedImage | DecodedImage) -> Pixels:
        """The part of stage 1 that stage 2 needs. DataError as in `decode` and `Flavour.scale_window`."""
        if isinstance(content, EncodedImage):
            return self.flavour.scale_window(self.decode(content), self.normalisation.crop)
        return self.resize(content)

    def decode(self, content: EncodedImage | DecodedImage) -> Pixels:
        """Decoded pixels: (height, width, channels).

        Raises:
            DataError: not an image, or pixels that the flavour's tool could not have used.
        """
        if isinstance(content, EncodedImage):
            return self.flavour.decode(content)
        if content.flavour is not None:
            raise DataError(f"packed by {content.flavour}; {self.flavour.name} cannot be made from that")
        if not self.flavour.takes_pixels:
            raise DataError(
                f"stored as pixels, but {self.flavour.name} needs image files; "
                "use the image files, or --flavour caffe-stored"
            )
        return content.pixels

    def finish(self, resized: Pixels, result: Float32 | None = None) -> Float32:
        """Stage 2, of one image or of several of one size; see `Flavour.finish`."""
        return self.flavour.finish(resized, self.normalisation, result)

    def whole_image(self, content: EncodedImage | DecodedImage, order: str) -> Pixels:
        """The decoded image for a net that does both stages itself: (height, width, 3) uint8.

        order: of the channels that the net takes, "BGR" or "RGB".

        Raises:
            DataError: as in both stages, or the image has not three channels of 8 bits.
        """
        pixels = self.decode(content)
        if (
            pixels.dtype != "uint8"
            or pixels.ndim != len(("height", "width", "channels"))
            or pixels.shape[2] != len(order)
        ):
            raise DataError(
                f"{' x '.join(map(str, pixels.shape))} of {pixels.dtype}; a net that prepares its images "
                "takes three channels of 8 bits"
            )
        self.flavour.window(*self.flavour.resized(*pixels.shape[:2]), self.normalisation.crop)
        return pixels if self.flavour.decoded_channels == order else pixels[:, :, ::-1]


def preprocessor(
    preprocessing: Preprocessing, mean_image: Path | None = None, meant_for: str | None = None
) -> Preprocessor:
    """A manifest's preprocessing, ready to run.

    mean_image: the file to subtract, where the settings ask for one (.npy or .binaryproto).
    meant_for: the flavour that the net and its mean, std and scale are made for, if not that of
        `preprocessing`: pixels are changed to its channel order and range. None: the same flavour.

    Raises:
        UsageError: settings contradict each other, or the flavour does not support them.
        DataError: the mean image cannot be read or has another size than the resized images.
    """
    import numpy as np

    for _, problem in problems(preprocessing, meant_for):
        raise UsageError(problem)
    flavour = resolve(preprocessing.flavour)
    net_flavour = flavour if meant_for is None else resolve(meant_for)
    crop = preprocessing.crop
    mean = _per_channel(preprocessing.mean)
    if preprocessing.mean_image:
        mean = _mean_image(mean_image, flavour, net_flavour, crop)
    return Preprocessor(
        flavour,
        Normalisation(
            crop=crop,
            mean=mean,
            std=_per_channel(preprocessing.std),
            scale=np.float32(preprocessing.scale),
            swap_channels=flavour.channels != net_flavour.channels,
            multiplier=np.float32(max(1, net_flavour.normalisation_max_value // flavour.max_value)),
            divisor=np.float32(max(1, flavour.max_value // net_flavour.normalisation_max_value)),
        ),
    )


def _per_channel(values: list[float] | None) -> Float32 | None:
    """(channels, 1, 1); one value stands for all channels, as in Caffe."""
    import numpy as np

    return None if values is None else np.array(values, np.float32).reshape(-1, 1, 1)


def _mean_image(path: Path | None, flavour: Flavour, net_flavour: Flavour, crop: int) -> Float32:
    """The mean image, cut to the crop window if that is at the same place in all images.

    If images are of another flavour than the mean image, its own centre window is subtracted.
    """
    if path is None:
        raise UsageError(
            "the preprocessing subtracts a mean image, but no file with it was given: --mean FILE names it "
            "(.npy or .binaryproto), --mean N,N,N subtracts one number per channel instead"
        )
    mean = read_mean_image(path, net_flavour.size if net_flavour.is_square else None)
    if not flavour.is_square and flavour.name == net_flavour.name:
        return mean
    rows, columns = net_flavour.window(mean.shape[1], mean.shape[2], crop)
    return mean[:, rows, columns]
