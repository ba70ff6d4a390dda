"""`dsd-zoo list`: the models by what they are for, with their claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from zoo.bundled import TASKS
from zoo.cli._columns import Column, table_lines, terminal_width, wrap
from zoo.cli._completion import complete_tasks
from zoo.cli._options import EVIDENCE_DEFAULT, EvidenceOption, JsonOption, ManifestsOption
from zoo.cli._output import counted, print_json
from zoo.cli._results import as_json, in_short, is_on_claimed_images, published_images
from zoo.cli._subject import load_catalog
from zoo.cli.command import command
from zoo.errors import UsageError
from zoo.vocabulary import METRICS, Metric

if TYPE_CHECKING:
    from zoo.catalog.catalog import Catalog
    from zoo.catalog.manifest import Manifest
    from zoo.evidence.run import Result
    from zoo.store.cache import Cache, Trust

# From the strongest to the weakest; the trust in a model is that in its least trusted file.
TRUST_LEVELS: tuple[Trust, ...] = ("pinned", "recorded", "unverified")
DSD = "DSD: models that claim to be better than a baseline, and their baselines"


@command("list", order=10)
def list_(
    task: Annotated[
        str | None,
        typer.Option(
            metavar="TASK",
            help=f"Only models for one task: {', '.join(TASKS)}.",
            autocompletion=complete_tasks,
        ),
    ] = None,
    framework: Annotated[
        Literal["caffe", "torch7"] | None, typer.Option(help="Only models of one framework.")
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="Only models with all these words in name, title, summary or file names."
        ),
    ] = None,
    evidence: EvidenceOption = EVIDENCE_DEFAULT,
    json: JsonOption = False,
    manifests: ManifestsOption = None,
) -> None:
    """List the models: claims, gains, what is here.

    The models that claim to be better than a baseline come first, the others by what they are for. What does
    not fit the width of the terminal is left out; --json has all of it.

    --json prints a list with, for each model: name, aliases, title, task, architecture, recipe, framework,
    dataset, baseline, claims (per metric: percent, correct, n), by_others (the same, as others measured it
    under the model's own preparation), gain (per metric, in points), trust, files (here, shipped, total), and
    measured (for each run: runtime, device, precision, flavour, dataset, n, n_dataset, top1_correct,
    top5_correct).
    """
    from zoo.evidence.run import read_results
    from zoo.store.cache import Cache

    if task is not None and task not in TASKS:
        raise UsageError(f"--task {task}: no such task; expected one of {', '.join(TASKS)}")
    catalog, cache, measured = load_catalog(manifests), Cache(), read_results(evidence)
    models = {manifest.name: manifest for manifest in catalog}
    found = [
        manifest
        for manifest in models.values()
        if task in (None, manifest.task)
        if framework in (None, manifest.framework)
        if search is None or _has_words(manifest, search)
    ]
    listing = _Listing(catalog, models, cache, measured)
    if json:
        print_json([listing.entry(manifest) for manifest in found])
        return
    listing.print(found, terminal_width())


def _has_words(manifest: Manifest, search: str) -> bool:
    parts = [
        manifest.name,
        manifest.title,
        manifest.summary,
        manifest.architecture,
        manifest.recipe,
        manifest.framework,
        TASKS[manifest.task].title,
        *manifest.aliases,
        *(file.name for file in manifest.files),
    ]
    text = "\n".join(parts).lower()
    return all(word in text for word in search.lower().split())


@dataclass(frozen=True, slots=True)
class _Listing:
    """All models by name, and what is known of them here."""

    catalog: Catalog
    models: Mapping[str, Manifest]
    cache: Cache
    measured: Mapping[str, Sequence[Result]]

    def print(self, found: Sequence[Manifest], width: int) -> None:
        """Print the models that were found, in groups."""
        if not found:
            said = f"None of the {counted(len(self.models), 'model')} is like that. All models: dsd-zoo list"
            print(wrap(said, width))
            return
        for title, group in self._groups(found).items():
            print(f"{wrap(title, width)}\n")
            is_dsd = title == DSD
            columns = _columns(is_dsd)
            lines = table_lines(columns, [self._row(manifest, is_dsd) for manifest in group], width)
            print(lines[0])
            for manifest, line in zip(group, lines[1:], strict=True):
                print(line)
                if (results := self.measured.get(manifest.name)) and manifest.dataset is not None:
                    self._print_measured(manifest, results, width)
            print()
        print(wrap(_legend(found), width))

    def _groups(self, found: Sequence[Manifest]) -> dict[str, list[Manifest]]:
        """Titles with their models: first those of pairs, then the others by task."""
        of_pairs = self._of_pairs()
        groups: dict[str, list[Manifest]] = {DSD: []}
        groups |= {task.title: [] for task in TASKS.values()}
        for manifest in found:
            is_dsd = manifest.name in of_pairs
            groups[DSD if is_dsd else TASKS[manifest.task].title].append(manifest)
        return {title: group for title, group in groups.items() if group}

    def _of_pairs(self) -> set[str]:
        with_baseline = [manifest for manifest in self.models.values() if manifest.baseline is not None]
        return {name for manifest in with_baseline for name in (manifest.name, str(manifest.baseline))}

    def _print_measured(self, manifest: Manifest, results: Sequence[Result], width: int) -> None:
        """The runs here. An accuracy over other images is left out: it must not stand beside a claim."""
        others = set()
        for result in results:
            if is_on_claimed_images(manifest, result):
                short = in_short(result, published_images(manifest))
                own = manifest.preprocessing is not None and result.flavour == manifest.preprocessing.flavour
                under = "" if own else f" under {result.flavour}"
                print(wrap(f"  measured here: top-1 {short}{under}", width, indent="    "))
            else:
                others.add(result.dataset)
        if others:
            names = ", ".join(sorted(others))
            said = f"  measured here over other images ({names}): dsd-zoo show {manifest.name}"
            print(wrap(said, width, indent="    "))

    def _row(self, manifest: Manifest, is_dsd: bool) -> tuple[str, ...]:
        numbers = _claims(manifest) or _by_others(manifest)
        percents = [f"{numbers[metric]['percent']:.2f}" if metric in numbers else "" for metric in METRICS]
        gain = self._gain(manifest).get("top1") if is_dsd else None
        files = self._files(manifest)
        here = "shipped" if files["shipped"] == files["total"] else f"{files['here']} of {files['total']}"
        return (
            manifest.name,
            *percents,
            "" if gain is None else f"{gain:+.2f}",
            here,
            manifest.framework,
            self._trust(manifest),
            "" if is_dsd else manifest.title,
        )

    def entry(self, manifest: Manifest) -> dict[str, object]:
        """The model as --json prints it."""
        return {
            "name": manifest.name,
            "aliases": manifest.aliases,
            "title": manifest.title,
            "task": manifest.task,
            "architecture": manifest.architecture,
            "recipe": manifest.recipe,
            "framework": manifest.framework,
            "dataset": manifest.dataset,
            "baseline": manifest.baseline,
            "claims": _claims(manifest),
            "by_others": _by_others(manifest),
            "gain": self._gain(manifest),
            "trust": self._trust(manifest),
            "files": self._files(manifest),
            "measured": [as_json(result) for result in self.measured.get(manifest.name, ())],
        }

    def _gain(self, manifest: Manifest) -> dict[str, float]:
        from zoo.claims.gains import gains_over_baseline

        if manifest.baseline is None:
            return {}
        # The catalog would read the file again, and knows what to say if there is none.
        baseline = self.models.get(manifest.baseline) or self.catalog.baseline(manifest)
        gains = [] if baseline is None else gains_over_baseline(manifest, baseline, ())
        return {gain.metric: round(100 * gain.claimed.gain, 4) for gain in gains if gain.claimed is not None}

    def _trust(self, manifest: Manifest) -> Trust:
        return max((self.cache.trust(file) for file in manifest.model_files()), key=TRUST_LEVELS.index)

    def _files(self, manifest: Manifest) -> dict[str, int]:
        return {
            "here": sum(self.cache.find(file) is not None for file in manifest.model_files()),
            "shipped": sum(file.path is not None for file in manifest.files),
            "total": len(manifest.files),
        }


def _columns(is_dsd: bool) -> list[Column]:
    return [
        Column("MODEL"),
        Column("TOP-1 %", is_right=True, rank=1),
        Column("TOP-5 %", is_right=True, rank=5),
        Column("GAIN", is_right=True, rank=2),
        Column("FILES", rank=3),
        Column("FRAMEWORK", rank=6),
        Column("TRUST", rank=4 if is_dsd else 7),
        Column("TITLE", rank=4, is_text=True),
    ]


def _legend(found: Sequence[Manifest]) -> str:
    sentences = []
    if any(manifest.claims for manifest in found):
        sentences.append("TOP-1 and TOP-5 as claimed; GAIN is top-1 points over the baseline.")
    if any(_by_others(manifest) for manifest in found if not manifest.claims):
        sentences.append("Where nothing is claimed, TOP-1 and TOP-5 are what others measured.")
    return " ".join([*sentences, "FILES: how many are here. More: dsd-zoo show MODEL"])


def _claims(manifest: Manifest) -> dict[Metric, dict[str, float | int | None]]:
    return {
        claim.metric: {"percent": claim.percent, "correct": claim.correct, "n": claim.n}
        for claim in manifest.claims
    }


def _by_others(manifest: Manifest) -> dict[Metric, dict[str, float | int | None]]:
    """The first measurement of each metric under the model's own preparation."""
    found: dict[Metric, dict[str, float | int | None]] = {}
    for other in manifest.measurements:
        if other.preprocessing == manifest.preprocessing:
            numbers = {"percent": other.percent, "correct": other.correct, "n": other.n}
            found.setdefault(other.metric, numbers)
    return found
