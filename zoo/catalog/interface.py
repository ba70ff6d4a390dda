"""The entries of a manifest for what a net takes and gives, where no flavour of the zoo makes its input."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from zoo.catalog.file import MOST_COUNT
from zoo.schema import Data

Size = Annotated[int, Field(gt=0, le=MOST_COUNT)]
# How many channels an order of channels names.
CHANNEL_COUNTS = {"BGR": 3, "RGB": 3, "L of Lab": 1}


class Input(Data):
    """One input of a net. Where a field is None, no source tells it, or it does not apply."""

    name: str | None = None
    """Of the blob or, of a Torch7 net, of the ONNX input; None: not stated."""
    shape: Annotated[list[Size], Field(min_length=1)] | None = None
    """Per image, in the order of `layout`. None: any size, or not stated."""
    layout: Literal["CHW", "CWH", "HWC"] | None = None
    """What the axes of `shape` are; None for what is no image."""
    channels: Literal["BGR", "RGB", "L of Lab"] | None = None
    """Which channels an image has, in their order."""
    range: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    """Lowest and highest value of a pixel before mean and scale."""
    mean: list[float] | None = None
    """Per channel, or one for all; subtracted first."""
    scale: float | None = None
    """Multiplies what is left: (pixel - mean) * scale."""
    description: str | None = None
    """In words: what the numbers above do not tell."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.shape is not None and self.layout is not None and len(self.shape) != len(self.layout):
            raise ValueError(f"shape {self.shape} has not the axes of layout {self.layout}")
        if self.range is not None and self.range[0] >= self.range[1]:
            raise ValueError(f"range {self.range}: the lowest value comes first")
        if self.scale == 0:
            raise ValueError("scale must be a number other than 0")
        count = None if self.channels is None else CHANNEL_COUNTS[self.channels]
        if count is None:
            return self
        if self.mean is not None and len(self.mean) not in (1, count):
            raise ValueError(f"mean takes one number or {count} for {self.channels}, not {self.mean}")
        if self.shape and self.layout and self.shape[self.layout.index("C")] != count:
            raise ValueError(
                f"shape {self.shape} as {self.layout} has not the {count} channels {self.channels}"
            )
        return self


class Output(Data):
    """One output of a net, in words."""

    name: str | None = None
    """Of the blob or, of a Torch7 net, of the ONNX output; None: not stated."""
    description: str
