"""How far two arrays are apart: the one measure, and the one bound, of everything that is compared here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

BOUND = 1e-5
"""The largest relative difference between two forms of one net.

Both compute in float32, but may add in another order: that alone explains smaller differences."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far an array is from a reference.

    absolute: the largest absolute difference of two elements.
    relative: `absolute` divided by the largest finite magnitude in the reference.
    """

    absolute: float
    relative: float

    def within(self, bound: float = BOUND) -> bool:
        """Whether the relative difference is at most `bound`."""
        return self.relative <= bound


def difference(reference: NDArray[Any], other: NDArray[Any]) -> Difference:
    """Compare two arrays of real numbers, of any shape, element by element in float64.

    1. Arrays of different shapes differ by infinity.
    2. Equal elements, infinities of one sign and two NaN do not differ.
    3. A NaN differs from any number by infinity, and so does an infinity from anything else.
    4. Where the reference has no finite number but zero, the relative difference is 0 if nothing differs,
       else infinite.
    5. Empty arrays do not differ.
    """
    import numpy as np

    if reference.shape != other.shape:
        return Difference(np.inf, np.inf)
    a, b = reference.astype(np.float64), other.astype(np.float64)
    with np.errstate(invalid="ignore"):
        gaps = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    absolute = float(np.nan_to_num(gaps, nan=np.inf, posinf=np.inf).max(initial=0.0))
    scale = float(np.abs(a[np.isfinite(a)]).max(initial=0.0))
    if scale:
        return Difference(absolute, absolute / scale)
    return Difference(absolute, np.inf if absolute else 0.0)


# Caffe's DetectionOutput gives (1, 1, boxes, 7): image, class, score and corners of each box.
BOX_VALUES = 7


def is_list_of_boxes(array: NDArray[Any]) -> bool:
    """Whether an array has the shape of what Caffe's DetectionOutput gives."""
    return array.ndim == 4 and array.shape[:2] == (1, 1) and array.shape[3] == BOX_VALUES


def difference_of_boxes(reference: NDArray[Any], other: NDArray[Any]) -> Difference:
    """As `difference`, of two lists of boxes whatever their order.

    Boxes are listed by score, so two scores that are all but equal may change places by the last bit. Each
    box is compared with the nearest one of the reference that no earlier one was compared with.
    """
    import numpy as np

    if reference.shape != other.shape:
        return Difference(np.inf, np.inf)
    rows, free = other[0, 0].astype(np.float64), reference[0, 0].astype(np.float64)
    matched = np.empty_like(free)
    for at, row in enumerate(rows):
        gaps = np.nan_to_num(np.abs(free - row), nan=np.inf).max(1)
        nearest = int(gaps.argmin())
        matched[at] = free[nearest]
        free = np.delete(free, nearest, 0)
    return difference(matched, rows)
