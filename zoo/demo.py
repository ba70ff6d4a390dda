"""All steps on the embedded models, offline: what `dsd-zoo demo` runs.

Six small nets for handwritten digits ship with the zoo: a baseline, a sparse and a DSD net, each trained with
Caffe and with Torch7. With them come the logs of their tests, the recorded outputs and the 500 test images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zoo.bundled import embedded_images
from zoo.catalog.catalog import Catalog
from zoo.catalog.manifest import Manifest
from zoo.claims.audit import AuditedModel, audited_models
from zoo.claims.reported import Reported, reported
from zoo.datasets import Dataset, open_dataset
from zoo.errors import IntegrityError, UsageError
from zoo.evaluation.evaluate import evaluate
from zoo.evidence.run import Run, read_run, write_run
from zoo.preprocessing.settings import Preprocessing
from zoo.report.words import problems
from zoo.runtimes import NO_RUNTIME, form_of, installed_runtimes
from zoo.store.cache import Cache
from zoo.store.converted import source_net
from zoo.verification.integrity import check_integrity, source_hashes
from zoo.verification.parity import Parity, against_recorded
from zoo.vocabulary import RuntimeName

DATASET = "digits-test"


@dataclass(frozen=True, slots=True)
class Demo:
    """The outcome of the demo. `reported` has the same models with all that a page shows of them."""

    models: list[AuditedModel]
    parity: list[Parity]
    reported: Reported

    @property
    def holds(self) -> bool:
        """Whether every claim holds and every converted form reproduces the recorded outputs."""
        return not problems([model.audit for model in self.models], self.parity)


def run_demo(folder: Path, progress: Callable[[str], None]) -> Demo:
    """Verify, convert, check against the recordings, validate and audit the embedded models.

    folder: gets the converted forms (converted/) and the evidence (runs/MODEL-RUNTIME/).
    progress: called with one line of text after each model.
    Raises IntegrityError if a shipped file does not have the hash in its manifest.
    """
    catalog = Catalog.load()
    cache = Cache(folder / "cache")
    images = embedded_images(DATASET)
    assert images is not None
    models = [manifest for manifest in catalog if manifest.dataset == DATASET]
    parity: list[Parity] = []
    runs: list[Run] = []
    runtimes = list(installed_runtimes())
    if not runtimes:
        raise UsageError(NO_RUNTIME)
    with open_dataset(images) as data:
        for manifest in models:
            hashes = _verified(manifest, cache)
            source = source_net(manifest, cache, list(hashes.values()))
            for runtime in runtimes:
                net = source.converted(form_of(runtime), folder)
                recorded = cache.require(manifest, "recorded")
                parity += against_recorded(manifest, net, runtime, data, recorded)
                runs.append(_validated(manifest, net, runtime, data, hashes, folder))
            ran = f"converted and run in {len(runtimes)} runtimes"
            progress(f"{manifest.name}: {len(manifest.files)} files verified, {ran}")
    return Demo(audited_models(catalog, runs), parity, reported(catalog, runs))


def _verified(manifest: Manifest, cache: Cache) -> dict[str, str]:
    """Name to sha256 of the files to convert, after a check of every file against what is on record."""
    checks = check_integrity(manifest, cache)
    failed = [check for check in checks if not check.ok]
    if failed:
        raise IntegrityError(
            f"{manifest.name}: a file that ships with the zoo is not the one on record\n"
            + "\n".join(f"  {check.subject}: {check.detail}" for check in failed)
        )
    return source_hashes(manifest, checks)


def _preprocessing(manifest: Manifest) -> Preprocessing:
    assert manifest.preprocessing is not None
    return manifest.preprocessing


def _validated(
    manifest: Manifest,
    net: Path,
    runtime: RuntimeName,
    data: Dataset,
    files: dict[str, str],
    folder: Path,
) -> Run:
    run = evaluate(
        net,
        data,
        _preprocessing(manifest),
        model=manifest.name,
        scores=manifest.scores,
        runtime=runtime,
        files=files,
        command=f"dsd-zoo validate {manifest.name} --runtime {runtime}",
    )
    place = folder / "runs" / f"{manifest.name}-{runtime}"
    write_run(place, run)
    # Read again, so that the audit and the page show exactly what is in the folder.
    return read_run(place)
