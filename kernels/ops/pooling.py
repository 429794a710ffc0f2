"""What the pools share: a window, and a shape rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kernels.ir import Tensor
from kernels.ops.unary import Unary
from kernels.ops.window import Image, Window, as_image, as_pair


@dataclass(frozen=True, eq=False)
class Pooling(Unary):
    """Every channel by itself, over (height, width, channels) or (length, channels).

    size, stride, padding: one number for each axis but the channels; the stride is the size where
    none is given. A last window that would hang over is left out.
    """

    size: tuple[int, ...]
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()

    @property
    def window(self) -> Window:
        """What slides."""
        axes = len(self.size)
        stride, padding = self.stride or self.size, self.padding or (0,) * axes
        return Window(as_pair(self.size), as_pair(stride), as_pair(padding, 0))

    @property
    def image(self) -> Image:
        """Height, width and channels of the input."""
        return as_image(self.input.shape)

    def _pooling_problems(self, inputs: Sequence[Tensor]) -> list[str]:
        axes = len(self.input.shape) - 1
        if axes not in {1, 2}:
            return [f"input has shape {self.input.shape}, expected an image or a sequence"]
        lengths = {len(self.size), len(self.stride or self.size), len(self.padding or self.size)}
        if lengths != {axes}:
            return [f"size, stride and padding must have {axes} numbers each"]
        found = self._source_problems(inputs) + self.window.problems(self.image)
        if found:
            return found
        positions = self.window.positions(self.image)[:axes]
        shape = (*positions, self.input.shape[-1])
        if self.output.shape != shape:
            found.append(f"output has shape {self.output.shape}, expected {shape}")
        return found
