"""The entry of a manifest for a published figure that the zoo cannot check."""

from __future__ import annotations

from zoo.schema import Data


class Reported(Data):
    """A figure as published. It is no accuracy over labelled images, so no run here can check it."""

    metric: str
    """What was measured, such as `mAP` or `pairwise accuracy`."""
    published: str
    """Exactly as the source prints it."""
    images: str
    """What it was measured on."""
    who: str
    """Who measured it."""
    source: str
    """URL or file the figure comes from."""
    note: str | None = None
