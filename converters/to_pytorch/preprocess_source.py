"""The function `preprocess(image)` of a generated file: from decoded pixels to the input of the net."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from converters.image_preparation import ImagePreparation
from converters.to_pytorch.helpers import images

_RESIZE: dict[str | None, Callable[..., Any]] = {
    "opencv-linear": images.resize_opencv,
    "pillow-bicubic": images.resize_pillow,
    "torch7-bicubic": images.resize_torch7,
}
# How each tool computes the longer side, if the shorter one becomes {size}.
_LONGER = {
    "opencv-linear": "{size} * {long} // {short}",
    "pillow-bicubic": "int({size} * {long} / {short})",
    "torch7-bicubic": "int({long} / {short} * {size})",
}
# Where the centre window begins along an axis whose surplus is {surplus}.
_BEGINS = {
    None: "({surplus}) // 2",
    "opencv-linear": "({surplus}) // 2",
    "pillow-bicubic": "round(({surplus}) / 2)",
    "torch7-bicubic": "-(-({surplus}) // 2)",
}
_HEAD = '''\
def preprocess(image: torch.Tensor) -> torch.Tensor:
    """The input of the net for one image, prepared as for these weights.

    Takes:
        image: uint8 (height, width, 3), RGB: a tensor or an array

    Returns:
        float32 1x3x{crop}x{crop}, {channels}
    """
    if not isinstance(image, torch.Tensor):
        image = torch.tensor(image)
    if image.dtype != torch.uint8 or image.dim() != 3 or image.shape[2] != 3:
        raise ValueError(
            "expected an image of uint8 (height, width, 3), "
            f"came {{image.dtype}} {{tuple(image.shape)}}"
        )'''


def preprocess_source(preparation: ImagePreparation) -> tuple[str, Callable[..., Any] | None]:
    """The text of the function, and the helper that it calls, if any. Every value in it is a number."""
    text = _HEAD.format(crop=preparation.crop, channels=preparation.channels)
    lines = [*_pixels(preparation), *_numbers(preparation)]
    return "\n".join([text, *(f"    {line}" for line in lines)]), _RESIZE.get(preparation.resize)


def _pixels(given: ImagePreparation) -> Iterator[str]:
    """Order of channels, resize, window."""
    if given.channels == "BGR":
        yield "image = image.flip(2)  # BGR"
    size, crop = given.size, given.crop
    if given.resize is not None:
        resize = _RESIZE[given.resize].__name__
        if given.to == "square":
            yield f"image = {resize}(image, {size}, {size})"
        else:
            longer = _LONGER[given.resize]
            tall, wide = (
                longer.format(size=size, long=long, short=short)
                for long, short in (("height", "width"), ("width", "height"))
            )
            yield "height, width = image.shape[:2]"
            yield "if width < height:"
            yield f"    height, width = {tall}, {size}"
            yield "else:"
            yield f"    height, width = {size}, {wide}"
            if given.resize == "torch7-bicubic":
                # Scale leaves an image alone whose shorter side is right; the division may not.
                yield f"if min(image.shape[:2]) == {size}:"
                yield "    height, width = image.shape[:2]"
            yield f"image = {resize}(image, height, width)"
    else:
        yield f"if min(image.shape[:2]) < {crop}:"
        yield f'    raise ValueError("expected an image of {crop}x{crop} pixels or more")'
    for side in (*([size] if given.square else []), crop):
        if given.to == "square" and side == size:
            continue
        begins = _BEGINS[given.resize]
        for name, axis in (("top", 0), ("left", 1)):
            yield f"{name} = {begins.format(surplus=f'image.shape[{axis}] - {side}')}"
        yield f"image = image[top : top + {side}, left : left + {side}]"


def _numbers(given: ImagePreparation) -> Iterator[str]:
    """Range, mean, scale, standard deviation; float32 at every step."""
    yield "x = image.permute(2, 0, 1)[None].to(torch.float32)"
    if given.pixel_white != given.white:
        yield "x = x / 255" if given.pixel_white > given.white else "x = x * 255"
    if given.mean is not None:
        yield f"x = x - {_per_channel(given.mean)}"
    if given.scale != 1:
        yield f"x = x * {given.scale!r}"
    if given.std is not None:
        yield f"x = x / {_per_channel(given.std)}"
    yield "return x.contiguous()"


def _per_channel(values: Sequence[float]) -> str:
    return f"torch.tensor({[float(value) for value in values]!r}).reshape(1, -1, 1, 1)"
