"""A mean that nobody states: it is asked for, as a net that wants one and gets none is quietly wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.errors import UsageError
from zoo.preprocessing.registry import resolve
from zoo.preprocessing.settings import Preprocessing


def require_mean(found: Preprocessing, given: Mapping[str, Any], carried: Mapping[str, Any]) -> None:
    """UsageError if neither the options nor the files say anything of a mean.

    found: the complete settings. given, carried: as for `zoo.preprocessing.settings.settings`. What is
    carried without a mean says that there is none: so it is in Caffe's data layers.
    """
    if carried or any(given.get(name) is not None for name in ("mean", "mean_image")):
        return
    usual = "104,117,123 (BGR, 0 to 255: most of Caffe's nets for ImageNet), or the file of a mean image"
    if resolve(found.flavour).normalisation_max_value == 1:
        usual = "0.485,0.456,0.406 --std 0.229,0.224,0.225 (RGB, 0 to 1: fb.resnet.torch and torchvision)"
    raise UsageError(
        "the files of the net do not say which mean it subtracts, and most nets want one: give --mean\n"
        f"  usual: --mean {usual}\n"
        "  --mean none says that the net subtracts none"
    )
