"""`dsd-zoo list`: the whole zoo at a glance."""

from __future__ import annotations

from zoo.cli._common import JsonOption, ManifestsOption, load_catalog, print_json, print_table


def list_(json: JsonOption = False, manifests: ManifestsOption = None) -> None:
    """List all models: claims, gain over the baseline, trust, and what is here already."""
    models = list(load_catalog(manifests))
    if json:
        print_json([model.name for model in models])
        return
    print_table(("MODEL", "TITLE"), [(model.name, model.title) for model in models])
