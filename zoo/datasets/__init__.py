"""Labelled images from where they lie. A new kind of place is one module in `zoo/datasets/sources`."""

from __future__ import annotations

from zoo.datasets.dataset import Dataset, Sample, Samples
from zoo.datasets.factory import ImagesByName, open_dataset, open_images
from zoo.datasets.registry import all_sources, expected_sources, kinds_of_sources, register_source
from zoo.datasets.source import Files, ImageSource, Record, Records

__all__ = [
    "Dataset",
    "Files",
    "ImageSource",
    "ImagesByName",
    "Record",
    "Records",
    "Sample",
    "Samples",
    "all_sources",
    "expected_sources",
    "kinds_of_sources",
    "open_dataset",
    "open_images",
    "register_source",
]
