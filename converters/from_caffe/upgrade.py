"""V0 and V1 definitions -> the current form (V2), by the rules of Caffe's own upgrade tools.

The order is Caffe's: V0 padding layers, V0 -> V1, transformation fields of data layers, V1 -> V2,
legacy `input` fields -> Input layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from converters.errors import FormatError, UnsupportedError
from converters.from_caffe import schema
from converters.from_caffe.legacy_types import V0_GENERAL_FIELDS, V0_TYPES, V1_TYPES

_DATA_PARAMS = ("data_param", "image_data_param", "window_data_param")
_TRANSFORM_FIELDS = ("scale", "mean_file", "crop_size", "mirror")


def v1_type_name(layer: schema.Message) -> str:
    """The type that a V1 layer has in the current form; empty where there is none."""
    return V1_TYPES.get(layer.LayerType.Name(layer.type), "")


def upgrade(
    net: schema.Message, path: Path, unknown_types: Mapping[int, str] | None = None
) -> schema.Message:
    """`net`, changed in place: all layers are in `layer`, and no legacy field is set.

    unknown_types: by position, the types of V1 layers that the schema does not know, in the current form.
    FormatError for a definition that Caffe refuses, UnsupportedError for an unknown V0 or V1 type or field.
    """
    if len(net.layers) and len(net.layer):
        raise FormatError(
            f"{path}: the definition has both 'layer' and 'layers' fields, which Caffe refuses: keep one kind"
        )
    if any(layer.HasField("layer") for layer in net.layers):
        _upgrade_v0(net, path)
    for k, layer in enumerate(net.layers):
        _move_transform_fields(layer)
        net.layer.append(_from_v1(layer, path, (unknown_types or {}).get(k) or v1_type_name(layer)))
    net.ClearField("layers")
    _upgrade_inputs(net, path)
    return net


def _upgrade_v0(net: schema.Message, path: Path) -> None:
    _fold_padding(net, path)
    for connected in net.layers:
        old = connected.layer
        connected.name = old.name
        if old.type not in V0_TYPES:
            raise UnsupportedError(
                f"{path}: layer {old.name!r} has the V0 type {old.type!r}; known: {', '.join(V0_TYPES)}"
            )
        v1_type, targets = V0_TYPES[old.type]
        connected.type = connected.LayerType.Value(v1_type)
        connected.blobs.extend(old.blobs)
        connected.blobs_lr.extend(old.blobs_lr)
        connected.weight_decay.extend(old.weight_decay)
        for field, value in old.ListFields():
            if field.name in targets:
                _assign(connected, targets[field.name], value)
            elif field.name not in V0_GENERAL_FIELDS:
                raise UnsupportedError(
                    f"{path}: layer {old.name!r}: a V0 layer of type {old.type!r} has no field {field.name!r}"
                )
        connected.ClearField("layer")


def _assign(layer: schema.Message, target: str, value: object) -> None:
    """Set the field `a.b` of a layer to a scalar or message; to a repeated field, the value is appended."""
    *parents, last = target.split(".")
    message = layer
    for parent in parents:
        message = getattr(message, parent)
    field = message.DESCRIPTOR.fields_by_name[last]
    if field.message_type is not None:
        getattr(message, last).CopyFrom(value)
    elif field.is_repeated:
        getattr(message, last).append(value)
    else:
        setattr(message, last, value)


def _fold_padding(net: schema.Message, path: Path) -> None:
    """Move the pad of V0's padding layers into the convolutions and poolings that read them."""
    made_by = dict.fromkeys(net.input)
    kept = []
    for connected in net.layers:
        layer = connected.layer
        for k, bottom in enumerate(connected.bottom):
            padding = made_by.get(bottom)
            if padding is None or padding.layer.type != "padding":
                continue
            if layer.type not in ("conv", "pool"):
                raise FormatError(
                    f"{path}: padding layer {padding.layer.name!r} feeds {layer.name!r} ({layer.type}); "
                    "only a convolution or a pooling can take its padding"
                )
            layer.pad = padding.layer.pad
            connected.bottom[k] = padding.bottom[0]
        if layer.type != "padding":
            kept.append(connected)
        for top in connected.top:
            made_by[top] = connected
    copies = [_copy(layer) for layer in kept]
    net.ClearField("layers")
    net.layers.extend(copies)


def _copy(message: schema.Message) -> schema.Message:
    new = type(message)()
    new.CopyFrom(message)
    return new


def _move_transform_fields(layer: schema.Message) -> None:
    """Move scale, mean_file, crop_size and mirror of a data layer from its own message to transform_param."""
    for param_name in _DATA_PARAMS:
        if not layer.HasField(param_name):
            continue
        param = getattr(layer, param_name)
        for field in _TRANSFORM_FIELDS:
            if param.HasField(field):
                setattr(layer.transform_param, field, getattr(param, field))
                param.ClearField(field)


def _from_v1(old: schema.Message, path: Path, layer_type: str) -> schema.Message:
    new = schema.new("LayerParameter")
    new.name, new.type = old.name, layer_type
    if not layer_type:
        name = old.LayerType.Name(old.type)
        raise UnsupportedError(f"{path}: layer {old.name!r} has the V1 type {name}, which names no layer")
    for field, value in old.ListFields():
        target = new.DESCRIPTOR.fields_by_name.get(field.name)
        if (
            field.name in ("name", "type", "param", "blobs_lr", "weight_decay", "blob_share_mode")
            or target is None
        ):
            continue
        if field.is_repeated:
            getattr(new, field.name).extend(value)
        elif field.message_type is not None:
            getattr(new, field.name).CopyFrom(value)
    for k in range(max(map(len, (old.param, old.blob_share_mode, old.blobs_lr, old.weight_decay)))):
        spec = new.param.add()
        if k < len(old.param):
            spec.name = old.param[k]
        if k < len(old.blob_share_mode):
            spec.share_mode = old.blob_share_mode[k]
        if k < len(old.blobs_lr):
            spec.lr_mult = old.blobs_lr[k]
        if k < len(old.weight_decay):
            spec.decay_mult = old.weight_decay[k]
    return new


def _upgrade_inputs(net: schema.Message, path: Path) -> None:
    """Turn the legacy fields `input`, `input_dim` and `input_shape` into an Input layer before all others."""
    names = list(net.input)
    if not len(net.input_shape) and not len(net.input_dim):
        # Caffe's UpgradeNetInput takes away an input without a shape: another layer makes it.
        made = {top for layer in net.layer for top in layer.top}
        names = [name for name in names if name not in made]
    if names:
        shapes = _legacy_shapes(net, path)
        layer = schema.new("LayerParameter")
        layer.name, layer.type = "input", "Input"
        layer.top.extend(names)
        for shape in shapes:
            layer.input_param.shape.add(dim=shape)
        rest = [_copy(other) for other in net.layer]
        net.ClearField("layer")
        net.layer.append(layer)
        net.layer.extend(rest)
    for field in ("input", "input_dim", "input_shape"):
        net.ClearField(field)


def _legacy_shapes(net: schema.Message, path: Path) -> list[list[int]]:
    if len(net.input_shape):
        shapes = [list(shape.dim) for shape in net.input_shape]
    else:
        sizes = list(net.input_dim)
        if len(sizes) % 4:
            raise FormatError(f"{path}: {len(sizes)} input_dim values; expected four for each input")
        shapes = [sizes[k : k + 4] for k in range(0, len(sizes), 4)]
    if len(shapes) not in (0, len(net.input)):
        raise FormatError(
            f"{path}: {len(net.input)} inputs ({', '.join(net.input)}), {len(shapes)} shapes: give one each"
        )
    return shapes
