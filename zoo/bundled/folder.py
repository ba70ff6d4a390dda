"""Where what ships with the zoo lies."""

from __future__ import annotations

from pathlib import Path


def bundled_folder() -> Path:
    """The folder with manifests, claim traces, labels and the embedded models."""
    return Path(__file__).resolve().parents[2] / "manifests"
