"""Settings for a net that no manifest describes: what its files carry, completed by what the user says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.manifest import Preprocessing


def carried_settings(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """The settings in a converted net's metadata ("dsd-zoo.preprocessing"), as far as they are there.

    Either a manifest's own table, or what a Caffe definition says of its data layer. That tells crop, mean
    and scale, and how images were resized only where the layer itself did it (to a square: caffe-warp).
    """
    if metadata is None or "flavour" in metadata:
        return dict(metadata or {})
    height, width = metadata.get("resize") or (None, None)
    known = {
        "flavour": f"caffe-warp{height}" if height is not None and height == width else None,
        "crop": metadata.get("crop"),
        "mean": metadata.get("mean"),
        "mean_image": True if metadata.get("mean_file") else None,
        "scale": metadata.get("scale"),
    }
    return {name: value for name, value in known.items() if value is not None}


def settings(given: Mapping[str, Any], carried: Mapping[str, Any]) -> Preprocessing:
    """`carried` settings, with those `given` (not None) in their place. Names as in `Preprocessing`.

    Raises:
        UsageError: something is missing or out of range; the message names the option to give.
    """
    from pydantic import ValidationError

    from zoo.manifest import Preprocessing

    chosen = {name: value for name, value in given.items() if value is not None}
    if "mean" in chosen or "mean_image" in chosen:
        carried = {name: value for name, value in carried.items() if name not in ("mean", "mean_image")}
    merged = {**carried, **chosen}
    missing = [f"--{name}" for name in ("flavour", "crop") if merged.get(name) is None]
    if missing:
        raise UsageError(
            f"how images become this net's input is not known: give {' and '.join(missing)}\n"
            "  for example --flavour caffe-warp256 --crop 227 --mean 104,117,123"
        )
    try:
        return Preprocessing.model_validate(merged)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = f"--{problem['loc'][0]}: " if problem["loc"] else ""
        raise UsageError(f"preprocessing: {where}{problem['msg']}, came {problem['input']!r}") from error
