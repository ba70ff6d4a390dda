"""Caffe -> onnx_ir.Model: parse the definition, keep what computes at inference, bind the weights, build."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx_ir as ir

from converters.errors import ConverterError, FormatError, StaticSizeRequired, UsageError
from converters.from_caffe import deploy, schema
from converters.from_caffe.bind import Binder
from converters.from_caffe.build import Walk
from converters.from_caffe.embedded import definition_in
from converters.from_caffe.inputs import resolve
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
    try:
        model = _build(net, weights, options, symbolic=True)
    except ConverterError:
        # Not every net allows any batch size. If the net's own is right, the reason was just that.
        model = _build_static(net, weights, options)
        if options.static_batch is None and not options.input_shapes:
            notes.append("the batch is fixed: a layer of this net mixes or counts the items of its batch")
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


def _build_static(net: deploy.Net, weights: Weights | None, options: Options) -> ir.Model:
    try:
        return _build(net, weights, options, symbolic=False)
    except (FormatError, StaticSizeRequired) as error:
        unknown = [name for name in net.inputs.without_size if name not in options.input_shapes]
        if not unknown:
            raise
        raise type(error)(
            f"{error}; the definition does not tell the size of its input, give it: "
            f"--input-shape {unknown[0]}=N,C,H,W"
        ) from None


def _build(net: deploy.Net, weights: Weights | None, options: Options, *, symbolic: bool) -> ir.Model:
    binder = Binder(weights, net.layers, net.declared)
    walk = Walk(net.name, binder)
    walk.inputs(resolve(net.inputs, net.declared, weights, options, symbolic=symbolic))
    walk.run()
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
