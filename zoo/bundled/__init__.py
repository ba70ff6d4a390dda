"""What ships with the zoo, and what manifests may name: datasets, orders of labels, tasks.

Each of these is an entry of a registry; a new one is a call of its `register_` function beside the others.
"""

from zoo.bundled.datasets import (
    ILSVRC2012_VAL,
    KNOWN_DATASETS,
    KnownDataset,
    embedded_images,
    ilsvrc2012_val_labels,
    register_dataset,
)
from zoo.bundled.folder import bundled_folder
from zoo.bundled.label_orders import (
    LABEL_ORDERS,
    LabelOrder,
    devkit_order,
    imagenet_names,
    imagenet_synsets,
    register_label_order,
)
from zoo.bundled.tasks import TASKS, Task, register_task

__all__ = [
    "ILSVRC2012_VAL",
    "KNOWN_DATASETS",
    "LABEL_ORDERS",
    "TASKS",
    "KnownDataset",
    "LabelOrder",
    "Task",
    "bundled_folder",
    "devkit_order",
    "embedded_images",
    "ilsvrc2012_val_labels",
    "imagenet_names",
    "imagenet_synsets",
    "register_dataset",
    "register_label_order",
    "register_task",
]
