"""What nets are made for. A manifest names its task."""

from __future__ import annotations

from dataclasses import dataclass

from converters import Registry


@dataclass(frozen=True, slots=True)
class Task:
    """What a net is made for.

    title: for people, as a heading.
    answer: what a net of this task says about one image, after "a net for this task gives".
    is_counted: whether an answer is right or wrong by a label of the image, so that `validate` can count.
    """

    title: str
    answer: str
    is_counted: bool = False


TASKS: Registry[Task] = Registry("task")


def register_task(name: str, task: Task) -> None:
    """Add a task. ValueError if another has the same name."""
    TASKS.add(name, task)


register_task("classification", Task("Classification", "one score per class", is_counted=True))
register_task("object-detection", Task("Object detection", "boxes with a class and a score each"))
register_task("face-detection", Task("Face detection", "boxes around faces with a score each"))
register_task(
    "face-recognition", Task("Face recognition", "a vector that is close to those of the same person")
)
register_task("segmentation", Task("Segmentation", "one class per pixel"))
register_task("pose-estimation", Task("Pose estimation", "maps of where the joints of bodies are"))
register_task("colorization", Task("Colorization", "colours for the pixels of a grey image"))
register_task("style-transfer", Task("Style transfer", "the image in another style"))
