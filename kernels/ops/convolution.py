"""What convolutions share: the product of a matrix of weights with every window of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kernels.ir import Range, Tensor
from kernels.ops.matrix_product import MatrixProduct
from kernels.ops.window import Image, Window, as_image


@dataclass(frozen=True, eq=False)
class Convolution(MatrixProduct):
    """y[position, out] = requantize(acc): see `MatrixProduct`; x is a window's inputs.

    Input and output are channel-last. Pixels in the padding hold the input's zero point, so they
    add nothing. groups: output channels in so many equal parts, each of which sees its own part
    of the input channels; as many as input channels for a depthwise convolution.
    """

    groups: int = 1

    @property
    def window(self) -> Window:
        """What slides."""
        raise NotImplementedError

    @property
    def depthwise(self) -> bool:
        """Whether each channel of the output sees the one of the input at its place alone."""
        return self.groups == self.image[2] == len(self.weights)

    @property
    def image(self) -> Image:
        """Height, width and channels of the input."""
        return as_image(self.input.shape)

    @property
    def positions(self) -> int:
        """Windows in all."""
        rows, columns = self.window.positions(self.image)
        return rows * columns

    @cached_property
    def matrix(self) -> NDArray[np.int8]:
        """The weights as (out, rows * columns * in / groups): a window's pixels in order."""
        moved = np.moveaxis(self.weights, 1, -1)
        return np.ascontiguousarray(moved.reshape(len(moved), -1))

    @property
    def macs(self) -> int:
        """Every weight at every position, those that meet the padding included."""
        return int(self.weights.size) * self.positions

    @property
    def nnz(self) -> int:
        """Weights that are not zero, at every position."""
        return int(np.count_nonzero(self.weights)) * self.positions

    def factors(self, x: Range) -> Range:
        """The input's values, and its zero point where there is padding."""
        if not any(self.window.padding):
            return Range(x.low, x.high)
        zero = self.input.zero_point
        return Range(min(x.low, zero), max(x.high, zero))

    def accumulate(self, x: NDArray[np.int64]) -> NDArray[np.int64]:
        """Exact accumulators, int64 (batch, rows, columns, out), of (batch, *image)."""
        x = x.reshape(len(x), *self.image)
        windows = self.window.gather(x, self.input.zero_point) - self.input.zero_point
        parts = np.split(windows, self.groups, axis=-1)
        matrices = np.split(self.matrix.astype(np.int64), self.groups)
        dots = [
            part.reshape(*part.shape[:3], -1) @ matrix.T
            for part, matrix in zip(parts, matrices, strict=True)
        ]
        sums: NDArray[np.int64] = np.concatenate(dots, axis=-1) << self.input_shift
        return sums + self.bias

    def reference(self, *inputs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Activations, int64 (batch, rows, columns, out)."""
        (x,) = inputs
        return self.finish(self.accumulate(x))

    def _window_problems(self, inputs: Sequence[Tensor], axes: int) -> list[str]:
        """Everything, for an image or a sequence of so many axes besides the channels."""
        if len(self.input.shape) != axes + 1:
            return [f"input has shape {self.input.shape}, expected {axes + 1} axes, channels last"]
        channels, out = self.image[2], len(self.weights)
        if self.groups < 1 or channels % self.groups or out % self.groups:
            return [f"{self.groups} groups divide {channels} input and {out} output channels badly"]
        window = self.window
        taps = window.size if axes == 2 else window.size[:1]
        wanted = (out, channels // self.groups, *taps)
        if self.weights.shape != wanted:
            return [f"weights have shape {self.weights.shape}, expected {wanted}"]
        found = self._common_problems(inputs) + window.problems(self.image)
        if found:
            return found
        rows, columns = window.positions(self.image)
        shape = (rows, columns, out) if axes == 2 else (rows, out)
        if self.output.shape != shape:
            found.append(f"output has shape {self.output.shape}, expected {shape}")
        return found
