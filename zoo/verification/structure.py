"""Checks the structure of a net against its manifest and its baseline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zoo.errors import UsageError
from zoo.store.converted import source_net
from zoo.verification.check import Check
from zoo.verification.weights import equal_values, pair_weights, weights_of

if TYPE_CHECKING:
    import onnx_ir as ir

    from converters import ConversionReport
    from zoo.catalog.manifest import Manifest
    from zoo.store.cache import Cache
    from zoo.store.converted import SourceNet


def check_structure(
    manifest: Manifest,
    net: SourceNet,
    cache: Cache,
    baseline: Manifest | None = None,
) -> list[Check]:
    """Read definition and weights as a net; compare it with the manifest and, if in the cache, the baseline.

    Every layer must have parameters of the right shape, all of them finite; input and parameter count must be
    those of the manifest. A baseline of the same architecture must have the same layers and other weights.

    net: that of the model, see `zoo.store.converted.source_net`.
    """
    import converters

    try:
        model = net.model
    except converters.ConverterError as error:
        return [Check("structure", "net", False, str(error))]
    report: ConversionReport = model.meta["report"]
    count = sum(weight.array.size for weight in weights_of(model))
    lines = [f"{report.layers} layers, {count:,} parameters"]
    if report.unused_weights:
        lines.append(f"stored, but not used by the definition: {', '.join(report.unused_weights)}")
    wrong = contradictions(model, manifest)
    checks = [Check("structure", "net", not wrong, "\n".join([*lines, *wrong]))]
    if not wrong and baseline is not None and baseline.architecture == manifest.architecture:
        checks.append(_check_against_baseline(model, baseline, cache))
    return checks


def _check_against_baseline(model: ir.Model, baseline: Manifest, cache: Cache) -> Check:
    import converters

    subject = f"against {baseline.name}"
    if any(cache.find(file) is None for file in baseline.source_model_files()):
        return Check("structure", subject, True, f"not compared; first run: dsd-zoo fetch {baseline.name}")
    try:
        other = source_net(baseline, cache).model
    except converters.ConverterError as error:
        return Check("structure", subject, False, f"the baseline cannot be read: {error}")
    if different := differences_in_architecture(model, other):
        return Check("structure", subject, False, "\n".join(["another architecture", *different]))
    equal = share_of_equal_weights(model, other)
    weights = f"{100 * equal:.2f} % of the weights are the very same"
    return Check("structure", subject, equal < 1, f"the same architecture; {weights}")


def contradictions(model: ir.Model, manifest: Manifest) -> list[str]:
    """One line for each contradiction between a loaded net and its manifest, or value that is not finite."""
    found = []
    shapes = [tuple(value.shape or ())[1:] for value in model.graph.inputs]
    expected = manifest.input_shapes()
    if len(shapes) != len(expected) or not all(map(_fits, shapes, expected)):
        given = ", ".join("x".join(map(str, shape)) for shape in shapes)
        wanted = ", ".join("any" if shape is None else "x".join(map(str, shape)) for shape in expected)
        found.append(f"the input is {given} per image, the manifest says {wanted}")
    weights = weights_of(model)
    count = sum(weight.array.size for weight in weights)
    if manifest.parameters not in (None, count):
        found.append(f"{count:,} parameters, the manifest says {manifest.parameters:,}")
    found += [f"{weight.name} holds values that are no numbers" for weight in weights if not weight.is_finite]
    return found


def differences_in_architecture(model: ir.Model, baseline: ir.Model) -> list[str]:
    """One line for each difference of operators, sizes and parameters; empty if the architecture is one."""
    mine, theirs = _operators(model), _operators(baseline)
    found = [f"only here: {count} x {what}" for what, count in (mine - theirs).items()]
    found += [f"only in the baseline: {count} x {what}" for what, count in (theirs - mine).items()]
    try:
        pair_weights(weights_of(model), weights_of(baseline))
    except UsageError as error:
        found.append(str(error))
    return found


def share_of_equal_weights(model: ir.Model, baseline: ir.Model) -> float:
    """The share of equal prunable weights in two nets of one architecture, 0 to 1."""
    pairs = [both for both in pair_weights(weights_of(model), weights_of(baseline)) if both[0].prunable]
    size = sum(mine.array.size for mine, _ in pairs)
    return sum(equal_values(*both) for both in pairs) / max(1, size)


def _operators(model: ir.Model) -> Counter[str]:
    """The operators with their output shapes, counted; names and order do not matter."""
    return Counter(
        f"{node.op_type} to {'x'.join(map(str, node.outputs[0].shape or ()))}" for node in model.graph
    )


def _fits(shape: Sequence[object], wanted: Sequence[int] | None) -> bool:
    """Whether a net with this input shape takes images of the wanted shape; a symbolic size fits any."""
    if wanted is None:
        return True
    return len(shape) == len(wanted) and all(
        size == given or not isinstance(size, int) for size, given in zip(shape, wanted, strict=True)
    )
