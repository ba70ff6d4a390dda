"""Photograph-like images, made up from a seed: smooth shapes with a little grain, as JPEG."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT, QUALITY = 500, 375, 92


def write_jpegs(folder: Path, count: int) -> Path:
    """`count` JPEGs of 500x375, quality 92, and labels.txt (classes 0 to 999 in turn); returns the folder."""
    if (folder / "labels.txt").exists():
        return folder
    folder.mkdir(parents=True)
    for number in range(count):
        random = np.random.default_rng(number)
        coarse = random.integers(0, 256, (12, 16, 3), np.uint8)
        image = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.float32)
        image += random.normal(0, 6, image.shape).astype(np.float32)
        pixels = np.clip(image, 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number:05}.jpg"), pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    (folder / "labels.txt").write_text("".join(f"{n:05}.jpg {n % 1000}\n" for n in range(count)))
    return folder
