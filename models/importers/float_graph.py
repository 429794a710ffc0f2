"""A float network of any form that has an integer one: convolutions, branches, tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.ir import Graph
from models.errors import ModelError
from models.importers.float_nodes import FloatNode, FloatNodes
from models.importers.lowering import Options, lower


@dataclass(frozen=True, eq=False, slots=True)
class FloatGraph:
    """Nodes in order, the input first and the result last; inputs are float (n, *shape)."""

    name: str
    nodes: tuple[FloatNode, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an input, channels first."""
        return self.nodes[0].shape

    def run(self, inputs: NDArray[np.floating]) -> NDArray[np.float64]:
        """Outputs, float64 (n, *shape), of inputs (n, *shape), both channels first."""
        return self._values(inputs)[-1]

    def on_device(self, inputs: NDArray[np.integer]) -> NDArray[np.integer]:
        """Integer inputs (n, *shape) in the graph's layout: channels last."""
        return np.moveaxis(inputs, 1, -1)

    def quantize(
        self,
        calibration: NDArray[np.uint8],
        *,
        input_scale: float,
        bits: int = 8,
        per_row: bool = True,
        input_high: int = 255,
    ) -> Graph:
        """The integer graph, weights quantized to `bits` (2 to 8).

        calibration: typical inputs as they enter the device but channels first, uint8 (n, *shape);
        the network was made for `input_scale` times those. per_row: one scale per output channel;
        without it one per layer, and requantizing is a plain shift. input_high: the largest input
        that will ever occur, which proofs of accumulators rest on.

        The graph takes what `on_device` gives. Raises ModelError for a network that cannot be
        quantized, and for a calibration that does not fit it.
        """
        if calibration.dtype != np.uint8 or calibration.shape[1:] != self.shape:
            raise ModelError(
                f"calibration is {calibration.dtype} {calibration.shape}, expected uint8 "
                f"(n, {', '.join(str(size) for size in self.shape)})"
            )
        if not 2 <= bits <= 8:
            raise ModelError(f"{bits} bits are outside [2, 8]")
        options = Options(input_scale, input_high, (1 << (bits - 1)) - 1, per_row=per_row)
        return lower(self.name, self.nodes, self._values(calibration * input_scale), options)

    def _values(self, inputs: NDArray[np.floating]) -> list[NDArray[np.float64]]:
        return FloatNodes(list(self.nodes), len(self.nodes) - 1).values(inputs.astype(np.float64))
