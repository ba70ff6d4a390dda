"""Small copies of the images that a page shows, as data: URIs.

An image is shown only if it is the one that was ranked: its file has the SHA-256 of the evidence. The copy is
encoded anew, so that nothing but the pixels of the file reaches the page.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.bundled import embedded_images
from zoo.errors import ZooError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoo.datasets import ImagesByName
    from zoo.evidence.run import Result
    from zoo.preprocessing.decode import Content
    from zoo.report.galleries import Card

# The longer side in pixels: twice as many as a page shows, for screens with small pixels.
SIDE = 240
JPEG_QUALITY = 80
# No page has more of them; each takes some 10 kB.
MOST = 200


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small copy: its data: URI, and whether it has so few pixels that they are to be seen as squares."""

    source: str
    is_coarse: bool


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """The small copies by name of the image, and why there are none, or not all."""

    by_image: dict[str, Thumbnail] = field(default_factory=dict)
    note: str = ""


def make_thumbnails(results: Sequence[Result], cards: Iterable[Card]) -> Thumbnails:
    """Copies of the images of these cards, from where the runs had them or from what ships with the zoo."""
    wanted = {card.image: card.sha256 for card in cards}
    if not wanted:
        return Thumbnails()
    try:
        import cv2  # noqa: F401 - whether it is installed
    except ModuleNotFoundError:
        return Thumbnails(
            note="The images are not shown: pip install 'dsd-zoo[data]' brings what reads them."
        )
    found: dict[str, Thumbnail] = {}
    with ExitStack() as stack:
        for source in _sources(results):
            images = _open(source, list(wanted)[:MOST])
            if images is None:
                continue
            stack.callback(images.close)
            for name in images.readers:
                if name not in found and (made := _make(images, name, wanted[name])) is not None:
                    found[name] = made
    return Thumbnails(found, _note(len(wanted) - len(found), bool(found), results))


def _sources(results: Sequence[Result]) -> list[Path]:
    places: list[Path] = []
    for result in results:
        places.append(Path(result.dataset_source))
        if (embedded := embedded_images(result.dataset)) is not None:
            places.append(embedded)
    return list(dict.fromkeys(places))


def _open(source: Path, names: Sequence[str]) -> ImagesByName | None:
    from zoo.datasets import open_images

    try:
        return open_images(source, names)
    except (ZooError, OSError, ValueError):
        return None  # not there any more, or no place of images on this machine


def _make(images: ImagesByName, name: str, sha256: str) -> Thumbnail | None:
    """The small copy; None if the image is not there, is another one, or cannot be read."""
    from converters import ConverterError

    if not sha256:
        return None
    try:
        content = images.read(name)
        known = hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else content.sha256
        return None if known != sha256 else _encode(_pixels(content))
    except (ZooError, ConverterError, OSError):
        return None


def _pixels(content: Content) -> NDArray[Any]:
    """(height, width, channels) BGR or grey; uint8 unless they are no picture."""
    import numpy as np

    from zoo.preprocessing import EncodedImage, resolve

    if isinstance(content, bytes):
        return EncodedImage(content).bgr
    if content.flavour is None:
        return content.pixels
    flavour = resolve(content.flavour)
    pixels = content.pixels[:, :, :: 1 if flavour.channels == "BGR" else -1]
    return np.rint(pixels.clip(0, 1) * 255).astype(np.uint8) if flavour.max_value == 1 else pixels


def _encode(pixels: NDArray[Any]) -> Thumbnail | None:
    import cv2
    import numpy as np

    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or pixels.dtype != np.uint8:
        return None  # numbers that are no picture
    longer = max(pixels.shape[:2])
    is_coarse = longer <= SIDE // 2
    if longer > SIDE:
        height, width = (max(1, round(side * SIDE / longer)) for side in pixels.shape[:2])
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    ending, kind = (".png", "png") if is_coarse else (".jpg", "jpeg")
    options = [] if is_coarse else [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    _, data = cv2.imencode(ending, np.ascontiguousarray(pixels), options)
    return Thumbnail(f"data:image/{kind};base64,{base64.b64encode(data.tobytes()).decode()}", is_coarse)


def _note(missing: int, some: bool, results: Sequence[Result]) -> str:
    if not missing:
        return ""
    places = " and ".join(dict.fromkeys(Path(result.dataset_source).name for result in results))
    which = "Some images are" if some else "The images are"
    return f"{which} not shown: they are not at hand, or not the ones that were ranked ({places})."
