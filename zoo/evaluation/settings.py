"""From a net and the options of a run to the preprocessing and the images of that run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from zoo.bundled import LABEL_ORDERS, TASKS, embedded_images
from zoo.catalog.manifest import Manifest
from zoo.catalog.metadata import image_settings
from zoo.datasets import Dataset, kinds_of_sources
from zoo.errors import UsageError
from zoo.evaluation.variants import made_for_another
from zoo.preprocessing.missing_mean import require_mean
from zoo.preprocessing.settings import Preprocessing, carried_settings, settings
from zoo.runtimes import NO_RUNTIME, form_of, installed_runtimes
from zoo.store.subject import Subject
from zoo.vocabulary import Form, Precision, RuntimeName

# The runtime that gives a net whole images, each of a size of its own.
TAKES_IMAGES = "onnx"


@dataclass(frozen=True, slots=True)
class Settings:
    """How images become the input of a net.

    meant_for: the flavour whose images the net and the numbers are made for, if not `preprocessing.flavour`.
    mean_image: the file, if a mean image is subtracted.
    """

    preprocessing: Preprocessing
    meant_for: str | None = None
    mean_image: Path | None = None


def settings_for(
    subject: Subject,
    runtime: RuntimeName,
    scores: str | None,
    chosen: Mapping[str, Any],
    *,
    mean: Sequence[float] | Path | None = None,
    meant_for: str | None = None,
    counted: bool = True,
    asks_mean: bool = True,
) -> Settings:
    """The settings of the model, or those that the files themselves describe, changed by the options.

    Where the chosen flavour makes images of other channels or another range than the net takes, the numbers
    stay those of the flavour that the net is made for.

    runtime, scores: as the net will run; files are converted to that form to read their settings.
    chosen: `flavour`, `crop`, `std`, `scale`; None where not chosen.
    mean: per channel, or the file of a mean image; without numbers: the net subtracts none.
    counted: whether answers will be counted, which only those of classifiers can be.
    asks_mean: whether it is an error that neither the files nor the options say anything of a mean.

    Raises:
        UsageError: a setting is missing or out of range.
        converters.ConverterError: the net cannot be converted.
    """
    if counted:
        require_counted(subject.manifest)
    if subject.image_order(form_of(runtime)) is not None:
        _check_left_to_net(subject, runtime, {**chosen, "mean": mean, "meant_for": meant_for})
    if subject.manifest is not None:
        own = _stated(subject.manifest)
    else:
        own = carried_settings(subject.carried_preprocessing(form_of(runtime), scores))
    try:
        return complete_settings(
            own, subject.mean_image, chosen, mean=mean, meant_for=meant_for, asks_mean=asks_mean
        )
    except UsageError as error:
        if subject.manifest is None or own:
            raise
        raise UsageError(f"{error}\n  what is known of it, in words: dsd-zoo show {subject.name}") from error


def complete_settings(
    own: Mapping[str, Any],
    mean_image: Path | None,
    chosen: Mapping[str, Any],
    *,
    mean: Sequence[float] | Path | None = None,
    meant_for: str | None = None,
    asks_mean: bool = True,
) -> Settings:
    """A net's `own` settings and mean image, changed by the options; all as in `settings_for`."""
    if isinstance(mean, Path):
        chosen, mean_image = {**chosen, "mean_image": True}, mean
    else:
        chosen = {**chosen, "mean": mean}
    own = dict(own)
    stated_for = own.pop("meant_for", None)
    preprocessing = settings(chosen, own)
    if asks_mean:
        require_mean(preprocessing, chosen, own)
    # A Caffe definition describes its data layer for Caffe's own images, however they are resized.
    made_for = meant_for or stated_for or own.get("flavour") or ("caffe-stored" if own else None)
    if made_for is not None:
        made_for = made_for_another(preprocessing.flavour, made_for)
    return Settings(preprocessing, made_for, mean_image)


def _check_left_to_net(subject: Subject, runtime: RuntimeName, chosen: Mapping[str, Any]) -> None:
    """UsageError for what does not fit a net that prepares its images itself."""
    if given := [f"--{name.replace('_', '-')}" for name, value in chosen.items() if value is not None]:
        raise UsageError(
            f"{subject.name} prepares its images itself (convert --embed-preprocessing full): leave out "
            f"{', '.join(given)}, or convert the net without that"
        )
    if runtime != TAKES_IMAGES:
        raise UsageError(
            f"{subject.name} takes whole images (convert --embed-preprocessing full), which only --runtime "
            f"{TAKES_IMAGES} gives it; for {runtime} convert the net without that"
        )


def _stated(manifest: Manifest) -> dict[str, Any]:
    stated = image_settings(manifest)
    return {} if stated is None else stated.model_dump()


def require_counted(manifest: Manifest | None) -> None:
    """UsageError if the answers of a model are not right or wrong by one label per image. None: no model."""
    if manifest is None or manifest.is_counted:
        return
    task = TASKS[manifest.task]
    raise UsageError(
        f"{manifest.name} cannot be counted: it is a net for {task.title.lower()} and gives {task.answer},\n"
        "  and top-1 and top-5 are shares of images whose class a net ranks first, or among the first five\n"
        f"  what was reported for it: dsd-zoo show {manifest.name}\n"
        f"  its forms against each other: dsd-zoo verify {manifest.name}"
    )


def check_label_order(subject: Subject, data: Dataset) -> None:
    """UsageError if the labels are known to number the classes in another order than the model does."""
    manifest = subject.manifest
    if manifest is None or manifest.label_order is None or data.label_order in (None, manifest.label_order):
        return
    ours, theirs = LABEL_ORDERS[manifest.label_order], LABEL_ORDERS[data.label_order]
    if ours.classes != theirs.classes:
        return
    raise UsageError(
        f"{manifest.name} has {ours.classes} classes{ours.description}\n"
        f"  but the labels of {data.source} (by {data.labels_source}) are of {theirs.classes} classes"
        f"{theirs.description},\n"
        "  so the net would be right by chance only\n"
        f"  {ours.advice or 'give a list of labels in the order of the net: --labels FILE'}"
    )


def runtimes_for(subject: Subject, kind: str, precision: Precision) -> list[RuntimeName]:
    """The installed runtimes that can run the net of `subject` on a kind of device ("cpu", "cuda").

    Raises:
        UsageError: there is none.
    """
    forms = {"pytorch"} if subject.sources[0].suffix == ".py" else set(get_args(Form))
    if not installed_runtimes():
        raise UsageError(NO_RUNTIME)
    found = [
        name
        for name, runtime in installed_runtimes().items()
        if runtime.form in forms and precision in runtime.precisions.get(kind, ())
    ]
    if subject.image_order("onnx") is not None:
        found = [name for name in found if name == TAKES_IMAGES]
    if not found:
        raise UsageError(f"no installed runtime computes {subject.name} in {precision} on {kind}")
    return found


def shipped_images(subject: Subject) -> Path:
    """The images that ship with the zoo for the model. UsageError if there are none."""
    found = None if subject.manifest is None else embedded_images(subject.manifest.dataset)
    if found is None:
        raise UsageError(
            "say where the images are: --data SRC, such as ILSVRC2012_img_val.tar with the 50,000\n"
            f"  validation images of ImageNet, {kinds_of_sources()}"
        )
    return found
