"""Manifests of made-up models, written as TOML files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from zoo.catalog.catalog import Catalog
from zoo.catalog.file import HASH_KINDS

HEAD = """
schema_version = 1
title = "Made up"
summary = "For tests."
recipe = "made-up"
citation = "nobody"
license = {name = "MIT"}
"""
CLASSIFIER = {
    "framework": "caffe",
    "dataset": "digits-test",
    "classes": 10,
    "label_order": "digits",
    "input_shape": [3, 32, 32],
    "preprocessing": {"flavour": "caffe-warp36", "crop": 32, "mean": [104.0, 117.0, 123.0]},
}


def hashes_of(content: bytes) -> dict[str, str]:
    """Every kind of hash that a manifest may have."""
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    others = {kind: hashlib.new(kind, content).hexdigest() for kind in HASH_KINDS if kind != "git_blob"}
    return {**others, "git_blob": blob}


def write_manifest(folder: Path, name: str, *files: dict[str, object], **fields: object) -> Path:
    """`folder`/`name`.toml: a classifier of digits with these files, unless `fields` say otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    table = {"name": name, "architecture": name, **(fields or CLASSIFIER)}
    lines = [HEAD, *(f"{key} = {_toml(value)}" for key, value in table.items())]
    lines.append(f"files = {_toml(list(files))}")
    path = folder / f"{name}.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def catalog_of(*paths: Path) -> Catalog:
    """A catalog of these manifests alone."""
    return Catalog({path.stem: path for path in paths})


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)
