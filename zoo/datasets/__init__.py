"""Labelled images from where they lie. A new kind of place is one module and one row below.

Places of two kinds: those that hold files (`Files`), for which a list or the names tell the labels, and
those whose records carry labels themselves (`Records`).
"""

from __future__ import annotations

from zoo.datasets.dataset import Dataset, Record, Sample
from zoo.datasets.factory import open_dataset
from zoo.preprocessing.decode import Content, DecodedImage

__all__ = ["Content", "Dataset", "DecodedImage", "Record", "Sample", "open_dataset"]
