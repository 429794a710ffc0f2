"""Conv2d: a matrix of weights times every window of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kernels.ir import Tensor
from kernels.ops.convolution import Convolution
from kernels.ops.window import Pair, Window


@dataclass(frozen=True, eq=False)
class Conv2d(Convolution):
    """Weights, int8 (out, in / groups, rows, columns), over an image (height, width, in).

    stride, padding: of rows and of columns. The output is (rows, columns, out) of positions.
    """

    stride: Pair = (1, 1)
    padding: Pair = (0, 0)

    @property
    def window(self) -> Window:
        """What slides."""
        rows, columns = self.weights.shape[2:]
        return Window((rows, columns), self.stride, self.padding)

    def problems(self, inputs: Sequence[Tensor]) -> list[str]:
        """Shape rule, dtypes and parameter ranges."""
        if self.weights.ndim != 4:
            return [f"weights have shape {self.weights.shape}, expected (out, in, rows, columns)"]
        return self._window_problems(inputs, 2)
