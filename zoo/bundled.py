"""What ships with the zoo: the folder of manifests, the embedded images, ImageNet's synsets and labels."""

from __future__ import annotations

import re
from pathlib import Path


def bundled_folder() -> Path:
    """The folder of what ships with the zoo: manifests, claim traces, labels, the embedded models."""
    return Path(__file__).resolve().parent.parent / "manifests"


def embedded_images(dataset: str) -> Path | None:
    """The labelled images of `dataset`, as `open_dataset` takes them, if they ship with the zoo."""
    return bundled_folder() / "digits" / "images" / "test_images.tar" if dataset == "digits-test" else None


ILSVRC2012_VAL = re.compile(r"ILSVRC2012_val_(\d{8})\.JPEG")


def imagenet_synsets() -> dict[str, int]:
    """ILSVRC2012 synset id ("n01440764") to label."""
    return {line.split()[0]: label for label, line in enumerate(_synset_lines())}


def imagenet_names() -> list[str]:
    """The names of ILSVRC2012's classes ("tench") in label order."""
    return [line.split(maxsplit=1)[1] for line in _synset_lines()]


def _synset_lines() -> list[str]:
    path = bundled_folder() / "ilsvrc2012" / "ilsvrc2012-synsets.txt"
    return path.read_text(encoding="utf-8").splitlines()


def ilsvrc2012_val_labels() -> list[int]:
    """Labels of ILSVRC2012_val_00000001.JPEG to ..._00050000.JPEG."""
    text = (bundled_folder() / "ilsvrc2012" / "ilsvrc2012-val-labels.txt").read_text(encoding="ascii")
    return [int(line) for line in text.split()]
