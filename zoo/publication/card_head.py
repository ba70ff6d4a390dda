"""The head of a model card: what the Hugging Face Hub reads of it, in YAML."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from zoo.bundled import KNOWN_DATASETS
from zoo.vocabulary import METRIC_NAMES

if TYPE_CHECKING:
    from zoo.catalog.manifest import Manifest

# Identifiers that the Hub knows; others are "other" with a name.
LICENCES = frozenset({"apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc-by-4.0", "mit"})
PIPELINES = {
    "classification": "image-classification",
    "object-detection": "object-detection",
    "face-detection": "object-detection",
    "segmentation": "image-segmentation",
    "face-recognition": "image-feature-extraction",
    "pose-estimation": "keypoint-detection",
    "colorization": "image-to-image",
    "style-transfer": "image-to-image",
}
DATASETS = {"ilsvrc2012-val": "imagenet-1k", "ilsvrc2015-val": "imagenet-1k"}


def card_head(manifest: Manifest) -> str:
    """Metadata in YAML, between lines of three dashes; strings are written as JSON, which YAML contains."""
    name = manifest.license.name.lower()
    lines = [f"license: {name}" if name in LICENCES else "license: other"]
    if name not in LICENCES:
        lines += [f"license_name: {json.dumps(name)}"]
        lines += [f"license_link: {json.dumps(manifest.license.url)}"] if manifest.license.url else []
    lines += [f"pipeline_tag: {PIPELINES[manifest.task]}"] if manifest.task in PIPELINES else []
    lines += ["tags:", *(f"- {tag}" for tag in dict.fromkeys(("onnx", "pytorch", manifest.framework)))]
    dataset = DATASETS.get(manifest.dataset or "")
    if dataset is not None:
        lines += ["datasets:", f"- {dataset}"]
    if manifest.claims:
        lines += [*_model_index(manifest)]
    return "\n".join(["---", *lines, "---"])


def _model_index(manifest: Manifest) -> Iterator[str]:
    """The claims as results that others stated; the Hub shows them beside the card."""
    known = KNOWN_DATASETS.get(manifest.dataset or "")
    data = DATASETS.get(manifest.dataset or "", manifest.dataset)
    yield "model-index:"
    yield f"- name: {json.dumps(manifest.name)}"
    yield "  results:"
    yield "  - task:"
    yield f"      type: {PIPELINES[manifest.task]}"
    yield "    dataset:"
    yield f"      type: {json.dumps(data)}"
    yield f"      name: {json.dumps(known.description if known else data)}"
    yield "    metrics:"
    for claim in manifest.claims:
        yield "    - type: accuracy"
        yield f"      name: {METRIC_NAMES[claim.metric]} as published"
        yield f"      value: {claim.percent}"
        yield "      verified: false"
