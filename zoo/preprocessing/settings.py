"""Preprocessing settings: as in a manifest, or from a net's own files completed by the user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from zoo.errors import UsageError, excerpt
from zoo.schema import Data


def carried_settings(metadata: object) -> dict[str, Any]:
    """The settings in a converted net's metadata ("dsd-zoo.preprocessing"), which may be incomplete.

    They are either a manifest's own table, or the parameters of a Caffe definition's data layer: crop, mean,
    scale, and the size if the layer itself resizes images (to a square: caffe-warp). UsageError if they are
    no settings at all.
    """
    if metadata is not None and not isinstance(metadata, Mapping):
        raise UsageError(
            f"the net's metadata say {excerpt(repr(metadata))} of its preprocessing: no settings"
        )
    if metadata is None or "flavour" in metadata:
        return dict(metadata or {})
    resize = metadata.get("resize")
    height, width = resize if isinstance(resize, list | tuple) and len(resize) == 2 else (None, None)
    known = {
        "flavour": f"caffe-warp{height}" if height is not None and height == width else None,
        "crop": metadata.get("crop"),
        "mean": metadata.get("mean"),
        "mean_image": True if metadata.get("mean_file") else None,
        "scale": metadata.get("scale"),
    }
    return {name: value for name, value in known.items() if value is not None}


def settings(given: Mapping[str, Any], carried: Mapping[str, Any]) -> Preprocessing:
    """`carried` settings, replaced by those `given` (not None). Names as in `Preprocessing`.

    A `mean` without numbers says that the net subtracts none.

    Raises:
        UsageError: something is missing or out of range; the message names the option to give.
    """

    chosen = {name: value for name, value in given.items() if value is not None}
    if "mean" in chosen or "mean_image" in chosen:
        carried = {name: value for name, value in carried.items() if name not in ("mean", "mean_image")}
    if "mean" in chosen and len(chosen["mean"]) == 0:
        chosen["mean"] = None
    merged = {**carried, **chosen}
    missing = [f"--{name}" for name in ("flavour", "crop") if merged.get(name) is None]
    if missing:
        raise UsageError(
            f"how images become this net's input is not known: give {' and '.join(missing)}\n"
            "  for example --flavour caffe-warp256 --crop 227 --mean 104,117,123"
        )
    try:
        return Preprocessing.model_validate(merged)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = f"--{problem['loc'][0]}: " if problem["loc"] else ""
        raise UsageError(
            f"preprocessing: {where}{problem['msg']}, came {excerpt(repr(problem['input']))}"
        ) from error


def decoding_of(preprocessing: Preprocessing) -> Preprocessing:
    """The settings for a net that subtracts its mean itself: how its images are decoded is what counts."""
    return preprocessing.model_copy(update={"mean": None, "mean_image": False, "std": None, "scale": 1.0})


def in_words(given: Mapping[str, Any]) -> str:
    """Settings in one line, `caffe-warp256, crop 227, mean 104 117 123`; names as in `Preprocessing`.

    `meant_for` may be there, too: the flavour whose numbers they are, if not the flavour's own.
    """
    parts = [given["flavour"], f"crop {given['crop']}"]
    for name in ("mean", "std"):
        if given.get(name) is not None:
            parts.append(f"{name} {' '.join(f'{value:g}' for value in given[name])}")
    if given.get("mean_image"):
        parts.append("mean image")
    if given.get("scale", 1) != 1:
        parts.append(f"scale {given['scale']:g}")
    if given.get("meant_for"):
        parts.append(f"for a net made for {given['meant_for']}")
    return ", ".join(parts)


class Preprocessing(Data):
    """How an image file becomes the network's input."""

    flavour: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    """`caffe-warp256`, `torch7-bicubic256`, ...; the trailing number is the size resized to, in pixels."""
    crop: Annotated[int, Field(gt=0)]
    """Side of the centre crop in pixels."""
    mean: list[float] | None = None
    """Per channel, in the flavour's own channel order and range (caffe: BGR 0..255; torch7: RGB 0..1)."""
    mean_image: bool = False
    """Subtract the file with role `mean` instead, cropped at the same window as the image."""
    std: list[float] | None = None
    """Per channel; torch7 flavours divide by it after the mean is subtracted."""
    scale: float = 1.0
    """caffe flavours: (pixel - mean) * scale in float32."""

    @model_validator(mode="after")
    def _one_mean(self) -> Self:
        if self.mean_image and self.mean is not None:
            raise ValueError("mean and mean_image exclude each other")
        return self
