"""Are these the right files, do they fit together, and does what becomes of them compute the same?

integrity: the content of each file against every size and hash on record
structure: definition and weights against each other (layer names, parameter shapes) and the manifest
parity: the converted forms against what the original framework recorded, or else against each other
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from zoo.catalog import embedded_images
from zoo.digests import Digests, differences, digest_file
from zoo.disk import require_file
from zoo.errors import IntegrityError

if TYPE_CHECKING:
    import onnx_ir as ir

    from converters import ConversionReport
    from zoo.cache import Cache, Trust
    from zoo.manifest import File, Manifest

Kind = Literal["integrity", "structure", "parity"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `subject` is a file or a form of the net, `detail` one or more lines."""

    kind: Kind
    subject: str
    ok: bool
    detail: str
    trust: Trust | None = None


def verify_model(manifest: Manifest, store: Cache, baseline: Manifest | None = None) -> list[Check]:
    """All checks of a model; what rests on a check that failed is not looked at."""
    checks = check_integrity(manifest, store)
    if all(check.ok for check in checks):
        checks += check_structure(manifest, store, baseline)
    if all(check.ok for check in checks):
        checks += check_parity(manifest, store)
    return checks


def check_integrity(manifest: Manifest, store: Cache) -> list[Check]:
    """Reads every file of the model and compares size and all hashes with what is on record."""
    return [_check_file(manifest, file, store) for file in manifest.files]


def _check_file(manifest: Manifest, file: File, store: Cache) -> Check:
    trust = store.trust(manifest, file)
    path = store.find(manifest, file)
    if path is None:
        return Check("integrity", file.name, False, f"not here; run: dsd-zoo fetch {manifest.name}", trust)
    digests = digest_file(path)
    try:
        store.check(manifest, file, digests)
    except IntegrityError as error:
        again = (
            "install dsd-zoo again"
            if file.path is not None
            else f"delete it and run: dsd-zoo fetch {manifest.name}"
        )
        return Check("integrity", file.name, False, f"{path}: {error}\n  {again}", trust)
    return Check("integrity", file.name, True, _what_agrees(file, digests, trust), trust)


def _what_agrees(file: File, digests: Digests, trust: Trust) -> str:
    if trust == "pinned":
        return ", ".join([*(["size"] if file.bytes is not None else []), *file.hashes])
    if trust == "recorded":
        return "sha256 as at first use; nothing was known beforehand"
    return f"nothing is known to compare with; sha256 {digests.sha256}"


def check_structure(manifest: Manifest, store: Cache, baseline: Manifest | None = None) -> list[Check]:
    """Reads definition and weights as a net, and where the baseline's files are here too, compares the two.

    Every layer must find its parameters, in the shape it needs; sizes, counts and values must be what the
    manifest says. A model and its baseline of the same architecture must have the same net and other weights.
    The files must be here (`Cache.require` raises UsageError otherwise).
    """
    import converters
    from zoo.structure import contradictions, load_net
    from zoo.weights import weights_of

    try:
        model = load_net(manifest, store)
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
        checks.append(_check_pair(model, baseline, store))
    return checks


def _check_pair(model: ir.Model, baseline: Manifest, store: Cache) -> Check:
    import converters
    from zoo.structure import differences_in_architecture, load_net, share_of_equal_weights

    subject = f"against {baseline.name}"
    if any(store.find(baseline, file) is None for file in baseline.source_files()):
        return Check("structure", subject, True, f"not compared; first run: dsd-zoo fetch {baseline.name}")
    try:
        other = load_net(baseline, store)
    except converters.ConverterError as error:
        return Check("structure", subject, False, f"the baseline cannot be read: {error}")
    if different := differences_in_architecture(model, other):
        return Check("structure", subject, False, "\n".join(["another architecture", *different]))
    equal = share_of_equal_weights(model, other)
    weights = f"{100 * equal:.2f} % of the weights are the very same"
    return Check("structure", subject, equal < 1, f"the same architecture; {weights}")


def check_parity(manifest: Manifest, store: Cache) -> list[Check]:
    """Runs the ONNX and the PyTorch form of the net.

    On the test images against the recorded outputs where the zoo has both; otherwise on a batch of random
    numbers, one form against the other. The bound is that of `zoo.parity`.
    """
    from zoo.forms import converted

    sources = [store.require(manifest, file.role) for file in manifest.source_files()]
    onnx, pytorch = (
        converted(sources, target, store.root, manifest.input_shape, manifest.scores)
        for target in ("onnx", "pytorch")
    )
    images = embedded_images(manifest.dataset)
    if manifest.recorded and images is not None:
        return _against_recorded(manifest, {"onnx": onnx, "pytorch": pytorch}, images, store)
    return [_against_each_other(manifest, onnx, pytorch)]


def _against_recorded(
    manifest: Manifest, forms: Mapping[str, Path], images: Path, store: Cache
) -> list[Check]:
    from zoo.datasets import open_dataset
    from zoo.parity import against_recorded

    recorded = store.require(manifest, "recorded")
    with open_dataset(images) as data:
        found = [
            parity
            for runtime, net in forms.items()
            for parity in against_recorded(manifest, net, runtime, data, recorded)
        ]
    return [
        Check(
            "parity",
            f"{parity.runtime} {parity.output}",
            parity.holds,
            f"largest difference from {manifest.framework}'s own output over {parity.images} images: "
            f"{parity.difference:.1e} of its largest magnitude (bound {parity.bound:g})",
        )
        for parity in found
    ]


def _against_each_other(manifest: Manifest, onnx: Path, pytorch: Path) -> Check:
    import numpy as np

    from zoo.parity import BOUND
    from zoo.runtimes import open_runtime

    session = open_runtime("onnx", onnx, scores=manifest.scores)
    count = session.batch or 2
    # About the range of real input: Caffe's nets see scaled levels, Torch7's standard deviations.
    range_ = 100 * manifest.preprocessing.scale if manifest.framework == "caffe" else 2.0
    shape = (count, *manifest.input_shape)
    batch = np.random.default_rng(0).uniform(-range_, range_, shape).astype(np.float32)
    scores = [session.run(batch), open_runtime("pytorch", pytorch, scores=manifest.scores).run(batch)]
    subject = "onnx and pytorch"
    if any(rows.shape != (count, manifest.classes) for rows in scores):
        shapes = " and ".join(str(rows.shape) for rows in scores)
        return Check("parity", subject, False, f"outputs are {shapes}, expected {(count, manifest.classes)}")
    difference = float(np.abs(scores[0] - scores[1]).max() / np.abs(scores[0]).max())
    return Check(
        "parity",
        subject,
        difference <= BOUND,
        f"largest difference on random input: {difference:.1e} of the largest magnitude (bound {BOUND:g})",
    )


@dataclass(frozen=True, slots=True)
class Identity:
    """What a file turned out to be: its digests, and the (model, file name) pairs it is."""

    path: Path
    digests: Digests
    known_as: list[tuple[str, str]]


def identify(path: Path, models: Iterable[Manifest], store: Cache) -> Identity:
    """Which files of which models `path` is, by all hashes on record. UsageError if it cannot be read."""
    require_file(path)
    digests = digest_file(path)
    known_as = [
        (manifest.name, file.name)
        for manifest in models
        for file in manifest.files
        if _is(manifest, file, digests, store)
    ]
    return Identity(path, digests, known_as)


def _is(manifest: Manifest, file: File, digests: Digests, store: Cache) -> bool:
    if file.hashes:
        return not differences(file, digests)
    record = store.record(manifest, file)
    return record is not None and record.digests.sha256 == digests.sha256
