"""Torch's tensor objects in numpy: storage, offset, sizes, strides."""

from __future__ import annotations

import math

import numpy as np


class Stopped(Exception):
    """Torch stops with an error."""


class Storage:
    """Numbers in a row. What was never written is NaN."""

    def __init__(self, count: int) -> None:
        self.data = np.full(count, np.nan)

    def grow(self, count: int) -> None:
        if count > self.data.size:
            self.data = np.concatenate([self.data, np.full(count - self.data.size, np.nan)])


def gapless(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(shape[k + 1 :]) for k in range(len(shape)))


class Tensor:
    """A tensor object."""

    def __init__(self) -> None:
        self.storage, self.offset, self.shape, self.strides = Storage(0), 0, (), ()

    @classmethod
    def of(cls, array: np.ndarray) -> Tensor:
        new = cls()
        new.resize(array.shape)
        new.array[...] = array
        return new

    @property
    def array(self) -> np.ndarray:
        """The numbers, as a numpy view of the storage."""
        data = self.storage.data
        steps = [stride * data.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(data[self.offset :], self.shape, steps)

    def places(self) -> np.ndarray:
        """Where in the storage each element lies."""
        grid = np.indices(self.shape).reshape(len(self.shape), -1)
        return self.offset + np.array(self.strides, int) @ grid

    def point(self, storage: Storage, offset: int, shape: tuple, strides: tuple) -> Tensor:
        self.storage, self.offset, self.shape, self.strides = storage, offset, tuple(shape), tuple(strides)
        return self

    def set(self, other: Tensor) -> Tensor:
        return self.point(other.storage, other.offset, other.shape, other.strides)

    def resize(self, shape: tuple[int, ...]) -> None:
        """THTensor_resizeNd: nothing if the sizes are right; else gapless from the offset on."""
        if self.shape != tuple(shape):
            self.point(self.storage, self.offset, shape, gapless(tuple(shape)))
            self.storage.grow(self.offset + math.prod(shape))

    def contiguous(self) -> bool:
        step = 1
        for size, stride in reversed(list(zip(self.shape, self.strides, strict=True))):
            if size != 1:
                if stride != step:
                    return False
                step *= size
        return True

    def view_of(self, other: Tensor, shape: tuple[int, ...]) -> Tensor:
        if not other.contiguous() or math.prod(shape) != math.prod(other.shape):
            raise Stopped("view")
        return self.point(other.storage, other.offset, shape, gapless(tuple(shape)))

    def select(self, axis: int, index: int) -> Tensor:
        if len(self.shape) < 2:
            raise Stopped("an entry of a vector is a number")
        cut = lambda numbers: numbers[:axis] + numbers[axis + 1 :]  # noqa: E731
        offset = self.offset + index * self.strides[axis]
        return Tensor().point(self.storage, offset, cut(self.shape), cut(self.strides))


def shares(a: Tensor, b: Tensor) -> bool:
    return a.storage is b.storage and bool(np.intersect1d(a.places(), b.places()).size)


def same_elements(a: Tensor, b: Tensor) -> bool:
    return a.storage is b.storage and np.array_equal(a.places(), b.places())


def with_axis(x: Tensor, axis: int) -> Tensor:
    """nn.utils.addSingletonDimension."""
    stride = x.strides[axis] * x.shape[axis] if axis < len(x.shape) else 1
    shape, strides = (*x.shape[:axis], 1, *x.shape[axis:]), (*x.strides[:axis], stride, *x.strides[axis:])
    return Tensor().point(x.storage, x.offset, shape, strides)
