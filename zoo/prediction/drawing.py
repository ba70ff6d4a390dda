"""Images that show an answer: boxes on a copy, or the window that the net saw."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from converters import atomic_write
from zoo.errors import UsageError
from zoo.preprocessing.flavour import Pixels

if TYPE_CHECKING:
    from zoo.prediction.answer import Box
    from zoo.preprocessing import Preprocessor

UInt8 = NDArray[np.uint8]
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp")
# BGR: dark enough for white letters.
COLOURS = ((160, 60, 20), (30, 30, 190), (40, 120, 30), (150, 30, 130), (20, 100, 170), (110, 90, 20))


def with_boxes(image: UInt8, boxes: Sequence[Box]) -> UInt8:
    """A copy of an image, (height, width, 3) BGR, with a frame, name and score for each box."""
    import cv2

    copy = image.copy()
    # Lines and letters that stay readable if the image is shown at the width of a screen.
    line = max(2, round(max(image.shape[:2]) / 300))
    scale = max(0.4, max(image.shape[:2]) / 1000)
    for box in reversed(boxes):
        left, right = (_pixel(value, image.shape[1]) for value in (box.left, box.right - 1))
        top, bottom = (_pixel(value, image.shape[0]) for value in (box.top, box.bottom - 1))
        name = str(box.index) if box.name is None else box.name
        colour = COLOURS[zlib.crc32(name.encode()) % len(COLOURS)]
        cv2.rectangle(copy, (left, top), (right, bottom), colour, line)
        # OpenCV's letters are ASCII.
        text = f"{name.encode('ascii', 'replace').decode()} {box.score:.2f}"
        (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, line)
        bottom_of_text = max(top, height + below)
        place = (left, bottom_of_text - height - below), (left + width, bottom_of_text)
        cv2.rectangle(copy, *place, colour, cv2.FILLED)
        cv2.putText(
            copy,
            text,
            (left, bottom_of_text - below // 2),
            cv2.FONT_HERSHEY_SIMPLEX,
            scale,
            (255, 255, 255),
            line,
            cv2.LINE_AA,
        )
    return copy


def _pixel(value: float, length: int) -> int:
    """The pixel at a coordinate, the first or last one if it lies outside, so that a frame stays visible."""
    return round(min(max(value, 0.0), length - 1.0))


def as_seen(prepare: Preprocessor, pixels: Pixels) -> UInt8:
    """The window that the net sees, before mean and scale: (crop, crop, 3) BGR.

    pixels: decoded for the flavour of `prepare`.
    """
    resized = prepare.flavour.scale(pixels)
    window: NDArray[Any] = resized[
        prepare.flavour.window(resized.shape[0], resized.shape[1], prepare.normalisation.crop)
    ]
    if prepare.flavour.max_value == 1:
        window = np.rint(window.clip(0, 1) * 255)
    return window[:, :, :: 1 if prepare.flavour.channels == "BGR" else -1].astype(np.uint8)


def places(out: Path | None, images: Sequence[Path]) -> list[Path | None]:
    """Where the image that shows each answer goes: `out`, or for several images files in the folder `out`.

    Raises:
        UsageError: `out` has no ending of an image, is an input, or two images would get the same name.
    """
    if out is None:
        return [None] * len(images)
    if len(images) == 1 and not out.is_dir():
        found = [out]
    elif out.suffix.lower() in ENDINGS:
        raise UsageError(f"--out {out}: there are {len(images)} images; give a folder for them")
    else:
        found = [out / f"{image.stem}.png" for image in images]
    for place in found:
        if place.suffix.lower() not in ENDINGS:
            raise UsageError(f"--out {place}: expected a name that ends in {', '.join(ENDINGS)}")
        if place.resolve() in {image.resolve() for image in images}:
            raise UsageError(f"--out {place}: this is one of the images; give another name, it would be lost")
    if len(set(found)) < len(found):
        raise UsageError(f"--out {out}: several images have the same name; predict them one after the other")
    return list(found)


def write_image(image: UInt8, place: Path) -> None:
    """Write an image whole or not at all. UsageError if that is not possible."""
    import cv2

    _, data = cv2.imencode(place.suffix, image)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(place) as temporary:
            temporary.write_bytes(data.tobytes())
    except OSError as error:
        raise UsageError(f"{place}: cannot be written: {error.strerror}") from error
