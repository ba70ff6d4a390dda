"""Whether a net takes what the preprocessing makes of images, said before the first one is run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zoo.errors import UsageError
from zoo.preprocessing import resolve

if TYPE_CHECKING:
    from zoo.preprocessing.settings import Preprocessing

# Channels of an image file, as all flavours decode it.
COLOURS = 3


def check_input(net: str, expected: Sequence[int | None], preprocessing: Preprocessing) -> None:
    """Check that a net takes the prepared images, which are (channels, crop, crop).

    net: its name. expected: the shape of its input without the batch; None for a size that is open.

    Raises:
        UsageError: it takes another shape.
    """
    # Flavours that take images as they are do not fix the channels; the first image shows them.
    channels = COLOURS if resolve(preprocessing.flavour).has_size else None
    given = (channels, preprocessing.crop, preprocessing.crop)
    if len(expected) == len(given) and all(
        size in (None, other) or other is None for size, other in zip(expected, given, strict=True)
    ):
        return
    raise UsageError(
        f"{net}: it takes {_size_text(expected)}, the preprocessing makes {_size_text(given)}: "
        f"{_advice(expected, channels)}"
    )


def _advice(expected: Sequence[int | None], channels: int | None) -> str:
    if len(expected) != 3:
        return "it ranks no images"
    planes, height, width = expected
    if channels is not None and planes not in (None, channels):
        return f"images come in {channels} channels, and only --flavour caffe-stored has others"
    if None not in (height, width) and height != width:
        return (
            "images are cropped to squares. If its layers allow that, dsd-zoo convert --input-shape "
            "NAME=N,3,H,W converts the source files with any height and width"
        )
    return "give the right --crop"


def _size_text(shape: Sequence[int | None]) -> str:
    return " x ".join(str(size or "any") for size in shape)
