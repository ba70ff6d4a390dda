"""All checks of a model.

integrity: the content of each file against every size and hash on record
structure: definition and weights against each other (layer names, parameter shapes) and the manifest
parity: the converted nets against outputs that the original framework recorded, or else against each other
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.store.converted import source_net
from zoo.verification.check import Check
from zoo.verification.integrity import check_integrity, source_hashes
from zoo.verification.parity import check_parity
from zoo.verification.structure import check_structure

if TYPE_CHECKING:
    from zoo.catalog.manifest import Manifest
    from zoo.store.cache import Cache


def verify_model(manifest: Manifest, cache: Cache, baseline: Manifest | None = None) -> list[Check]:
    """All checks of a model in order; after the first kind that fails, the rest are left out."""
    checks = check_integrity(manifest, cache)
    if not all(check.ok for check in checks):
        return checks
    # Both checks share the net, so that its files are read once.
    net = source_net(manifest, cache, list(source_hashes(manifest, checks).values()))
    checks += check_structure(manifest, net, cache, baseline)
    if all(check.ok for check in checks):
        checks += check_parity(manifest, net, cache)
    return checks
