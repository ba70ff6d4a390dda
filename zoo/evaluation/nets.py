"""From the nets and the options of a command or a call to what one pass evaluates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.datasets import Dataset, open_dataset
from zoo.errors import UsageError
from zoo.evaluation.evaluate import Progress, evaluate_and_write, evaluate_nets
from zoo.evaluation.folders import hold_folders
from zoo.evaluation.job import Evaluation, job_for, named_if
from zoo.evaluation.settings import Settings, settings_for, shipped_images
from zoo.evaluation.variants import Variant, folder_of, folders_inside, variants_of
from zoo.evidence.run import Run
from zoo.runtimes import form_of
from zoo.store.subject import Subject
from zoo.vocabulary import Precision, RuntimeName


@dataclass(frozen=True, slots=True)
class Choices:
    """What was chosen for all nets of a pass; None: as each model or net's files say.

    flavour, crop, std, scale, mean, meant_for: as for `settings_for`.
    scores: the output that ranks the classes.
    sensitivity: also run all other flavours of the same size.
    """

    runtime: RuntimeName = "onnx"
    scores: str | None = None
    precision: Precision = "float32"
    sensitivity: bool = False
    flavour: str | None = None
    crop: int | None = None
    std: Sequence[float] | None = None
    scale: float | None = None
    mean: Sequence[float] | Path | None = None
    meant_for: str | None = None


@dataclass(frozen=True, slots=True)
class ChosenNet:
    """A net with its settings, and the variants to run."""

    subject: Subject
    scores: str | None
    settings: Settings
    variants: list[Variant]

    @property
    def own_flavour(self) -> str:
        """The flavour of the model; that of the run for files, and where none is known of a model."""
        manifest = self.subject.manifest
        own = None if manifest is None else manifest.preprocessing
        return (own or self.settings.preprocessing).flavour


def choose_nets(subjects: Sequence[Subject], choices: Choices) -> list[ChosenNet]:
    """The settings and variants of each net. Errors as for `settings_for` and `variants_of`."""
    nets = []
    for subject in subjects:
        with named_if(len(subjects) > 1, subject.name):
            nets.append(_chosen(subject, choices))
    return nets


def _chosen(subject: Subject, choices: Choices) -> ChosenNet:
    scores = subject.scores(choices.scores)
    settings = settings_for(
        subject,
        choices.runtime,
        scores,
        {
            "flavour": choices.flavour,
            "crop": choices.crop,
            "std": None if choices.std is None else list(choices.std),
            "scale": choices.scale,
        },
        mean=choices.mean,
        meant_for=choices.meant_for,
    )
    if choices.sensitivity and subject.image_order(form_of(choices.runtime)) is not None:
        raise UsageError(
            f"--sensitivity: {subject.name} prepares its images itself, in one way; convert the net without "
            "--embed-preprocessing full"
        )
    variants = variants_of(settings.preprocessing, settings.meant_for, choices.precision, choices.sensitivity)
    return ChosenNet(subject, scores, settings, variants)


def common_images(subjects: Sequence[Subject]) -> Path:
    """The images that ship with the zoo for all these models. UsageError if there are none."""
    found = {subject.name: shipped_images(subject) for subject in subjects}
    first, *others = found
    for other in others:
        if found[other] != found[first]:
            raise UsageError(
                f"{first} and {other} are made for different images, {found[first].name} and "
                f"{found[other].name}: say with --data which ones to use for both"
            )
    return found[first]


def folders_of(
    net: ChosenNet, runtime: RuntimeName, device: str, limit: int | None, out: Path | None
) -> list[Path]:
    """The folder of each variant.

    out: of the first variant; the others are inside. None: in results/, by model and options.
    """
    if out is not None:
        return folders_inside(out, net.variants)
    name, flavour = net.subject.name, net.own_flavour
    return [folder_of(name, runtime, device, variant, limit, flavour) for variant in net.variants]


def evaluation_of(
    net: ChosenNet,
    data: Dataset,
    folders: Sequence[Path],
    runtime: RuntimeName,
    **options: Any,  # noqa: ANN401 - the other fields of Job
) -> Evaluation:
    """What is evaluated of a net. Errors as for `job_for`."""
    job = job_for(net.subject, net.settings, data, runtime, net.scores, **options)
    return Evaluation(job, net.variants, folders)


def evaluate_subjects(
    subjects: Sequence[Subject],
    choices: Choices,
    images: Path | None,
    labels: Path | None,
    place: Callable[[str], Path | None],
    *,
    resume: bool = False,
    restart: bool = False,
    progress: Progress | None = None,
    **options: Any,  # noqa: ANN401 - the other fields of Job
) -> dict[str, list[Run]]:
    """Rank the images in each net in one pass, in this process; returns the runs of each by its name.

    images: None: those that ship with the zoo for the models.
    place: the folder for the evidence of the net of a name; None: nothing is written.
    resume, restart, progress: as for `zoo.evaluation.evaluate.evaluate_and_write`.
    """
    if not subjects:
        raise UsageError("no nets given; expected names of models, or the files of nets")
    nets = choose_nets(subjects, choices)
    if not choices.sensitivity:
        # Only the command compares a reduced precision with float32.
        nets = [replace(net, variants=net.variants[:1]) for net in nets]
    places = [place(subject.name) for subject in subjects]
    folders = [
        [] if out is None else folders_inside(out, net.variants)
        for out, net in zip(places, nets, strict=True)
    ]
    with (
        hold_folders([folder for of_net in folders for folder in of_net]),
        open_dataset(images or common_images(subjects), labels) as data,
    ):
        evaluations = [
            evaluation_of(net, data, of_net, choices.runtime, **options)
            for net, of_net in zip(nets, folders, strict=True)
        ]
        if any(folders):
            runs = evaluate_and_write(evaluations, resume=resume, restart=restart, progress=progress)
        else:
            runs = evaluate_nets(evaluations, progress)
    return {subject.name: of_net for subject, of_net in zip(subjects, runs, strict=True)}
