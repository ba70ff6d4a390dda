"""What `convert` does for `--embed-preprocessing`: the nodes, the metadata that tell of them, the note."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from converters.embedded_preprocessing import add_preprocessing_nodes, pixels_text
from converters.errors import UsageError
from converters.image_preparation import ImagePreparation
from converters.report import ConversionReport

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir

    from converters.embedded_images import ChannelOrder

# What the first nodes do to the size of images.
_PIXELS = {
    None: "keep their size",
    "opencv-linear": "resize them to the bytes of OpenCV",
    "pillow-bicubic": "resize them to the bytes of Pillow",
    "torch7-bicubic": "resize them in float32, in Torch7's order of operations",
}


def embed(
    model: ir.Model,
    entries: dict[str, Any],
    stated: Mapping[str, Any],
    mean_image: np.ndarray | None,
    full: bool,
    order: ChannelOrder | None,
) -> None:
    """Adds the first nodes to `model`, and changes `entries`, its metadata, to what is left outside.

    stated: what the files state of the preprocessing, or what counts as that.
    full: whether the net takes whole images, in `order`.

    Raises UsageError for what cannot be embedded.
    """
    report: ConversionReport = model.meta["report"]
    if full:
        _embed_images(model, entries, mean_image, order)
    else:
        whole = entries["preprocessing"] or {}
        text = pixels_text(model, stated, entries)
        entries["preprocessing"] = add_preprocessing_nodes(model, whole, mean_image)
        entries["embedded_preprocessing"] = {
            name: whole[name] for name in ("mean", "scale", "std") if whole.get(name) is not None
        } | ({} if mean_image is None else {"mean_image": True})
        if entries.get("preparation"):
            entries["preparation"] = {**entries["preparation"], "mean": None, "std": None, "scale": 1.0}
        report.notes.append(
            "mean and scale are the first nodes: the input takes the cropped pixels unchanged" + text
        )


def _embed_images(
    model: ir.Model, entries: dict[str, Any], mean_image: np.ndarray | None, order: ChannelOrder | None
) -> None:
    from converters.embedded_images import add_image_nodes

    stated = entries.pop("preparation", None)
    if stated is None:
        raise UsageError(
            "--embed-preprocessing full: how images become the input of this net is not known: say it with "
            "--flavour, --crop and --mean"
        )
    preparation = ImagePreparation.of(stated)
    order = add_image_nodes(model, preparation, mean_image, order)
    # Nothing is left outside; the keys of what the nodes do are those of the caller.
    whole = entries.pop("preprocessing") or stated
    entries["embedded_preprocessing"] = {**whole, "layout": "NHWC", "channel_order": order}
    entries |= {"channel_order": order, "value_range": [0, 255], "layout": "NHWC"}
    entries.pop("inputs", None)
    model.metadata_props.pop("dsd-zoo.preprocessing", None)
    report: ConversionReport = model.meta["report"]
    (images,) = model.graph.inputs
    shape = [str(size) for size in images.shape or ()]
    report.inputs = {str(images.name): "x".join(shape)}
    report.preprocessing = {**entries["embedded_preprocessing"], "value_range": [0, 255]}
    report.notes.append(
        f"{images.name} takes uint8 images {' x '.join(shape)}, {order}, all of a batch of one size; the "
        f"first nodes {_PIXELS[preparation.resize]}, cut the window, and apply mean and scale in float32"
    )
