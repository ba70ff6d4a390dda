"""The metadata of a converted net: what the manifest of its model says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.bundled import LABEL_ORDERS

if TYPE_CHECKING:
    from zoo.catalog.manifest import Manifest


def metadata_of(manifest: Manifest) -> dict[str, Any]:
    """`preprocessing`, `claims`, `labels` (names in label order, where known), `licence` and `citation`."""
    claims = [
        claim.model_dump(include={"metric", "n", "correct", "percent", "published", "source"})
        for claim in manifest.claims
    ]
    return {
        "model": manifest.name,
        "preprocessing": manifest.preprocessing.model_dump(),
        "claims": claims,
        "labels": _label_names(manifest),
        "licence": manifest.license.name,
        "citation": manifest.citation,
    }


def _label_names(manifest: Manifest) -> list[str] | None:
    return None if manifest.label_order is None else LABEL_ORDERS[manifest.label_order].class_names()
