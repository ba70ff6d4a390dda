"""Caffe -> onnx_ir.Model: parse the definition, keep what inference computes, bind the weights, convert."""

from __future__ import annotations

import copy
import functools
from collections.abc import Collection, Sequence
from pathlib import Path

import onnx_ir as ir

from converters.errors import ConverterError, FormatError, StaticSizeRequired, UsageError
from converters.from_caffe import deploy, schema
from converters.from_caffe.bind import Binder
from converters.from_caffe.conversion import Conversion
from converters.from_caffe.embedded import definition_in
from converters.from_caffe.input_shapes import declared_batch_sizes, widest_dynamic_batch
from converters.from_caffe.inspection import inspect
from converters.from_caffe.limits import MOST_TRIED_LAYERS
from converters.from_caffe.prototxt import parse
from converters.from_caffe.python_proposals import replace_python_proposals
from converters.from_caffe.stated_sizes import StatedSizes
from converters.from_caffe.weights import Weights, open_weights
from converters.kept_sources import KeptSources
from converters.options import Options
from converters.report import ConversionReport
from converters.sizes import dims
from converters.sniff import Kind, identify
from converters.source_files import watch

__all__ = ["inspect", "read"]


def read(definition: Path | None, weights_path: Path | None, options: Options, kept: KeptSources) -> ir.Model:
    """The net of a prototxt, or the one stored in a caffemodel, with the parameters of a weights file.

    At least one of the two paths must be given. `model.meta` gets "report", a ConversionReport, and
    "size_notes", `StatedSizes.notes` where the stated sizes were taken; it knows the open weights file
    (`converters.source_files.sources_of`). Every error is a ConverterError.
    """
    message, notes = _definition(definition, weights_path, options, kept)
    if options.proposal is not None:
        notes += replace_python_proposals(message, options.proposal)
    net = deploy.prepare(message, options.stages, options.level, options.outputs)
    notes += net.notes
    weights = open_weights(weights_path, net.declared, kept) if weights_path is not None else None
    try:
        model, fixed = _convert_for_any_batch(net, weights, options)
    except (FormatError, StaticSizeRequired, UsageError) as error:
        if (name := _input_of_image_shape(net, options)) is None:
            raise _with_size_advice(error, net, options) from None
        model, fixed = _convert_for_any_batch(net, weights, options.with_image_shape_for(name))
        model.meta["image_shape_used"] = True
    else:
        model.meta["size_notes"] = _stated_sizes(net, weights, options, fixed, model).notes
    if fixed:
        notes.append(_fixed_batch_note(model))
    model.meta["report"].notes.extend(notes)
    return model


def _definition(
    definition: Path | None, weights_path: Path | None, options: Options, kept: KeptSources
) -> tuple[schema.Message, list[str]]:
    """A definition to work on, and what a person should know about it."""
    if definition is not None:
        asked = options.ignore_fields, options.stages, options.level
        read = kept.get(("definition", definition, *asked), lambda: parse(definition, *asked))
        return copy.deepcopy(read.net), [
            *(f"ignored the field {field}, as asked" for field in read.ignored),
            *read.notes,
        ]
    assert weights_path is not None
    if identify(weights_path) is not Kind.CAFFEMODEL:
        raise UsageError(
            f"{weights_path}: these are weights; give the network definition (.prototxt) with them"
        )
    stored = kept.get(("definition", weights_path), lambda: definition_in(kept.file(weights_path)))
    return copy.deepcopy(stored), ["no definition was given: this is the net stored with the weights"]


def _convert_for_any_batch(
    net: deploy.InferenceNet, weights: Weights | None, options: Options
) -> tuple[ir.Model, list[int | None]]:
    """(the model, the declared batch sizes that had to stay as they are)."""
    sizes = declared_batch_sizes(net.inputs, net.declared, weights, options)
    attempt = functools.partial(_convert, net, weights, options)
    return widest_dynamic_batch(sizes, attempt, is_long=len(net.layers) > MOST_TRIED_LAYERS)


def _stated_sizes(
    net: deploy.InferenceNet,
    weights: Weights | None,
    options: Options,
    fixed: Sequence[int | None],
    model: ir.Model,
) -> StatedSizes:
    batches = [
        size for size in declared_batch_sizes(net.inputs, net.declared, weights, options) if size not in fixed
    ]
    inputs = {str(value.name): dims(value) for value in model.graph.inputs}
    outputs = {str(value.name): dims(value) for value in model.graph.outputs}
    return StatedSizes(net, weights, options, batches, inputs, outputs)


def _input_of_image_shape(net: deploy.InferenceNet, options: Options) -> str | None:
    """The input that `options.image_shape` is about: the only one, if its size is unknown."""
    unknown = net.inputs.with_unknown_size
    alone = len(unknown) == 1 == len(net.inputs.shapes)
    return unknown[0] if alone and options.image_shape is not None and not options.input_shapes else None


def _with_size_advice(error: ConverterError, net: deploy.InferenceNet, options: Options) -> ConverterError:
    """The error; where the size of an input is unknown, with the option that gives it."""
    unknown = [name for name in net.inputs.with_unknown_size if name not in options.input_shapes]
    if not unknown or isinstance(error, UsageError):
        return error
    return type(error)(
        f"{error}; the definition does not tell the size of its input, give it: "
        f"--input-shape {unknown[0]}=N,C,H,W"
    )


def _fixed_batch_note(model: ir.Model) -> str:
    names = [
        str(value.name) for value in model.graph.inputs if value.shape and isinstance(value.shape[0], int)
    ]
    whose = "the batch" if len(names) == len(model.graph.inputs) else f"the batch of {', '.join(names)}"
    return f"{whose} is fixed: a layer of this net mixes or counts its items"


def _convert(
    net: deploy.InferenceNet,
    weights: Weights | None,
    options: Options,
    dynamic_batches: Collection[int | None],
) -> ir.Model:
    conversion = Conversion.of(net, weights, options, dynamic_batches)
    conversion.convert_layers()
    binder = conversion.binder
    model = conversion.graph.model(conversion.outputs(net.outputs))
    if weights is not None:
        watch(model, opened=weights.files)
    model.meta["report"] = ConversionReport(
        framework="caffe",
        layers=len(net.layers),
        parameters=binder.parameter_count,
        dropped=net.dropped,
        unused_weights=binder.unused(),
        notes=[
            *conversion.notes.values(),
            *_renamed_output_notes(net.outputs, model),
            *_zeroed_layer_notes(binder),
            *_initialised_note(binder),
        ],
        preprocessing=net.preprocessing,
    )
    return model


def _zeroed_layer_notes(binder: Binder) -> list[str]:
    return [
        f"layer {name!r} is not in the weights file: its weights are 0, as Caffe makes them without a filler"
        for name in binder.zeroed_layers
    ]


def _initialised_note(binder: Binder) -> list[str]:
    names = list(binder.initialised_layers)
    if not names:
        return []
    which = "all layers" if binder.weights is None else f"layers {', '.join(map(repr, names))}"
    return [f"the weights of {which} are initial ones, made by their fillers with the seed {binder.init}"]


def _renamed_output_notes(outputs: Sequence[str], model: ir.Model) -> list[str]:
    names = [str(value.name) for value in model.graph.outputs]
    return [
        f"the output {blob!r} is called {name!r}: it is computed in place on the input of that name"
        for blob, name in zip(outputs, names, strict=True)
        if blob != name
    ]
