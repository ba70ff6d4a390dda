"""The nets of which there are runs, in the catalog or not, and which of them are compared."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from zoo.bundled import KNOWN_DATASETS, LABEL_ORDERS
from zoo.claims.audit import Audit, audit
from zoo.claims.gain_matrix import GainMatrix, gain_matrix
from zoo.claims.gains import ClassGain, class_gains
from zoo.claims.measurement import why_not_comparable
from zoo.errors import UsageError
from zoo.evidence.pairing import find_difference

if TYPE_CHECKING:
    from zoo.catalog.catalog import Catalog
    from zoo.catalog.manifest import Manifest
    from zoo.evidence.run import Result, Run


@dataclass(frozen=True, slots=True)
class ReportedNet:
    """One net with its runs and what the catalog knows of it.

    manifest, audit: None for a net that is not in the catalog.
    label_order: the order of the classes, if it is known.
    """

    name: str
    runs: list[Run] = field(default_factory=list)
    manifest: Manifest | None = None
    audit: Audit | None = None
    label_order: str | None = None

    @property
    def results(self) -> list[Result]:
        """The results of its runs."""
        return [run.result for run in self.runs]

    @property
    def main(self) -> Run | None:
        """The run that stands for the net: under the preprocessing of its claims, else the first in float32.

        The first run of a pass with --sensitivity lies in the folder above the others, so it comes first.
        """
        runs = [run for run in self.runs if run.result.n]
        exact = [run for run in runs if run.result.precision == "float32"]
        manifest = self.manifest
        own = [run for run in exact if manifest and why_not_comparable(manifest, run.result) is None]
        # Of several, the one over the most images.
        return max(own or exact or runs, key=lambda run: run.result.n, default=None)

    @property
    def class_names(self) -> Sequence[str]:
        """What the classes mean, in the order of the labels; empty if that is not known."""
        order = self.label_order
        return [] if order is None else LABEL_ORDERS[order].class_names()


@dataclass(frozen=True, slots=True)
class ReportedPair:
    """A net and the one that it is compared with.

    matrix: the gains under every preprocessing that both were run with; without rows if there is none.
    runs: a run of each over the same images, prepared alike; None if there are none. classes: from these.
    """

    model: ReportedNet
    baseline: ReportedNet
    matrix: GainMatrix
    runs: tuple[Run, Run] | None = None
    classes: list[ClassGain] = field(default_factory=list)

    @property
    def class_names(self) -> Sequence[str]:
        """Those of either net, as both have the same labels."""
        return self.model.class_names or self.baseline.class_names


@dataclass(frozen=True, slots=True)
class Reported:
    """What a report is about."""

    nets: list[ReportedNet]
    pairs: list[ReportedPair] = field(default_factory=list)

    @property
    def audits(self) -> list[Audit]:
        """Those of the nets in the catalog."""
        return [net.audit for net in self.nets if net.audit is not None]

    @property
    def holds(self) -> bool:
        """Whether no audit found a problem."""
        return all(found.holds for found in self.audits)


def reported(catalog: Catalog, runs: Sequence[Run], against: str | None = None) -> Reported:
    """The nets of these runs by name, and the pairs among them.

    A model is compared with its baseline, any net with the one that --against named when it was run, and all
    with the net `against`.

    Raises:
        UsageError: no run is of the net `against`, or a baseline is not in the catalog.
        DataError: a trace is damaged.
    """
    by_name: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.result.model):
        by_name.setdefault(run.result.model, []).append(run)
    if against is not None and against not in by_name:
        raise UsageError(f"--against {against}: expected one of the nets that were run: {', '.join(by_name)}")
    orders = _label_orders(catalog, by_name)
    nets = {name: _net(catalog, of_net, runs, orders) for name, of_net in by_name.items()}
    pairs = [
        pair_of(net, nets[other])
        for net in nets.values()
        for other in dict.fromkeys([*_compared_with(net), against])
        if other is not None and other in nets and other != net.name
    ]
    return Reported(list(nets.values()), pairs)


def _net(
    catalog: Catalog, of_net: list[Run], runs: Sequence[Run], orders: dict[str, str | None]
) -> ReportedNet:
    name, dataset = of_net[0].result.model, of_net[0].result.dataset
    if name not in catalog:
        return ReportedNet(name, of_net, label_order=orders[dataset])
    manifest = catalog.get(name)
    order = manifest.label_order or orders[dataset]
    return ReportedNet(name, of_net, manifest, audit(manifest, catalog, runs), order)


def _label_orders(catalog: Catalog, by_name: dict[str, list[Run]]) -> dict[str, str | None]:
    """The order of the labels of each dataset: known of it, or of a model that was run over it."""
    found: dict[str, str | None] = {}
    for name, runs in by_name.items():
        own = catalog.get(name).label_order if name in catalog else None
        for run in runs:
            dataset = run.result.dataset
            known = KNOWN_DATASETS[dataset].label_order if dataset in KNOWN_DATASETS else own
            found[dataset] = found.get(dataset) or known
    return found


def _compared_with(net: ReportedNet) -> list[str]:
    baseline = None if net.manifest is None else net.manifest.baseline
    named = [name for result in net.results for name in _against(result.command)]
    return ([] if baseline is None else [baseline]) + named


def _against(command: str) -> Iterable[str]:
    try:
        parts = shlex.split(command)
    except ValueError:  # the result of other people, with no command in it
        return
    for option, value in pairwise(parts):
        if option == "--against":
            yield value
    yield from (part.partition("=")[2] for part in parts if part.startswith("--against="))


def pair_of(model: ReportedNet, baseline: ReportedNet) -> ReportedPair:
    """The comparison of two nets that have runs each, over the images of the model's main run."""
    main = model.main
    if main is None or baseline.main is None:
        return ReportedPair(model, baseline, GainMatrix(model.name, baseline.name, []))
    alike = [run for run in model.runs if _place(run) == _place(main)]
    others = [run for run in baseline.runs if _place(run) == _place(main)]
    if not others:
        reason = f"{baseline.name} was not run over the same images in the same runtime"
        return ReportedPair(model, baseline, GainMatrix(model.name, baseline.name, [], [reason]))
    matrix = gain_matrix([main, *(run for run in alike if run is not main)], others)
    found = next((run for run in others if _may_be_paired(main, run)), None)
    if found is None:
        return ReportedPair(model, baseline, matrix)
    return ReportedPair(model, baseline, matrix, (main, found), class_gains(main.rows, found.rows))


def _place(run: Run) -> tuple[object, ...]:
    result = run.result
    return result.runtime, result.device, result.dataset, result.n


def _may_be_paired(run: Run, other: Run) -> bool:
    ours, theirs = run.result, other.result
    alike = (ours.flavour, ours.precision, ours.preprocessing.get("crop")) == (
        theirs.flavour,
        theirs.precision,
        theirs.preprocessing.get("crop"),
    )
    return alike and find_difference(run.rows, other.rows) is None
