"""Caffe -> onnx_ir.Model: parse the definition, keep what computes at inference, bind the weights, build."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from pathlib import Path

import onnx_ir as ir

from converters.errors import ConverterError, FormatError, StaticSizeRequired, UsageError
from converters.from_caffe import deploy, schema
from converters.from_caffe.bind import Binder
from converters.from_caffe.build import start
from converters.from_caffe.embedded import definition_in
from converters.from_caffe.input_shapes import batch_sizes, freest
from converters.from_caffe.inspection import inspect
from converters.from_caffe.netstate import filter_net
from converters.from_caffe.prototxt import parse
from converters.from_caffe.weights import Weights, open_weights
from converters.options import Options
from converters.report import ConversionReport
from converters.sniff import Kind, identify

__all__ = ["inspect", "read"]


def read(definition: Path | None, weights_path: Path | None, options: Options) -> ir.Model:
    """The net of a prototxt, or the one a caffemodel carries, with the parameters of a weights file."""
    message, notes = _definition(definition, weights_path, options)
    layers = filter_net(message, options.stages, options.level)
    net = deploy.prepare(message.name, layers, options.outputs)
    weights = open_weights(weights_path, net.declared) if weights_path is not None else None
    sizes = batch_sizes(net.inputs, net.declared, weights, options)
    try:
        model, fixed = freest(sizes, functools.partial(_build, net, weights, options))
    except (FormatError, StaticSizeRequired) as error:
        raise _asking_for_size(error, net, options) from None
    if fixed:
        notes.append(_fixed_batch(model))
    model.meta["report"].notes.extend(notes)
    return model


def _definition(
    definition: Path | None, weights_path: Path | None, options: Options
) -> tuple[schema.Message, list[str]]:
    if definition is not None:
        message, ignored = parse(definition, options.ignore_fields)
        return message, [f"ignored the field {field}, as asked" for field in ignored]
    assert weights_path is not None
    if identify(weights_path) is not Kind.CAFFEMODEL:
        raise UsageError(
            f"{weights_path}: these are weights; give the network definition (.prototxt) with them"
        )
    return definition_in(weights_path), ["no definition was given: this is the net stored with the weights"]


def _asking_for_size(error: ConverterError, net: deploy.Net, options: Options) -> ConverterError:
    unknown = [name for name in net.inputs.without_size if name not in options.input_shapes]
    if not unknown:
        return error
    return type(error)(
        f"{error}; the definition does not tell the size of its input, give it: "
        f"--input-shape {unknown[0]}=N,C,H,W"
    )


def _fixed_batch(model: ir.Model) -> str:
    names = [
        str(value.name) for value in model.graph.inputs if value.shape and isinstance(value.shape[0], int)
    ]
    whose = "the batch" if len(names) == len(model.graph.inputs) else f"the batch of {', '.join(names)}"
    return f"{whose} is fixed: a layer of this net mixes or counts its items"


def _build(
    net: deploy.Net, weights: Weights | None, options: Options, free_batches: Collection[int | None]
) -> ir.Model:
    walk = start(net, weights, options, free_batches)
    walk.run()
    binder = walk.binder
    model = walk.graph.model(walk.outputs(net.outputs))
    model.meta["maps"] = weights.maps if weights is not None else {}
    model.meta["report"] = ConversionReport(
        framework="caffe",
        layers=len(net.layers),
        parameters=binder.parameter_count,
        dropped=net.dropped,
        unused_weights=binder.unused(),
        notes=[*walk.notes.values(), *_renamed(net.outputs, model), *_zeroed(binder)],
        preprocessing=net.preprocessing,
    )
    return model


def _zeroed(binder: Binder) -> list[str]:
    return [
        f"layer {name!r} is not in the weights file: its weights are 0, as Caffe makes them without a filler"
        for name in binder.zeroed
    ]


def _renamed(outputs: Sequence[str], model: ir.Model) -> list[str]:
    names = [str(value.name) for value in model.graph.outputs]
    return [
        f"the output {blob!r} is called {name!r}: it is computed in place on the input of that name"
        for blob, name in zip(outputs, names, strict=True)
        if blob != name
    ]
