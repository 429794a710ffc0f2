"""The network that is trained and compressed: a perceptron whose layers can be fake-quantized."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from models.compress.layer import Layer
from models.compress.quantizers import WeightQuantizer
from models.export import Grid, IntegerLayer, on_grid


class Network(nn.Module):
    """A perceptron of the given sizes, inputs first and classes last.

    Its input is counts, float32 (batch, in), as they enter the device; they are worth
    `input_scale` each. Its output is logits, float32 (batch, classes). activations: the dtype that
    hidden activations have on the device.
    """

    def __init__(
        self, sizes: Sequence[int], input_scale: float = 1.0, activations: str = "uint8"
    ) -> None:
        super().__init__()
        self.input_scale, self.activation_dtype = input_scale, activations
        self.dropout = 0.0
        self.layers = nn.ModuleList(
            Layer(
                inputs,
                outputs,
                hidden=place < len(sizes) - 2,
                activations=activations,
            )
            for place, (inputs, outputs) in enumerate(pairwise(sizes))
        )

    @property
    def stack(self) -> list[Layer]:
        """The layers in order."""
        return [layer for layer in self.layers if isinstance(layer, Layer)]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of the input and of each layer."""
        layers = self.stack
        return (layers[0].weight.shape[1], *(len(layer.weight) for layer in layers))

    @property
    def quantized(self) -> bool:
        """Whether weights are quantized while training."""
        return self.stack[0].quantizer is not None

    @property
    def on_grid(self) -> bool:
        """Whether it rounds where its device does."""
        return self.stack[0].grid is not None

    def forward(self, counts: Tensor) -> Tensor:
        """Logits."""
        if self.on_grid:
            return self._forward_on_grid(counts)
        values = counts * self.input_scale
        for layer in self.layers:
            values = layer(functional.dropout(values, self.dropout, self.training))
        return values

    def _forward_on_grid(self, counts: Tensor) -> Tensor:
        values, scale = counts * self.input_scale, self.input_scale
        for layer, integer in zip(self.stack, self.integers(), strict=True):
            values = functional.dropout(values, self.dropout, self.training)
            values = layer.forward_on_grid(values, integer, scale)
            scale = integer.scale
        return values

    def settle(self, grids: Sequence[Grid]) -> None:
        """From here on, round where the device does; normalization becomes constant."""
        for layer, grid in zip(self.stack, grids, strict=True):
            layer.grid = grid

    def unsettle(self) -> None:
        """Forget the grids."""
        for layer in self.stack:
            layer.grid = None

    def integers(self) -> tuple[IntegerLayer, ...]:
        """The layers as the device computes them; only of a network on its grid."""
        found: list[IntegerLayer] = []
        scale = self.input_scale
        for number, layer in enumerate(self.stack, start=1):
            assert layer.grid is not None
            found.append(on_grid(layer.leveled(), layer.grid, scale, number))
            scale = found[-1].scale
        return tuple(found)

    def activations(self, counts: Tensor) -> list[Tensor]:
        """Outputs of every layer, (batch, units) each; the logits last."""
        found = [counts * self.input_scale]
        for layer in self.layers:
            found.append(layer(found[-1]))
        return found[1:]

    def quantize(self, quantizer: WeightQuantizer, *, norm: bool = False) -> None:
        """Quantize weights and activations from here on; with `norm`, normalize batches, too."""
        if norm and not quantizer.symmetric:
            raise ValueError("normalization may negate levels, which these quantizers do not allow")
        for layer in self.stack:
            layer.quantizer = quantizer
            if norm and layer.norm is None:
                layer.norm = nn.BatchNorm1d(len(layer.weight))
