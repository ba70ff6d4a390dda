"""Which arguments of a command are the net, and which are images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo.errors import UsageError
from zoo.files import require_file

# Endings of images, also of kinds that are refused when they are read, so that the message is about images.
IMAGES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm"})


def split_arguments(arguments: Sequence[str]) -> tuple[list[str], list[Path]]:
    """The arguments of the net, and the images after them: everything from the first image on.

    Raises:
        UsageError: no net, no image, something else after an image, or an image that is no file.
    """
    first = next((k for k, argument in enumerate(arguments) if _is_image(argument)), len(arguments))
    net, images = list(arguments[:first]), [Path(argument) for argument in arguments[first:]]
    if not net:
        raise UsageError("expected a model's name or the files of a net before the images")
    if not images:
        raise UsageError(
            f"{arguments[-1]}: expected images after the net, files that end in .jpg, .jpeg, .png or .bmp"
        )
    for image in images:
        if not _is_image(str(image)):
            raise UsageError(f"{image}: not an image; the files of the net come before all images")
        require_file(image)
    return net, images


def _is_image(argument: str) -> bool:
    return Path(argument).suffix.lower() in IMAGES
