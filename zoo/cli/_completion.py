"""What the shell completes where the name of a model, a task or a file is expected.

It answers while a person types, so no manifest is read: the file of a manifest has the name of its model.
"""

from __future__ import annotations

import os
from pathlib import Path

import typer

from zoo.bundled import TASKS, bundled_folder


def complete_models(ctx: typer.Context, incomplete: str) -> list[str]:
    """Models of the zoo, and of the folders that --manifests names before."""
    given = [Path(folder) for folder in ctx.params.get("manifests") or ()]
    found = {path.stem for folder in (bundled_folder(), *given) for path in folder.glob("*.toml")}
    return sorted(name for name in found if name.startswith(incomplete))


def complete_nets(ctx: typer.Context, incomplete: str) -> list[str]:
    """Models, and files of this folder beside them.

    Where no model begins so, the answer is empty, and the shell completes paths as it does everywhere.
    """
    models = complete_models(ctx, incomplete)
    files = [entry.name for entry in os.scandir() if entry.is_file()] if models else []
    return models + sorted(name for name in files if name.startswith(incomplete))


def complete_tasks(incomplete: str) -> list[str]:
    """What models are for."""
    return [task for task in TASKS if task.startswith(incomplete)]
