"""Conv1d: a matrix of weights times every window of a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kernels.ir import Tensor
from kernels.ops.convolution import Convolution
from kernels.ops.window import Window


@dataclass(frozen=True, eq=False)
class Conv1d(Convolution):
    """Weights, int8 (out, in / groups, taps), over a sequence (length, in).

    The output is (positions, out).
    """

    stride: int = 1
    padding: int = 0

    @property
    def window(self) -> Window:
        """What slides; the sequence is an image one pixel wide."""
        return Window((self.weights.shape[2], 1), (self.stride, 1), (self.padding, 0))

    def problems(self, inputs: Sequence[Tensor]) -> list[str]:
        """Shape rule, dtypes and parameter ranges."""
        if self.weights.ndim != 3:
            return [f"weights have shape {self.weights.shape}, expected (out, in, taps)"]
        return self._window_problems(inputs, 1)
