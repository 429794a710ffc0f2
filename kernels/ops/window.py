"""Sliding windows over images and sequences, in the device's layout.

Images lie channel-last, (height, width, channels), so that the pixels of a window's row, with all
their channels, are one run of bytes. A sequence, (length, channels), is an image one pixel wide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

NumberT = TypeVar("NumberT", bound=np.generic)

Pair = tuple[int, int]
Image = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Window:
    """A window of `size` (rows, columns) that moves by `stride` over an image with `padding`.

    padding: rows above and below, columns left and right.
    """

    size: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)

    @property
    def area(self) -> int:
        """Pixels that it covers."""
        return self.size[0] * self.size[1]

    def positions(self, image: Image) -> Pair:
        """Rows and columns of positions; less than one where it does not fit."""
        rows, columns = (
            (extent + 2 * padding - size) // stride + 1
            for extent, padding, size, stride in zip(
                image[:2], self.padding, self.size, self.stride, strict=True
            )
        )
        return rows, columns

    def problems(self, image: Image) -> list[str]:
        """What is wrong with it on an image; empty when nothing is."""
        if min(*self.size, *self.stride) < 1 or min(self.padding) < 0:
            return [f"{self} has a size or stride below 1 or a negative padding"]
        if any(padding >= size for padding, size in zip(self.padding, self.size, strict=True)):
            return [f"padding {self.padding} is not less than the window {self.size}"]
        if min(self.positions(image)) < 1:
            return [f"a window of {self.size} does not fit an image of {image[:2]}"]
        return []

    def gather(self, x: NDArray[NumberT], fill: float) -> NDArray[NumberT]:
        """All windows, (batch, rows, columns, *size, channels), of (batch, *image).

        fill: the value of pixels in the padding.
        """
        vertical, horizontal = ((padding, padding) for padding in self.padding)
        padded = np.pad(x, ((0, 0), vertical, horizontal, (0, 0)), constant_values=fill)
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.size, axis=(1, 2))
        strided = windows[:, :: self.stride[0], :: self.stride[1]]
        return np.moveaxis(strided, 3, 5)


def as_image(shape: tuple[int, ...]) -> Image:
    """A shape (height, width, channels) or (length, channels) as that of an image."""
    return (shape[0], 1, shape[1]) if len(shape) == 2 else (shape[0], shape[1], shape[2])


def as_pair(sizes: tuple[int, ...], along: int = 1) -> Pair:
    """Sizes of both axes, or of a sequence's only one; `along` stands for the missing width."""
    return (sizes[0], along) if len(sizes) == 1 else (sizes[0], sizes[1])
